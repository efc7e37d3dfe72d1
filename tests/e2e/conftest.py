"""The running product, driven from outside: front ends, the stand-ins' buttons, the database."""

import itertools
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from devstack.lms_standin.control import LmsControl
from devstack.payout_receiver.control import PayoutControl
from devstack.shopper import Shopper
from devstack.stack import Stack
from devstack.stripe_standin.control import StripeControl

_numbers = itertools.count(1)


@dataclass
class Shop:
    """One running stack and everything that a test does with it."""

    stack: Stack
    stripe: StripeControl
    lms: LmsControl
    payout: PayoutControl

    @property
    def gateway(self) -> str:
        return self.stack.urls.gateway

    async def learner(self, name: str = "learner") -> Shopper:
        """A fresh, registered learner."""
        email = f"{name}.{uuid.uuid4().hex[:12]}@example.com"
        return await Shopper(self.gateway).register(email, f"{name.title()} {next(_numbers)}")

    async def operator(self) -> Shopper:
        """The seeded operator."""
        return await Shopper(self.gateway).login("operator@example.com")

    async def query(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Read the database as the application role."""
        url = self.stack.urls.database_url.replace("postgresql+psycopg://", "postgresql://")
        async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as connection:
            cursor = await connection.execute(statement, values)  # type: ignore[arg-type]
            return await cursor.fetchall()

    async def place(self, learner: Shopper, slug: str = "python-101", **more: Any) -> dict[str, Any]:
        """Cart and checkout of one item; the checkout's answer."""
        await learner.add(slug)
        return await learner.checkout(**more)

    async def buy(
        self, learner: Shopper, slug: str = "python-101", method: str = "pm_card_visa"
    ) -> dict[str, Any]:
        """A fulfilled order of one item."""
        answer = await self.place(learner, slug)
        await self.stripe.confirm(answer["payment"]["payment_intent_id"], method)
        return await learner.wait_for_status(answer["order"]["id"], "fulfilled")

    async def seat(self, operator: Shopper, *, capacity: int, course: str = "live-workshop-2027") -> str:
        """A registration with `capacity` seats; its slug."""
        slug = f"seminar-{uuid.uuid4().hex[:12]}"
        await operator.call(
            "POST",
            "/v1/catalog/items",
            {
                "slug": slug,
                "type": "registration",
                "title": "Seminar",
                "description": "Seats are few.",
                "lms_course_id": course,
                "prices": [{"amount": 5000, "currency": "USD"}],
                "capacity": capacity,
                "tax_code": "txcd_20060158",
            },
        )
        return slug


@pytest.fixture(scope="session")
async def shop(stack: Stack) -> AsyncIterator[Shop]:
    """The session's running product."""
    async with (
        StripeControl(stack.urls.stripe) as stripe,
        LmsControl(stack.urls.lms) as lms,
        PayoutControl(stack.urls.payout) as payout,
    ):
        yield Shop(stack, stripe, lms, payout)

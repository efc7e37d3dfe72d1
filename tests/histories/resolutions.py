"""Questions to buyers and changes of runs: `python -m tests.histories.resolutions`."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from devstack.shopper import Shopper, wait_for
from domain import ids
from tests.e2e.conftest import Shop

Keep = Callable[[str, str], Awaitable[None]]
# Long enough to choose on a busy machine, short enough to wait for.
DAYS = "0.0002"


class ResolutionPaths:
    """Runs the paths, and keeps their histories."""

    def __init__(self, shop: Shop, keep: Keep) -> None:
        self._shop = shop
        self._keep = keep

    async def record(self) -> None:
        """Refused by the LMS: another run, the deadline, a retry; a run cancelled, and rescheduled."""
        operator = await self._shop.operator()
        slug, other = await self._run("refused", known=False), await self._run("refused")
        order, question = await self._refused(slug)
        choice = {"choice": "other_run", "item_id": (await operator.item(other))["id"]}
        await operator.call("POST", self._path(order), choice)
        await self._keep("resolution-other-run", ids.resolution_workflow_id(question["id"]))
        await self._keep("checkout-moved-to-other-run", order["workflow_id"])

        order, question = await self._refused(slug)
        await self._keep("resolution-deadline-refunds", ids.resolution_workflow_id(question["id"]))

        order, question = await self._refused(slug)
        course = order["lines"][0]["lms_course_id"]
        await self._shop.lms.add_course(course, "A course")
        retry = f"/v1/entitlements/{order['entitlements'][0]['id']}/retry"
        await operator.call("POST", retry, {})
        await self._keep("resolution-withdrawn", ids.resolution_workflow_id(question["id"]))

        slug = await self._run("cancelled")
        item = await operator.item(slug)
        buyer = await self._shop.learner()
        order = await self._shop.buy(buyer, slug)
        unpaid = await self._shop.place(await self._shop.learner(), slug)
        body = {"reason": "the teacher is ill"}
        change = await operator.call("POST", f"/v1/catalog/items/{item['id']}/cancel-run", body)
        question = await self._question(buyer, order)
        await buyer.call("POST", self._path(order), {"choice": "store_credit"})
        await self._keep("resolution-store-credit", ids.resolution_workflow_id(question["id"]))
        await self._keep("refund-as-store-credit", ids.refund_workflow_id(question["id"]))
        await self._keep("run-change-cancelled", change["workflow_id"])
        await self._keep("checkout-canceled-with-its-run", unpaid["order"]["workflow_id"])

        slug = await self._run("rescheduled")
        item = await operator.item(slug)
        order = await self._shop.buy(buyer, slug)
        body["starts_at"] = (datetime.now(UTC) + timedelta(days=99)).isoformat()
        change = await operator.call("POST", f"/v1/catalog/items/{item['id']}/reschedule-run", body)
        question = await self._question(buyer, order)
        await self._keep("resolution-kept", ids.resolution_workflow_id(question["id"]))
        await self._keep("run-change-rescheduled", change["workflow_id"])

    async def _run(self, family: str, *, known: bool = True) -> str:
        course = f"course-{uuid.uuid4().hex[:8]}"
        if known:
            await self._shop.lms.add_course(course, "A course")
        operator = await self._shop.operator()
        slug = await self._shop.seat(operator, capacity=5, course=course)
        item = await operator.item(slug)
        await operator.call("PATCH", f"/v1/catalog/items/{item['id']}", {"run_of": f"{family}-runs"})
        return slug

    async def _refused(self, slug: str) -> tuple[dict[str, Any], dict[str, Any]]:
        buyer = await self._shop.learner()
        answer = await self._shop.place(buyer, slug)
        await self._shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
        order = await buyer.wait_for_status(answer["order"]["id"], "fulfillment_failed")
        return order, await self._question(buyer, order)

    @staticmethod
    async def _question(buyer: Shopper, order: dict[str, Any]) -> dict[str, Any]:
        found = await wait_for(
            lambda: buyer.order(order["id"]),
            lambda found: bool(found["resolutions"]) and found["resolutions"][-1]["asked_at"] is not None,
            what="the question",
        )
        question: dict[str, Any] = found["resolutions"][-1]
        return question

    @staticmethod
    def _path(order: dict[str, Any]) -> str:
        return f"/v1/orders/{order['id']}/lines/{order['lines'][0]['id']}/resolution"


async def record_resolutions() -> None:
    """A stack for these paths alone: its buyers have seconds to choose."""
    from tests.histories.record import SHORT_WINDOW, recorder_of

    async with recorder_of(
        SHORT_WINDOW | {"PAYMENT_WINDOW_MINUTES": "5", "RESOLUTION_DAYS": DAYS}
    ) as recorder:
        await recorder.resolutions()


if __name__ == "__main__":
    asyncio.run(record_resolutions())

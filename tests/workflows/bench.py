"""The real worker on a virtual clock; orders are placed as the gateway places them, paid at the stand-in."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper

from activities.verification import Finding, Verifier
from config import Settings
from devstack.lms_standin.control import LmsControl
from devstack.payout_receiver.control import PayoutControl
from devstack.stripe_standin.control import StripeControl
from domain import ids
from domain.messages import CheckoutAnswer, OrderInput, RefundInput
from models.queries import carts, catalog, entitlements, inbox, orders, people, recorded_commands
from tests.lms.processes import StandinProcess
from worker import WorkerResources
from workflows.checkout import CheckoutWorkflow
from workflows.refund import RefundWorkflow

T = TypeVar("T")
_numbers = itertools.count(1)
ADDRESS = {"line1": "1 High Street", "city": "Berlin", "postal_code": "10115", "country": "DE"}
LMS_TOKEN = "lms-token-of-the-tests"
SECRET = "whsec_bG1zLXdlYmhvb2stc2VjcmV0LW9mLXRlc3Rz"


async def until(
    look: Callable[[], Awaitable[T]], good: Callable[[T], bool], what: str, seconds: float = 45
) -> T:
    """Look again until it is good; fail, with what was seen last, when it is not in time."""
    end, pause = time.monotonic() + seconds, 0.02
    while True:
        seen = await look()
        if good(seen):
            return seen
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}; last seen: {seen}"
        await asyncio.sleep(pause)
        pause = min(pause * 1.3, 0.2)


@dataclass(frozen=True)
class Buyer:
    """A user here and at the LMS."""

    user_id: str
    lms_user_id: str


@dataclass(frozen=True)
class Placed:
    """An order that stands; `intent_id` is None when nothing is due."""

    id: str
    buyer: Buyer
    intent_id: str | None


@dataclass
class Bench:
    """Clients of one database, one task queue and three outside systems."""

    settings: Settings
    resources: WorkerResources
    skipper: TimeSkipper
    stripe: StripeControl
    stripe_process: StandinProcess
    lms: LmsControl
    lms_process: StandinProcess
    payout: PayoutControl
    payout_process: StandinProcess
    newest_event: str | None = None

    # --- what a gateway does --------------------------------------------------------------------------

    async def buyer(self) -> Buyer:
        """A fresh learner."""
        name = f"learner{next(_numbers)}.{uuid.uuid4().hex[:8]}"
        email = f"{name}@example.com"
        lms_user_id = await self.lms.add_user(email)
        async with self.resources.database.transaction() as session:
            user = await people.remember(
                session,
                lms_user_id=lms_user_id,
                username=name,
                email=email,
                full_name="Ann Learner",
                roles=["learner"],
            )
        return Buyer(user.id, lms_user_id)

    async def command(
        self, *slugs: str, buyer: Buyer | None = None, promo: str | None = None, **more: Any
    ) -> tuple[str, Buyer]:
        """A cart with the items and the command (with `more`) to check it out; returns the order's id."""
        buyer = buyer or await self.buyer()
        async with self.resources.database.transaction() as session:
            cart = await carts.open_cart(session, buyer.user_id, lock=True)
            for slug in slugs:
                item = await catalog.find(session, slug)
                assert item is not None, slug
                await carts.add_line(session, cart.id, str(uuid.uuid4()), item.id, "USD")
            if promo is not None:
                await carts.set_promos(session, cart.id, [promo])
            order_id = await orders.new_id(session)
            body = {
                "cart_id": cart.id,
                "billing_address": ADDRESS,
                "expected_total": None,
                "return_url": None,
                **more,
            }
            await recorded_commands.record(session, order_id, "checkout", buyer.user_id, body)
        return order_id, buyer

    async def place(
        self, *slugs: str, buyer: Buyer | None = None, promo: str | None = None, **more: Any
    ) -> Placed:
        """Check out, and wait until the payment can begin."""
        order_id, buyer = await self.command(*slugs, buyer=buyer, promo=promo, **more)
        answer = await self.ask_checkout(order_id)
        return Placed(order_id, buyer, answer.intent_id)

    async def ask_checkout(self, order_id: str) -> CheckoutAnswer:
        """Update-with-start, as the gateway does it."""
        start: WithStartWorkflowOperation[CheckoutWorkflow, str] = WithStartWorkflowOperation(
            CheckoutWorkflow.run,
            OrderInput(order_id),
            id=ids.order_workflow_id(order_id),
            task_queue=self.settings.temporal_task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )
        return await self.skipper.client.execute_update_with_start_workflow(
            CheckoutWorkflow.checkout,
            start_workflow_operation=start,
            id=ids.CHECKOUT_UPDATE_ID,
            rpc_timeout=timedelta(seconds=20),
        )

    async def refund(self, order_id: str, user_id: str, amount: int | None = None) -> str:
        """Ask for money back, all or an amount; returns the refund's id once it is reserved."""
        async with self.resources.database.transaction() as session:
            refund_id = await orders.new_id(session)
            body = {
                "order_id": order_id,
                "lines": None,
                "amount": amount,
                "reason": "requested by the customer",
                "keep_access": False,
            }
            await recorded_commands.record(session, refund_id, "refund", user_id, body)
        start: WithStartWorkflowOperation[RefundWorkflow, str] = WithStartWorkflowOperation(
            RefundWorkflow.run,
            RefundInput(refund_id),
            id=ids.refund_workflow_id(refund_id),
            task_queue=self.settings.temporal_task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )
        return await self.skipper.client.execute_update_with_start_workflow(
            RefundWorkflow.request, start_workflow_operation=start, id=ids.REFUND_UPDATE_ID
        )

    async def take_events_in(self) -> int:
        """Store and dispatch each event of the processor that is not here yet, as its webhook would be."""
        found = []
        while newer := await self.stripe.listing("events", **self._after_newest()):
            found += newer[::-1]
            self.newest_event = newer[0]["id"]
        async with self.resources.database.transaction() as session:
            known_orders = await orders.known_orders(session)
        return await self.take_these_in(found, known_orders)

    async def skip_events(self) -> None:
        """Take nothing in of what happened until now, as if its webhooks had been lost."""
        newest = await self.stripe.listing("events", limit="1")
        self.newest_event = newest[0]["id"] if newest else None

    async def reset_stripe(self) -> None:
        """An account in which nothing has happened."""
        await self.stripe.reset()
        self.newest_event = None

    def _after_newest(self) -> dict[str, str]:
        # From the first event on there is no id to start after: a page of the newest is all there is.
        return {} if self.newest_event is None else {"ending_before": self.newest_event}

    async def take_these_in(self, events: list[dict[str, Any]], known_orders: set[str] | None = None) -> int:
        """Store and dispatch events in this order; a copy of one that is here is dispatched again."""
        taken = 0
        for event in events:
            async with self.resources.database.transaction() as session:
                order_id = await inbox.resolve_order(session, event["data"]["object"])
                if known_orders is not None and order_id not in known_orders:
                    continue  # of a bench with another database
                stored = await inbox.store(session, inbox.STRIPE, event, order_id)
            outcome = await self.resources.dispatcher.stripe_event(stored)
            async with self.resources.database.transaction() as session:
                await inbox.mark_dispatched(session, stored.inbox_id, outcome)
            taken += 1
        return taken

    async def pay(self, order: Placed, method: str = "pm_card_visa") -> None:
        """Confirm the intent, and let its events arrive."""
        assert order.intent_id is not None
        await self.stripe.confirm(order.intent_id, method)
        await self.take_events_in()

    async def buy(self, *slugs: str, buyer: Buyer | None = None) -> Placed:
        """An order that is paid, but not waited for."""
        order = await self.place(*slugs, buyer=buyer)
        await self.pay(order)
        return order

    async def bought(self, *slugs: str) -> Placed:
        """An order that is paid and fulfilled."""
        order = await self.buy(*slugs)
        assert await asyncio.wait_for(self.order_workflow(order.id).result(), 60) == "fulfilled"
        return order

    # --- looking ---------------------------------------------------------------------------------------

    def order_workflow(self, order_id: str) -> WorkflowHandle[CheckoutWorkflow, str]:
        """The order's workflow."""
        return self.skipper.client.get_workflow_handle_for(
            CheckoutWorkflow.run, ids.order_workflow_id(order_id)
        )

    def workflow(self, workflow_id: str) -> WorkflowHandle[Any, Any]:
        """Any workflow."""
        return self.skipper.client.get_workflow_handle(workflow_id)

    def delivery(self, endpoint_id: str, stream: str) -> WorkflowHandle[Any, Any]:
        """The delivery of one stream to one endpoint."""
        return self.workflow(ids.delivery_workflow_id(endpoint_id, stream))

    async def start_delivery(self, endpoint_id: str, stream: str) -> WorkflowHandle[Any, Any]:
        """Start it, as a publication does."""
        await self.resources.dispatcher.wake_delivery(endpoint_id, stream)
        return self.delivery(endpoint_id, stream)

    async def query(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Read (or, as the application role may, change) the database."""
        url = self.settings.database_url.get_secret_value().replace("+psycopg", "", 1)
        async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as connection:
            cursor = await connection.execute(statement, values)  # type: ignore[arg-type]
            return await cursor.fetchall() if cursor.description else []

    async def one(self, statement: str, *values: Any) -> dict[str, Any]:
        """The only row."""
        rows = await self.query(statement, *values)
        assert len(rows) == 1, rows
        return rows[0]

    async def order(self, order_id: str) -> orders.OrderRow:
        """The order's row."""
        async with self.resources.database.transaction() as session:
            row = await orders.get(session, order_id)
        assert row is not None
        return row

    async def wait_for_status(self, order_id: str, status: str) -> orders.OrderRow:
        """Wait until the order has the derived status."""
        return await until(
            lambda: self.order(order_id), lambda row: str(row.status) == status, f"{order_id} {status}"
        )

    async def access(self, buyer: Buyer, course_id: str) -> entitlements.EntitlementRow:
        """The entitlement of a course."""
        async with self.resources.database.transaction() as session:
            row = await entitlements.of_user_course(session, buyer.user_id, course_id)
        assert row is not None
        return row

    async def pending_attempt(self, workflow_id: str) -> int:
        """The attempt number of the activity that a workflow waits for; 0 when there is none."""
        try:
            described = await self.workflow(workflow_id).describe()
        except RPCError as error:
            assert error.status == RPCStatusCode.NOT_FOUND
            return 0
        pending = described.raw_description.pending_activities
        return max((activity.attempt for activity in pending), default=0)

    async def findings(self) -> dict[str, Finding]:
        """What the oracle finds, by name."""
        resources = self.resources
        verifier = Verifier(resources.database, resources.payments, resources.lms, resources.dispatcher)
        return {finding.name: finding for finding in (await verifier.verify()).findings}


def refusal_code(error: WorkflowUpdateFailedError) -> str | None:
    """The code under which an update was refused."""
    assert isinstance(error.cause, ApplicationError)
    return error.cause.type

"""Questions to buyers and changes of runs: `python -m tests.histories.resolutions`."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import Client

from devstack.shopper import Shopper, wait_for
from domain import ids, messages
from tests.e2e.conftest import Shop

Keep = Callable[[str, str], Awaitable[None]]
# Long enough to choose on a busy machine, short enough to wait for.
DAYS = "0.0002"


class ResolutionPaths:
    """Runs the paths, and keeps their histories."""

    def __init__(self, shop: Shop, client: Client, keep: Keep) -> None:
        self._shop = shop
        self._client = client
        self._keep = keep

    async def record(self) -> None:
        """Refused by the LMS; runs that change; what stands in the way of an answer."""
        await self._refused_by_lms()
        await self._runs()
        await self._changed_again()
        await self._paid_meanwhile()
        await self._put_off()
        await self._refused_then_accepted()

    async def _refused_by_lms(self) -> None:
        """Another run, the deadline, a retry."""
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

    async def _runs(self) -> None:
        """One that is cancelled, and one that is rescheduled."""
        operator, buyer = await self._shop.operator(), await self._shop.learner()
        slug = await self._run("cancelled")
        item = await operator.item(slug)
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

    async def _changed_again(self) -> None:
        """Rescheduled, and then cancelled before anybody had answered."""
        operator, buyer = await self._shop.operator(), await self._shop.learner()
        slug = await self._run("changed-again")
        order = await self._shop.buy(buyer, slug)
        item = f"/v1/catalog/items/{(await operator.item(slug))['id']}"
        date = (datetime.now(UTC) + timedelta(days=99)).isoformat()
        body = {"reason": "the teacher is ill"}
        first = await operator.call("POST", f"{item}/reschedule-run", {**body, "starts_at": date})
        question = await self._question(buyer, order)
        await operator.call("POST", f"{item}/cancel-run", body)
        await self._keep("resolution-superseded", ids.resolution_workflow_id(question["id"]))
        await self._keep("run-change-superseded", first["workflow_id"])

    async def _paid_meanwhile(self) -> None:
        """A bank debit is on its way when the run is cancelled, and arrives."""
        operator, buyer = await self._shop.operator(), await self._shop.learner()
        slug = await self._run("paid-meanwhile")
        answer = await self._shop.place(buyer, slug)
        intent = answer["payment"]["payment_intent_id"]
        await self._shop.stripe.confirm(intent, "pm_usBankAccount_processing")
        await wait_for(
            lambda: buyer.order(answer["order"]["id"]),
            lambda found: found["payments"][-1]["status"] == "processing",
            what="the bank's work",
        )
        change = await self._cancel(operator, slug)
        await asyncio.sleep(2)
        await self._shop.stripe.settle(intent)
        order = await buyer.wait_for_status(answer["order"]["id"], "fulfilled")
        # It would look by itself within the hour.
        await self._client.get_workflow_handle(change["workflow_id"]).signal(messages.SIGNAL_WAKE)
        await self._question(buyer, order)
        await buyer.call("POST", self._path(order), {"choice": "refund"})
        await self._keep("run-change-paid-meanwhile", change["workflow_id"])

    async def _put_off(self) -> None:
        """At the deadline a dispute is open; its end lets the deadline decide."""
        operator, buyer = await self._shop.operator(), await self._shop.learner()
        slug = await self._run("put-off")
        order = await self._shop.buy(buyer, slug)
        made = await self._shop.stripe.dispute(order["payments"][0]["payment_intent_id"])
        await buyer.wait_for_status(order["id"], "disputed")
        await self._cancel(operator, slug)
        question = await self._question(buyer, order)
        deadline = datetime.fromisoformat(question["deadline"])
        await asyncio.sleep((deadline - datetime.now(UTC)).total_seconds() + 2)
        await self._shop.stripe.win_dispute(made["id"])
        await self._keep("resolution-put-off-by-dispute", ids.resolution_workflow_id(question["id"]))

    async def _refused_then_accepted(self) -> None:
        """The place that is chosen is gone; then the money."""
        operator, buyer = await self._shop.operator(), await self._shop.learner()
        slug, full = await self._run("refused"), await self._run("refused", capacity=1)
        order = await self._shop.buy(buyer, slug)
        await self._shop.buy(await self._shop.learner(), full)
        await self._cancel(operator, slug)
        question = await self._question(buyer, order)
        choice = {"choice": "other_run", "item_id": (await operator.item(full))["id"]}
        assert (await buyer.send("POST", self._path(order), choice)).status_code == 409
        await buyer.call("POST", self._path(order), {"choice": "refund"})
        await self._keep("resolution-refused-then-accepted", ids.resolution_workflow_id(question["id"]))

    async def _cancel(self, operator: Shopper, slug: str) -> dict[str, Any]:
        path = f"/v1/catalog/items/{(await operator.item(slug))['id']}/cancel-run"
        return dict(await operator.call("POST", path, {"reason": "the teacher is ill"}))

    async def _run(self, family: str, *, known: bool = True, capacity: int = 5) -> str:
        course = f"course-{uuid.uuid4().hex[:8]}"
        if known:
            await self._shop.lms.add_course(course, "A course")
        operator = await self._shop.operator()
        slug = await self._shop.seat(operator, capacity=capacity, course=course)
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

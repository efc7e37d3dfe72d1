"""Completions wait for access, count once, and are relayed before they are recognized."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from activities.entitlements import EntitlementActivities
from domain import ids
from domain.messages import EntitlementInput
from models.queries import completions, entitlements
from tests.workflows.bench import Bench, Buyer, Placed, until
from worker import make_activities

COURSE = "python-101"


async def tell(bench: Bench, buyer: Buyer, kind: str = completions.COMPLETED, **data: Any) -> None:
    """An event of the LMS as the gateway takes it in, and the wake-up that follows; each under its own id."""
    body = {"user_id": buyer.lms_user_id, "course_id": COURSE, **data}
    async with bench.resources.database.transaction() as session:
        await completions.take_in(session, {"id": f"evt_{uuid.uuid4().hex}", "type": kind, "data": body})
    rows = await bench.query("SELECT id FROM entitlement WHERE user_id = %s", buyer.user_id)
    if rows:
        await bench.resources.dispatcher.wake_entitlement(buyer.user_id, COURSE)


async def relays(bench: Bench, buyer: Buyer) -> int:
    rows = await bench.query(
        "SELECT 1 FROM outbound_event WHERE type = 'course.completed' AND data->>'lms_user_id' = %s",
        buyer.lms_user_id,
    )
    return len(rows)


async def recognitions(bench: Bench, order: Placed) -> int:
    rows = await bench.query(
        "SELECT 1 FROM journal_entry WHERE order_id = %s AND kind = 'revenue_recognized'", order.id
    )
    return len(rows)


async def counts_once(bench: Bench, order: Placed) -> None:
    await until(lambda: recognitions(bench, order), lambda n: n == 1, "the recognition")
    assert await relays(bench, order.buyer) == 1


async def counts_not_at_all(bench: Bench, order: Placed) -> None:
    """Nothing is under way either: both workflows have seen all there is."""
    await bench.resources.dispatcher.wake_entitlement(order.buyer.user_id, COURSE)
    (line,) = await bench.query("SELECT id FROM order_line WHERE order_id = %s", order.id)
    await bench.resources.dispatcher.line_changed(str(line["id"]))
    await asyncio.sleep(0.7)
    assert (await relays(bench, order.buyer), await recognitions(bench, order)) == (0, 0)


async def retried(bench: Bench, order: Placed) -> None:
    """Until the grant has been tried in vain."""
    workflow_id = ids.entitlement_workflow_id(order.buyer.user_id, COURSE)
    await until(lambda: bench.pending_attempt(workflow_id), lambda attempt: attempt > 1, "a retry")


async def refunded(bench: Bench, order: Placed) -> None:
    refund_id = await bench.refund(order.id, order.buyer.user_id)
    result = await asyncio.wait_for(bench.workflow(ids.refund_workflow_id(refund_id)).result(), 60)
    assert result == "succeeded"
    await until(
        lambda: bench.access(order.buyer, COURSE), lambda row: row.status == "revoked", "the revocation"
    )


async def test_a_completion_of_before_the_payment_counts_with_the_grant(bench: Bench) -> None:
    order = await bench.place(COURSE)
    await tell(bench, order.buyer)
    assert await relays(bench, order.buyer) == 0
    await bench.pay(order)
    await counts_once(bench, order)


async def test_a_completion_between_payment_and_grant_waits_for_the_grant(bench: Bench) -> None:
    buyer = await bench.buyer()
    await bench.lms.fault("grant", "server_error", count=None, user_id=buyer.lms_user_id)
    order = await bench.buy(COURSE, buyer=buyer)
    await retried(bench, order)
    await tell(bench, buyer)
    await counts_not_at_all(bench, order)
    await bench.lms.clear_faults()
    handle = bench.workflow(ids.entitlement_workflow_id(buyer.user_id, COURSE))
    await bench.skipper.fast_forward(handle, timedelta(minutes=1))
    await counts_once(bench, order)


async def test_a_completion_counts_for_nobody_whom_the_lms_refuses(bench: Bench) -> None:
    buyer = await bench.buyer()
    await bench.lms.suspend(buyer.lms_user_id)
    order = await bench.place(COURSE, buyer=buyer)
    await tell(bench, buyer)
    await bench.pay(order)
    await bench.wait_for_status(order.id, "fulfillment_failed")
    await counts_not_at_all(bench, order)
    await bench.lms.suspend(buyer.lms_user_id, suspended=False)
    async with bench.resources.database.transaction() as session:
        await entitlements.ask_retry(session, (await bench.access(buyer, COURSE)).id)
    await bench.resources.dispatcher.wake_entitlement(buyer.user_id, COURSE)
    await counts_once(bench, order)


async def test_who_once_had_access_is_told_of_also_after_a_refund(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    await refunded(bench, order)
    await tell(bench, order.buyer)
    await until(lambda: relays(bench, order.buyer), lambda n: n == 1, "the relay")
    assert await recognitions(bench, order) == 0


async def test_a_course_completed_before_its_refund_is_no_revenue_of_a_second_order_that_is_refused(
    bench: Bench,
) -> None:
    first = await bench.bought(COURSE)
    await tell(bench, first.buyer)
    await counts_once(bench, first)
    await refunded(bench, first)
    await bench.lms.suspend(first.buyer.lms_user_id)
    second = await bench.buy(COURSE, buyer=first.buyer)
    await bench.wait_for_status(second.id, "fulfillment_failed")
    assert await recognitions(bench, second) == 0


async def test_the_same_completion_told_twice_is_relayed_once_until_it_is_taken_back(bench: Bench) -> None:
    """A plugin's event and polling know the same completion by different ids."""
    order = await bench.bought(COURSE)
    for _ in range(2):
        await tell(bench, order.buyer)
        await counts_once(bench, order)
    await tell(bench, order.buyer)
    await asyncio.sleep(0.7)
    await counts_once(bench, order)
    await tell(bench, order.buyer, completions.TAKEN_BACK)
    await tell(bench, order.buyer)
    await until(lambda: relays(bench, order.buyer), lambda n: n == 2, "the second relay")
    kept = await bench.query("SELECT 1 FROM completion WHERE lms_user_id = %s", order.buyer.lms_user_id)
    assert len(kept) == 4
    tasks = await bench.query("SELECT 1 FROM operator_task WHERE order_id = %s", order.id)
    assert len(tasks) == 1


async def test_what_is_taken_back_between_relay_and_recognition_is_a_task(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    line = await bench.one("SELECT id FROM order_line WHERE order_id = %s", order.id)
    activities = next(
        one
        for one in make_activities(bench.settings, bench.resources)
        if isinstance(one, EntitlementActivities)
    )
    async with bench.resources.database.transaction() as session:
        await completions.store(
            session,
            lms_event_id=uuid.uuid4().hex,
            lms_user_id=order.buyer.lms_user_id,
            lms_course_id=COURSE,
            completed_at=datetime.now(UTC),
        )
    told = await activities.relay_completions(EntitlementInput(order.buyer.user_id, COURSE))
    assert told.line_ids == [str(line["id"])]
    async with bench.resources.database.transaction() as session:
        body = {"user_id": order.buyer.lms_user_id, "course_id": COURSE}
        event = {"id": uuid.uuid4().hex, "type": completions.TAKEN_BACK, "data": body}
        await completions.take_in(session, event)
    await activities.tell_waiting(told)
    await asyncio.sleep(0.7)
    assert await recognitions(bench, order) == 0
    tasks = await bench.query("SELECT kind FROM operator_task WHERE order_id = %s", order.id)
    assert [task["kind"] for task in tasks] == ["completion_taken_back"]

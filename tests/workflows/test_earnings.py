"""Revenue is recognized by completion or at the deadline; earnings are released after the hold."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from activities import splits
from activities.earnings import ledger_of, post_outcome
from domain import ids
from domain.ledger import Outcome, open_dispute, win_dispute
from domain.messages import LineInput
from models.queries import completions, order_lines, orders
from tests.workflows.bench import Bench, Placed, until

COURSE = "python-101"


async def the_line(bench: Bench, order: Placed) -> dict[str, Any]:
    return await bench.one("SELECT * FROM order_line WHERE order_id = %s", order.id)


async def kinds(bench: Bench, order: Placed) -> list[str]:
    rows = await bench.query("SELECT kind FROM journal_entry WHERE order_id = %s ORDER BY id", order.id)
    return [row["kind"] for row in rows]


async def earning_events(bench: Bench, order: Placed) -> list[str]:
    rows = await bench.query(
        "SELECT type FROM outbound_event WHERE type LIKE 'earning.%%' AND data->>'order_id' = %s ORDER BY id",
        order.id,
    )
    return [row["type"] for row in rows]


async def complete(bench: Bench, order: Placed) -> None:
    """The LMS says that the learner has completed the course."""
    done = await bench.lms.complete(order.buyer.lms_user_id, COURSE)
    async with bench.resources.database.transaction() as session:
        await completions.store(
            session,
            lms_event_id=done.event_id,
            lms_user_id=order.buyer.lms_user_id,
            lms_course_id=COURSE,
            completed_at=datetime.fromisoformat(done.completed_at),
        )
    await bench.resources.dispatcher.wake_entitlement(order.buyer.user_id, COURSE)


async def test_earnings_are_released_only_after_the_hold(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    line = await the_line(bench, order)
    split = bench.workflow(ids.split_workflow_id(str(line["id"])))
    await complete(bench, order)
    await until(lambda: the_line(bench, order), lambda row: row["accrued_at"] is not None, "the accrual")
    assert await earning_events(bench, order) == ["earning.accrued"]

    await bench.skipper.fast_forward(split, timedelta(days=29, hours=23))
    assert (await the_line(bench, order))["released_at"] is None
    assert await earning_events(bench, order) == ["earning.accrued"]

    await bench.skipper.fast_forward(split, timedelta(hours=2))
    assert await asyncio.wait_for(split.result(), 60) == "released"
    assert (await the_line(bench, order))["released_at"] is not None
    before = await kinds(bench, order)
    again = splits.SplitActivities(bench.resources.transactions)
    for step in (again.recognize_line, again.release_line):  # as after an answer that was lost
        await step(LineInput(str(line["id"])))
    assert await kinds(bench, order) == before
    assert await earning_events(bench, order) == ["earning.accrued", "earning.released"]
    findings = await bench.findings()
    assert findings["earnings.events_equal_ledger"].violations == []
    assert findings["ledger.entries_balance"].violations == []


async def test_revenue_is_recognized_at_the_deadline_when_nobody_completes(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    line = await the_line(bench, order)
    split = bench.workflow(ids.split_workflow_id(str(line["id"])))
    await bench.skipper.fast_forward(split, timedelta(days=13, hours=23))
    assert (await the_line(bench, order))["accrued_at"] is None
    assert await earning_events(bench, order) == []
    before = await kinds(bench, order)

    await bench.skipper.fast_forward(split, timedelta(hours=2))
    await until(lambda: the_line(bench, order), lambda row: row["accrued_at"] is not None, "the accrual")
    assert await earning_events(bench, order) == ["earning.accrued"]
    assert len(await kinds(bench, order)) > len(before)
    assert (await the_line(bench, order))["released_at"] is None


async def test_a_completion_after_the_deadline_recognizes_nothing_twice(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    line = await the_line(bench, order)
    split = bench.workflow(ids.split_workflow_id(str(line["id"])))
    await bench.skipper.fast_forward(split, timedelta(days=15))
    await until(lambda: the_line(bench, order), lambda row: row["accrued_at"] is not None, "the accrual")
    before = await kinds(bench, order)
    await complete(bench, order)
    await bench.skipper.fast_forward(split, timedelta(days=1))
    assert await kinds(bench, order) == before
    assert await earning_events(bench, order) == ["earning.accrued"]


async def test_a_refund_during_the_hold_releases_nothing(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    line = await the_line(bench, order)
    split = bench.workflow(ids.split_workflow_id(str(line["id"])))
    await complete(bench, order)
    await until(lambda: the_line(bench, order), lambda row: row["accrued_at"] is not None, "the accrual")
    refund_id = await bench.refund(order.id, order.buyer.user_id)
    result = await asyncio.wait_for(bench.workflow(ids.refund_workflow_id(refund_id)).result(), 60)
    assert result == "succeeded"
    assert await asyncio.wait_for(split.result(), 60) == "refunded"
    assert await earning_events(bench, order) == ["earning.accrued", "earning.reversed"]
    assert (await bench.findings())["earnings.events_equal_ledger"].violations == []


# --- what stands against a release -------------------------------------------------------------------------


async def held(bench: Bench) -> tuple[Placed, str]:
    """An order whose earnings are held, and the id of its split."""
    order = await bench.bought(COURSE)
    line = await the_line(bench, order)
    await complete(bench, order)
    await until(lambda: the_line(bench, order), lambda row: row["accrued_at"] is not None, "the accrual")
    return order, ids.split_workflow_id(str(line["id"]))


async def dispute(bench: Bench, order: Placed, state: str) -> None:
    """Open or win a dispute, as its workflow does it: books, axis, message."""
    async with bench.resources.transactions.begin() as tx:
        row = await orders.get(tx.session, order.id, lock=True)
        assert row is not None
        lines = await order_lines.of_order(tx.session, order.id, lock=True)
        books = [ledger_of(line, row.currency) for line in lines]
        outcome: Outcome
        if state == "open":
            outcome = open_dispute(f"dp_{order.id}", books, amount=row.total)
        else:
            outcome = win_dispute(f"dp_{order.id}", books, amount=row.total)
        await post_outcome(tx, outcome, row, lines, reason="dispute")
    await bench.query("UPDATE orders SET dispute_state = %s WHERE id = %s", state, order.id)
    for line in lines:
        await bench.resources.dispatcher.resume_split(line.id)


async def test_a_dispute_freezes_earnings_past_their_hold_until_it_is_won(bench: Bench) -> None:
    order, split = await held(bench)
    await dispute(bench, order, "open")
    await bench.skipper.fast_forward(bench.workflow(split), timedelta(days=31))
    assert (await the_line(bench, order))["released_at"] is None
    assert await earning_events(bench, order) == ["earning.accrued", "earning.frozen"]

    # Whoever was asked to release before the dispute was known finds it, too.
    await splits.SplitActivities(bench.resources.transactions).release_line(
        LineInput(split.removeprefix("split/"))
    )
    assert (await the_line(bench, order))["released_at"] is None

    await dispute(bench, order, "won")
    assert await asyncio.wait_for(bench.workflow(split).result(), 20) == "released"
    told = ["earning.accrued", "earning.frozen", "earning.unfrozen", "earning.released"]
    assert await earning_events(bench, order) == told
    findings = await bench.findings()
    assert findings["earnings.none_released_while_frozen"].violations == []
    assert findings["earnings.events_equal_ledger"].violations == []


async def test_a_refund_under_way_keeps_the_rest_from_being_released(bench: Bench) -> None:
    order = await bench.place(COURSE)
    await bench.pay(order, "pm_card_pendingRefund")
    assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 20) == "fulfilled"
    line = await the_line(bench, order)
    split = bench.workflow(ids.split_workflow_id(str(line["id"])))
    await complete(bench, order)
    await until(lambda: the_line(bench, order), lambda row: row["accrued_at"] is not None, "the accrual")
    refund_id = await bench.refund(order.id, order.buyer.user_id, amount=1000)
    await until(
        lambda: bench.one("SELECT * FROM refund WHERE id = %s", refund_id),
        lambda row: row["provider_refund_id"] is not None,
        "the processor's refund",
    )
    await bench.skipper.fast_forward(split, timedelta(days=31))
    assert (await the_line(bench, order))["released_at"] is None

    found = await bench.one("SELECT provider_refund_id FROM refund WHERE id = %s", refund_id)
    await bench.stripe.settle_refund(found["provider_refund_id"])
    await bench.take_events_in()
    assert await asyncio.wait_for(split.result(), 20) == "released"
    told = ["earning.accrued", "earning.reversed", "earning.released"]
    assert await earning_events(bench, order) == told

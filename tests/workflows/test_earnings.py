"""Revenue is recognized by completion or at the deadline; earnings are released after the hold."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from domain import ids
from models.queries import entitlements
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
        await entitlements.store_completion(
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
    assert await asyncio.wait_for(split.result(), 20) == "released"
    assert (await the_line(bench, order))["released_at"] is not None
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
    result = await asyncio.wait_for(bench.workflow(ids.refund_workflow_id(refund_id)).result(), 20)
    assert result == "succeeded"
    assert await asyncio.wait_for(split.result(), 20) == "refunded"
    assert await earning_events(bench, order) == ["earning.accrued", "earning.reversed"]
    assert (await bench.findings())["earnings.events_equal_ledger"].violations == []

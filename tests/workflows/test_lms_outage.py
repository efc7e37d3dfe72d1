"""Many orders while the LMS is away, or under maintenance."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import TimeSkipper

from activities.boundary import Transactions
from activities.lms_gate import LmsGate
from domain import ids
from models.database import Database
from models.queries import lms_gate
from tests.workflows.bench import Bench, Placed, until
from tests.workflows.running import Standins, running_bench

COURSE = "python-101"
ORDERS = 24
PER_SECOND = 10.0


@pytest.fixture(scope="module")
async def bench(database_url: str, standins: Standins, patient_skipper: TimeSkipper) -> AsyncIterator[Bench]:
    """A worker that may ask the LMS ten times a second."""
    queue = f"bench-{__name__}"
    async with running_bench(
        database_url, standins, patient_skipper, queue, lms_calls_per_second=PER_SECOND
    ) as found:
        yield found


async def bought(bench: Bench, number: int) -> list[Placed]:
    """That many paid orders of as many learners, some at once."""
    some = asyncio.Semaphore(8)

    async def one() -> Placed:
        async with some:
            order = await bench.place(COURSE)
            assert order.intent_id is not None
            await bench.stripe.confirm(order.intent_id, "pm_card_visa")
            return order

    orders = await asyncio.gather(*(one() for _ in range(number)))
    await bench.take_events_in()
    return orders


async def changes(bench: Bench, order: Placed) -> list[str]:
    log = await bench.lms.log(order.buyer.lms_user_id, COURSE)
    return [entry.operation for entry in log if entry.changed]


async def test_after_three_days_every_paid_order_is_granted_once_and_no_faster_than_allowed(
    bench: Bench,
) -> None:
    await bench.lms.fault("grant", "rate_limited", retry_after=str(24 * 3600), count=None)
    orders = await bought(bench, ORDERS)
    accesses = [bench.workflow(ids.entitlement_workflow_id(order.buyer.user_id, COURSE)) for order in orders]

    async def waiting() -> int:
        row = await bench.one(
            "SELECT count(*) AS n FROM entitlement WHERE status = 'granting' AND attempts > 0 "
            "AND waits_for = 'lms_unavailable' AND next_try_at > now() + interval '23 hours'"
        )
        return int(row["n"])

    await until(waiting, lambda found: found == ORDERS, "all wait")
    await asyncio.gather(*(bench.skipper.fast_forward(access, timedelta(days=3)) for access in accesses))
    assert await bench.query("SELECT id FROM entitlement WHERE status <> 'granting'") == []
    assert {str((await bench.order(order.id)).status) for order in orders} == {"fulfilling"}

    await bench.lms.clear_faults()
    await asyncio.gather(*(bench.skipper.fast_forward(access, timedelta(hours=25)) for access in accesses))
    for order in orders:
        assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 60) == "fulfilled"
        assert await changes(bench, order) == ["grant"]
    buyers = {order.buyer.lms_user_id for order in orders}
    granted = sorted(
        datetime.fromisoformat(entry.at)
        for entry in await bench.lms.log(None, COURSE)
        if entry.changed and entry.user_id in buyers
    )
    assert (granted[-1] - granted[0]).total_seconds() > 0.8 * (ORDERS - 1) / PER_SECOND
    assert await bench.query("SELECT id FROM entitlement WHERE attempts > 0 OR next_try_at IS NOT NULL") == []


async def test_two_workers_keep_one_pace(bench: Bench, database_url: str) -> None:
    """Each with a gate and connections of its own."""
    database, turns = Database(database_url), 20
    try:
        transactions = Transactions(database, bench.resources.dispatcher)
        gates = [LmsGate(one, calls_per_second=40) for one in (bench.resources.transactions, transactions)]
        began = time.monotonic()
        await asyncio.gather(*(gate.enter() for gate in gates * turns))
        assert time.monotonic() - began >= (2 * turns - 1) / 40
    finally:
        await database.aclose()


async def test_a_grant_that_is_several_calls_takes_as_many_turns(bench: Bench) -> None:
    gate, turns, calls = LmsGate(bench.resources.transactions, calls_per_second=40), 5, 4
    began = time.monotonic()
    for _ in range(turns):
        await gate.enter(calls=calls)
    assert time.monotonic() - began >= (turns - 1) * calls / 40


async def test_maintenance_lets_grants_wait_and_goes_on_selling(bench: Bench) -> None:
    operator = await bench.buyer()
    async with bench.resources.database.transaction() as session:
        until_when = datetime.now(UTC) + timedelta(hours=1)
        await lms_gate.begin_maintenance(
            session, reason="upgrade", until=until_when, user_id=operator.user_id
        )
    try:
        order = (await bought(bench, 1))[0]
        await bench.wait_for_status(order.id, "fulfilling")
        waiting = await until(
            lambda: bench.access(order.buyer, COURSE), lambda row: row.attempts > 0, "the first attempt"
        )
        assert waiting.waits_for == "lms_maintenance"
        assert await bench.lms.log(order.buyer.lms_user_id, COURSE) == [], "nothing was asked of the LMS"
    finally:
        async with bench.resources.database.transaction() as session:
            await lms_gate.end_maintenance(session)
    access = bench.workflow(ids.entitlement_workflow_id(order.buyer.user_id, COURSE))
    await bench.skipper.fast_forward(access, timedelta(minutes=11))
    assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 60) == "fulfilled"
    assert await changes(bench, order) == ["grant"]

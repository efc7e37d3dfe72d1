"""Many orders while the LMS is away, or under maintenance."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from temporalio.testing import TimeSkipper

from activities.boundary import Transactions
from activities.lms_gate import Busy, LmsGate
from domain import ids
from models.database import Database
from models.queries import lms_gate
from tests.harness.servers import Servers
from tests.workflows.bench import Bench, Buyer, Placed, until
from tests.workflows.running import Standins, running_bench

COURSE = "python-101"
# Each attempt of skipped days costs real time: one waits from the beginning, the others for the last hour.
ORDERS, FROM_THE_START = 14, 1
PER_SECOND = 10.0
MakeGate = Callable[[float], LmsGate]


@pytest.fixture(scope="module")
async def bench(database_url: str, standins: Standins, patient_skipper: TimeSkipper) -> AsyncIterator[Bench]:
    """A worker that may ask the LMS ten times a second."""
    queue = f"bench-{__name__}"
    async with running_bench(
        database_url, standins, patient_skipper, queue, lms_calls_per_second=PER_SECOND
    ) as found:
        yield found


async def bought(bench: Bench, buyers: list[Buyer]) -> list[Placed]:
    """A paid order of each, some at once."""
    some = asyncio.Semaphore(8)

    async def one(buyer: Buyer) -> Placed:
        async with some:
            order = await bench.place(COURSE, buyer=buyer)
            assert order.intent_id is not None
            await bench.stripe.confirm(order.intent_id, "pm_card_visa")
            return order

    orders = await asyncio.gather(*(one(buyer) for buyer in buyers))
    await bench.take_events_in()
    return orders


async def changes(bench: Bench, order: Placed) -> list[str]:
    log = await bench.lms.log(order.buyer.lms_user_id, COURSE)
    return [entry.operation for entry in log if entry.changed]


async def test_after_three_days_every_paid_order_is_granted_once_and_no_faster_than_allowed(
    servers: Servers, fresh_database: str, standins: Standins, patient_skipper: TimeSkipper
) -> None:
    """A day of maintenance pages and two without a server: our own pauses grow, and stay at ten minutes."""
    url, queue = servers.database_url(fresh_database), f"outage-{fresh_database}"
    async with running_bench(url, standins, patient_skipper, queue) as bench:
        buyers = [await bench.buyer() for _ in range(ORDERS)]
        await bench.lms.fault("grant", "unavailable_html", count=None)
        orders = await bought(bench, buyers[:FROM_THE_START])
        await waiting(bench, FROM_THE_START)
        await pass_by(bench, orders, timedelta(days=1))
        standins.lms.stop()
        try:
            await pass_by(bench, orders, timedelta(days=2))
            attempts = await bench.query("SELECT attempts FROM entitlement WHERE status = 'granting'")
            longest, shortest, quick = 600, 300, 20  # seconds between two; how many may come before that
            for row in attempts:
                assert 3 * 86400 / longest < row["attempts"] < 3 * 86400 / shortest + quick, attempts
            assert len(attempts) == FROM_THE_START
            orders += await bought(bench, buyers[FROM_THE_START:])
            await waiting(bench, ORDERS)
            await pass_by(bench, orders[FROM_THE_START:], timedelta(hours=1))
        finally:
            standins.lms.start()
        assert {str((await bench.order(order.id)).status) for order in orders} == {"fulfilling"}
        assert [entry for order in orders for entry in await changes(bench, order)] == []

    # The same orders on a worker whose pace counts.
    async with running_bench(url, standins, patient_skipper, queue, lms_calls_per_second=PER_SECOND) as bench:
        back = datetime.now(UTC)
        await pass_by(bench, orders, timedelta(minutes=11))
        for order in orders:
            assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 60) == "fulfilled"
            assert await changes(bench, order) == ["grant"]
        rest = "SELECT id FROM entitlement WHERE attempts > 0 OR next_try_at IS NOT NULL"
        assert await bench.query(rest) == []
        ours = {order.buyer.lms_user_id for order in orders}
        asked = sorted(
            at
            for entry in await bench.lms.log(None, COURSE)
            if entry.user_id in ours and (at := datetime.fromisoformat(entry.at)) > back
        )
    assert len(asked) == ORDERS, "none is asked for twice"
    assert busiest_second(asked) <= PER_SECOND


async def waiting(bench: Bench, number: int) -> None:
    """Until so many grants have been tried in vain."""
    rows = "SELECT id FROM entitlement WHERE status = 'granting' AND waits_for = 'lms_unavailable'"
    await until(lambda: bench.query(rows), lambda found: len(found) == number, "all wait")


async def pass_by(bench: Bench, orders: list[Placed], time: timedelta) -> None:
    """Let it pass for the accesses of these orders; half a day at once, because the server skips 200 pauses
    and then no more."""
    accesses = [ids.entitlement_workflow_id(order.buyer.user_id, COURSE) for order in orders]

    async def skip(access: str) -> None:
        left = time
        while left:
            step = min(left, timedelta(hours=12))
            await bench.skipper.fast_forward(bench.workflow(access), step)
            left -= step

    await asyncio.gather(*(skip(access) for access in accesses))


def busiest_second(moments: list[datetime]) -> int:
    """How many of these lie within one second, at most."""
    second = timedelta(seconds=1)
    return max(sum(first <= moment < first + second for moment in moments) for first in moments)


@pytest.fixture
async def gates(servers: Servers, fresh_database: str, bench: Bench) -> AsyncIterator[MakeGate]:
    """Gates of several workers, each with connections of its own."""
    databases: list[Database] = []

    def make(calls_per_second: float) -> LmsGate:
        databases.append(Database(servers.database_url(fresh_database)))
        transactions = Transactions(databases[-1], bench.resources.dispatcher)
        return LmsGate(transactions, calls_per_second=calls_per_second)

    yield make
    for database in databases:
        await database.aclose()


async def ask(gate: LmsGate, arrived: list[datetime], *, requests: int = 1) -> int:
    """As workers that are late, over a slow network: what the LMS sees lies somewhere within the turn.
    Returns how many requests were made in vain, because the next one had no turn."""
    in_vain = 0
    while True:
        made = 0
        try:
            async with gate.call():
                for _ in range(requests):
                    async with gate.request():
                        await asyncio.sleep(random.uniform(0, 0.2))
                        arrived.append(datetime.now(UTC))
                        made += 1
                        await asyncio.sleep(random.uniform(0, 0.1))
                return in_vain
        except Busy:
            in_vain += made
            await asyncio.sleep(0.1)


async def test_two_workers_keep_one_pace(gates: MakeGate) -> None:
    both = [gates(20) for _ in range(2)]
    arrived: list[datetime] = []
    await asyncio.gather(*(ask(gate, arrived) for gate in both * 35))
    assert len(arrived) == 70
    assert busiest_second(arrived) <= 20


async def test_a_call_that_has_begun_has_the_turns_it_needs(gates: MakeGate) -> None:
    """However many others wait to begin: else their first requests would take every turn."""
    gate, arrived = gates(8), list[datetime]()
    in_vain = await asyncio.gather(*(ask(gate, arrived, requests=2) for _ in range(28)))
    assert sum(in_vain) == 0
    assert len(arrived) == 56
    assert busiest_second(arrived) <= 8


@pytest.mark.parametrize(("per_second", "turns", "seconds"), [(0.5, 1, 2), (1, 1, 1), (2.5, 2, 1)])
async def test_parts_of_a_call_a_second(
    gates: MakeGate, per_second: float, turns: int, seconds: float
) -> None:
    """At 2.5, two each second: more would be three in some."""
    gate, answered = gates(per_second), 0.0
    for _ in range(turns):
        async with gate.call(), gate.request():
            answered = time.monotonic()
    async with gate.call(), gate.request():
        assert time.monotonic() - answered > seconds - 0.5


async def test_a_turn_rests_from_a_late_answer_too(gates: MakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody counts on its coming back by itself while its answer may come."""
    monkeypatch.setattr("activities.lms_gate._KEPT_SECONDS", 2.0)
    monkeypatch.setattr("activities.lms_gate._TO_REACH_SECONDS", 1.0)
    gate, answered = gates(1), 0.0

    async def slow() -> None:
        nonlocal answered
        async with gate.call(), gate.request():
            await asyncio.sleep(1.8)
            answered = time.monotonic()

    first = asyncio.create_task(slow())
    await asyncio.sleep(0.5)
    async with gate.call(), gate.request():
        assert time.monotonic() - answered >= 1
    await first


async def test_who_waits_in_vain_is_told(gates: MakeGate) -> None:
    """After a while, and at once where as many wait as can have a turn in a while."""
    gate, began = gates(1), time.monotonic()

    async def refused_after() -> float:
        with pytest.raises(Busy):
            async with gate.call():
                pass
        return time.monotonic() - began

    async with gate.call():
        waited = sorted(await asyncio.gather(*(refused_after() for _ in range(5))))
    assert waited[1] < 2, waited
    assert waited[2] > 2.5, waited
    async with gate.call():
        pass


async def test_a_turn_without_an_answer_comes_back_later(
    gates: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker is dead, or the LMS is slow; the request may still arrive."""
    monkeypatch.setattr("activities.lms_gate._KEPT_SECONDS", 2.0)  # well within a caller's patience
    monkeypatch.setattr("activities.lms_gate._TO_REACH_SECONDS", 1.0)
    gate, began = gates(1), time.monotonic()
    with pytest.raises(ConnectionResetError):
        async with gate.call(), gate.request():
            raise ConnectionResetError
    async with gate.call(), gate.request():
        assert 1.5 < time.monotonic() - began < 20


async def test_a_clock_that_is_set_back_keeps_no_turn(gates: MakeGate) -> None:
    gate = gates(1)
    async with gate.call():
        pass
    async with gate._transactions.begin() as tx:
        await tx.session.execute(text("UPDATE lms_turn SET free_at = free_at + interval '1 hour'"))
    async with gate.call():
        pass


async def test_a_worker_that_stood_still_has_lost_its_turn(
    gates: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.lms_gate._KEPT_SECONDS", 4.0)
    monkeypatch.setattr("activities.lms_gate._TO_REACH_SECONDS", 2.0)
    gate, other = gates(1), gates(1)

    async def take_it() -> None:
        async with other.call(), other.request():
            await asyncio.sleep(1)

    async with gate.call():
        await asyncio.sleep(2.5)
        async with gate.request():
            pass  # a little late: it is still held
        await asyncio.sleep(4.5)
        await asyncio.create_task(take_it())
        with pytest.raises(Busy):
            async with gate.request():
                pass


async def test_maintenance_lets_grants_wait_and_goes_on_selling(bench: Bench) -> None:
    operator = await bench.buyer()
    async with bench.resources.database.transaction() as session:
        until_when = datetime.now(UTC) + timedelta(hours=1)
        await lms_gate.begin_maintenance(
            session, reason="upgrade", until=until_when, user_id=operator.user_id
        )
    try:
        order = (await bought(bench, [await bench.buyer()]))[0]
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

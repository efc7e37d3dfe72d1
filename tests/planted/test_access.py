"""Access under races, and what happens to it without its guards: each planted bug is seen by a scenario."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from sqlalchemy import text
from temporalio.testing import TimeSkipper

from activities import entitlements as access_activities
from activities import lms_calls
from devstack.lms_standin.faults import Kind
from domain import ids
from domain.errors import LmsUnavailable
from integrations.lms import standin
from models.database import Session
from models.queries import entitlements
from tests.harness.servers import Servers
from tests.planted.naive_access import LateGrants
from tests.workflows import running
from tests.workflows.bench import Bench, Buyer, Placed, until
from tests.workflows.running import Standins, running_bench
from worker import WORKFLOWS
from workflows.entitlement import EntitlementWorkflow

COURSE = "python-101"
RACES = 100
# A call of the stand-in's adapter gives up after 5 s; what it asked for may still be done until 9 s later.
SLOW_RACES, FEW_RACES = 40, 20
SETTLE_SECONDS = 9.0


# --- races ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Access:
    """A course that one line pays for."""

    line_id: str
    course_id: str


async def sold(bench: Bench, buyer: Buyer, count: int) -> list[Access]:
    """A paid order of so many courses: the lines of one are copied, so that only their access costs time."""
    order = await bench.buy(COURSE, buyer=buyer)
    await asyncio.wait_for(bench.order_workflow(order.id).result(), 60)
    await bench.query(
        "INSERT INTO order_line (id, order_id, ordinal, item_id, title, lms_course_id, unit_price, list_net, "
        "discount_net, net, tax, gross, recognition, refund_window_days, hold_seconds, awaits_revenue) "
        "SELECT uuidv7(), order_id, n + 1, item_id, title, 'race-' || n, unit_price, list_net, discount_net, "
        "net, tax, gross, recognition, refund_window_days, hold_seconds, false FROM order_line, "
        "generate_series(1, %s) n WHERE order_id = %s",
        count,
        order.id,
    )
    await asyncio.gather(*(bench.lms.add_course(f"race-{n + 1}", "A course") for n in range(count)))
    async with bench.resources.database.transaction() as session:
        await entitlements.justify(session, order.id)
    rows = await bench.query(
        "SELECT id, lms_course_id FROM order_line WHERE order_id = %s AND ordinal > 1 ORDER BY ordinal",
        order.id,
    )
    return [Access(str(row["id"]), row["lms_course_id"]) for row in rows]


@dataclass(frozen=True)
class Trouble:
    """What happens to a grant. `known`: its answer comes before anybody gives up, if only late."""

    kind: Kind | None
    seconds: tuple[float, float] = (0, 0)
    known: bool = True


QUICK = (
    Trouble("latency", (0, 0.4)),
    Trouble("latency", (0, 0.4)),
    Trouble("timeout_after_effect", (0, 0.4), known=False),
    Trouble("error_after_effect", known=False),
    Trouble(None),
)
# Beyond the first heartbeat (2 s), by which a worker learns that a call is to end.
SLOW = (
    Trouble("latency", (3, 4.5)),
    Trouble("latency", (3, 4.5)),
    Trouble("latency", (5.5, 8), known=False),
    Trouble("timeout_after_effect", (6, 8), known=False),
    Trouble("cut_before_effect", (3, 8), known=False),
)


async def race(
    bench: Bench, seed: int, races: int = RACES, troubles: tuple[Trouble, ...] = QUICK, within: float = 0.6
) -> Counter[tuple[str, ...]]:
    """Grants, and what their refunds do `within` seconds; the LMS is slow, and some of its answers are lost.

    Asserts that who still pays has access and nobody else, and that no grant whose answer came landed after
    its revoke; returns what the LMS was told, by how often.
    """
    chance = random.Random(seed)
    buyer = await bench.buyer()
    accesses = await sold(bench, buyer, races)
    kept = {access.course_id for access in chance.sample(accesses, races // 10)}
    known = set()
    for access in accesses:
        trouble = chance.choice(troubles)
        if trouble.known:
            known.add(access.course_id)
        if trouble.kind is not None:
            await bench.lms.fault(
                "grant",
                trouble.kind,
                seconds=chance.uniform(*trouble.seconds),
                user_id=buyer.lms_user_id,
                course_id=access.course_id,
            )

    async def one(access: Access, start: float, delay: float) -> None:
        await asyncio.sleep(start)
        await bench.resources.dispatcher.wake_entitlement(buyer.user_id, access.course_id)
        if access.course_id in kept:
            return
        await asyncio.sleep(delay)
        async with bench.resources.database.transaction() as session:
            await entitlements.unjustify(session, [access.line_id])
        await bench.resources.dispatcher.wake_entitlement(buyer.user_id, access.course_id)

    await asyncio.gather(
        *(one(access, chance.uniform(0, races / 25), chance.uniform(0, within)) for access in accesses)
    )
    handles = [bench.workflow(ids.entitlement_workflow_id(buyer.user_id, a.course_id)) for a in accesses]
    await asyncio.wait_for(asyncio.gather(*(handle.result() for handle in handles)), 60)
    await asyncio.sleep(0.5 + max(trouble.seconds[1] for trouble in troubles))  # what is late comes now
    wrong = []
    told: Counter[tuple[str, ...]] = Counter()
    for access in accesses:
        enrolled = bool(await bench.lms.enrolments(buyer.lms_user_id, access.course_id))
        log = await bench.lms.log(buyer.lms_user_id, access.course_id)
        told[tuple(entry.operation for entry in log if entry.changed)] += 1
        operations = [entry.operation for entry in log]
        late = access.course_id in known and operations != sorted(operations)
        if late or enrolled is not (access.course_id in kept):
            wrong.append(f"{access.course_id}: {operations}")
    assert not wrong, f"seed {seed}: {wrong}"
    return told


async def test_a_hundred_refunds_race_their_grants(own_bench: Bench) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    told = await race(own_bench, seed)
    print(told)
    # Some refunds came before anything was asked of the LMS, some after.
    assert told[()] > 0
    assert told["grant", "revoke"] > 0


@pytest.fixture
async def slow_bench(
    servers: Servers, fresh_database: str, standins: Standins, patient_skipper: TimeSkipper
) -> AsyncIterator[Bench]:
    """A worker that looks once more, seconds later, at what may have landed late."""
    url, queue = servers.database_url(fresh_database), f"planted-{fresh_database}"
    async with running_bench(
        url, standins, patient_skipper, queue, lms_settle_seconds=SETTLE_SECONDS
    ) as found:
        yield found


async def test_refunds_race_grants_that_take_seconds_or_land_when_nobody_waits_any_more(
    slow_bench: Bench,
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    told = await race(slow_bench, seed, SLOW_RACES, SLOW, within=4)
    print(told)
    assert told["grant", "revoke"] > 0


async def test_planted_a_call_that_is_abandoned_with_its_activity_is_seen(
    slow_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def abandoned(asked: asyncio.Task[None]) -> None:
        await asked  # whose waiter is cancelled is cancelled, too

    monkeypatch.setattr(lms_calls, "to_its_end", abandoned)
    with pytest.raises(AssertionError, match="race-"):
        await race(slow_bench, 7, FEW_RACES, SLOW, within=4)


async def test_planted_a_revoke_that_is_not_repeated_after_a_lost_grant_is_seen(
    slow_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_activities, "_owed", lambda row: ("", 0))
    with pytest.raises(AssertionError, match="race-"):
        await race(slow_bench, 7, FEW_RACES, SLOW, within=4)


@pytest.fixture
async def naive_bench(
    servers: Servers,
    fresh_database: str,
    standins: Standins,
    patient_skipper: TimeSkipper,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Bench]:
    """A worker whose entitlement workflow lets a late grant land."""
    naive = [LateGrants if found is EntitlementWorkflow else found for found in WORKFLOWS]
    monkeypatch.setattr(running, "WORKFLOWS", naive)
    url, queue = servers.database_url(fresh_database), f"planted-{fresh_database}"
    async with running_bench(url, standins, patient_skipper, queue) as found:
        yield found


async def test_planted_a_grant_that_lands_after_the_revoke_is_seen(
    naive_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that is busy, twenty races may all be won by luck; a hundred are not. A second revoke
    would mend what the first one left."""
    monkeypatch.setattr(access_activities, "_owed", lambda row: ("", 0))

    async def races() -> None:
        for seed in range(7, 13):
            await race(naive_bench, seed=seed, races=20)

    with pytest.raises(AssertionError, match="race-"):
        await races()


# --- refused for good -------------------------------------------------------------------------------


async def status_of(bench: Bench, buyer: Buyer) -> str | None:
    rows = await bench.query("SELECT status FROM entitlement WHERE user_id = %s", buyer.user_id)
    return rows[0]["status"] if rows else None


async def ends_refused(bench: Bench) -> None:
    """An answer that nobody here knows ends the tries, and waits for a person."""
    buyer = await bench.buyer()
    await bench.lms.fault("grant", "reject", code="a_code_of_tomorrow", count=None, user_id=buyer.lms_user_id)
    order = await bench.buy(COURSE, buyer=buyer)
    handle = bench.workflow(ids.entitlement_workflow_id(buyer.user_id, COURSE))
    await until(lambda: status_of(bench, buyer), lambda status: status is not None, "an access")
    await until(lambda: status_of(bench, buyer), lambda status: status == "failed", "the end", 8)
    assert await asyncio.wait_for(handle.result(), 30) == "failed"
    assert (await bench.access(buyer, COURSE)).failure_code == "a_code_of_tomorrow"
    await bench.wait_for_status(order.id, "fulfillment_failed")
    assert [entry.operation for entry in await bench.lms.log(buyer.lms_user_id, COURSE)] == ["grant"]


async def test_an_unknown_refusal_waits_for_a_person(own_bench: Bench) -> None:
    await ends_refused(own_bench)


async def test_planted_an_unknown_refusal_that_is_tried_for_ever_is_seen(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(standin._REJECTIONS, "a_code_of_tomorrow", LmsUnavailable)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="the end"):
        await ends_refused(own_bench)


# --- a course that was bought twice -----------------------------------------------------------------


async def keeps_access_until_the_last_refund(bench: Bench) -> None:
    """A course alone and in a bundle: the refund of the first keeps access, of the second revokes."""
    buyer = await bench.buyer()
    orders: list[Placed] = []
    for slug in (COURSE, "career-bundle"):
        orders.append(await bench.buy(slug, buyer=buyer))
        await asyncio.wait_for(bench.order_workflow(orders[-1].id).result(), 60)
    for order, wanted in zip(orders, ("granted", "revoked"), strict=True):
        refund_id = await bench.refund(order.id, buyer.user_id)
        result = bench.workflow(ids.refund_workflow_id(refund_id)).result()
        assert await asyncio.wait_for(result, 60) == "succeeded"
        await bench.wait_for_status(order.id, "refunded")
        handle = bench.workflow(ids.entitlement_workflow_id(buyer.user_id, COURSE))
        assert await asyncio.wait_for(handle.result(), 60) == wanted
    changes = [entry.operation for entry in await bench.lms.log(buyer.lms_user_id, COURSE) if entry.changed]
    assert changes == ["grant", "revoke"]


async def test_of_two_orders_of_a_course_the_last_refund_revokes(own_bench: Bench) -> None:
    await keeps_access_until_the_last_refund(own_bench)


async def test_planted_a_refund_that_ends_every_right_is_seen(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ends_all(session: Session, line_ids: list[str]) -> None:
        await session.execute(
            text(
                "UPDATE justification SET active = false WHERE entitlement_id IN (SELECT entitlement_id "
                "FROM justification WHERE line_id = ANY(CAST(:ids AS uuid[])))"
            ),
            {"ids": line_ids},
        )

    monkeypatch.setattr(entitlements, "unjustify", ends_all)
    with pytest.raises(AssertionError, match="granted"):
        await keeps_access_until_the_last_refund(own_bench)

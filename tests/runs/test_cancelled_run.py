"""A cancelled run: 200 buyers who answer at random, late or never; and bugs that the oracle has to find."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import text

from activities import line_moves
from devstack.stripe_standin.control import StripeControl
from domain.resolutions import ResolutionChoice, ResolutionState, RunChangeKind
from integrations.payments import StripePayments
from models.database import Database
from models.queries import catalog, invariants, refunds, resolutions, run_changes
from models.queries.resolutions import ResolutionRow
from tests.lms.processes import StandinProcess
from tests.runs.buyers import CARD, CREDIT, NOTHING, PRICE, TAX, buyers_of, change_run, make_run, pays
from tests.runs.desk import Desk

SEED = 20261123
# With those who pay while the run is being cancelled: 200.
WAYS = [CARD] * 70 + [CREDIT] * 90 + [NOTHING] * 34
WHILE = [CARD] * 3 + [CREDIT] * 3
PLACES = 25  # in each of two other runs: fewer than are wanted
CHOICE = ResolutionChoice
# About access: nobody grants here.
_NOT_HERE = frozenset({"entitlements.justified"})


@pytest.fixture(scope="module")
def stripe_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandinProcess]:
    process = StandinProcess("devstack.stripe_standin", "--data-dir", str(tmp_path_factory.mktemp("stripe")))
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def desk(database_url: str, stripe_process: StandinProcess) -> AsyncIterator[Desk]:
    database = Database(database_url, pool_size=12)
    api = StripePayments("sk_test_runs", stripe_process.base_url)
    async with StripeControl(stripe_process.base_url) as stripe:
        yield Desk(database, api, stripe, SEED)
    await api.aclose()
    await database.aclose()


async def violations(desk: Desk) -> dict[str, list[str]]:
    """What the oracle finds, by invariant."""
    found = {}
    async with desk.database.transaction() as session:
        for one in invariants.DATABASE_INVARIANTS:
            broken = await invariants.violations(session, one)
            if broken and one.name not in _NOT_HERE:
                found[one.name] = broken
    return found


async def questions(desk: Desk, change: str) -> list[ResolutionRow]:
    async with desk.database.transaction() as session:
        return await resolutions.page(
            session, user_id=None, state=None, run_change_id=change, before=None, limit=1000
        )


async def seats(desk: Desk, *item_ids: str) -> list[int]:
    async with desk.database.transaction() as session:
        found = await catalog.by_ids(session, list(item_ids))
    return [found[item_id].seats_taken for item_id in item_ids]


async def rights(desk: Desk) -> dict[str, str]:
    """The course that each line gives a right to now."""
    async with desk.database.transaction() as session:
        rows = await session.execute(
            text(
                "SELECT j.line_id, e.lms_course_id FROM justification j "
                "JOIN entitlement e ON e.id = j.entitlement_id WHERE j.active"
            )
        )
        return {str(row.line_id): row.lms_course_id for row in rows}


async def test_two_hundred_buyers_of_a_cancelled_run_each_end_with_something(desk: Desk) -> None:
    """Some choose, some too late, some never; some want seats that are gone; some pay meanwhile."""
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    item_id = await make_run(desk, "family", len(WAYS) + len(WHILE) + 4)
    others = [await make_run(desk, "family", PLACES) for _ in range(2)]
    buyers = await buyers_of(desk, item_id, rng.sample(WAYS, len(WAYS)))
    paying = await buyers_of(desk, item_id, WHILE, paid=False)
    unpaid = await buyers_of(desk, item_id, [CARD] * 4, paid=False)
    async with desk.database.transaction() as session:
        processing = [buyer.order_id for buyer in paying]
        await session.execute(
            text("UPDATE orders SET payment_state = 'processing' WHERE id::text = ANY(:ids)"),
            {"ids": processing},
        )
    change = await change_run(desk, item_id)
    assert not await desk.review(change)
    await asyncio.gather(*(pays(desk, buyer) for buyer in paying))
    assert not await desk.review(change)
    await desk.ask()
    everybody = {buyer.order_id: buyer for buyer in [*buyers, *paying]}
    asked = await questions(desk, change)
    assert {row.order_id for row in asked} == set(everybody)
    assert len(asked) == 200
    assert all(row.asked_at for row in asked)
    ends = await answers(desk, rng, asked, others)
    assert await desk.review(change)
    await desk.pay_back()

    taken = [ends[row.id] for row in asked if ends[row.id] in others]
    assert len(taken) == 2 * PLACES, "more wanted to move than there are seats"
    assert await seats(desk, item_id, *others) == [0, PLACES, PLACES]
    by_card = set()
    courses = await rights(desk)
    for row in await questions(desk, change):
        buyer = everybody[row.order_id]
        assert courses.get(row.line_id) == (f"course-{row.item_id}" if row.item_id else None)
        assert (row.state, row.item_id or row.choice) == (ResolutionState.DONE, ends[row.id])
        assert row.justified == (row.choice is CHOICE.OTHER_RUN)
        async with desk.database.transaction() as session:
            back = [(one.amount, one.credit_amount) for one in await refunds.of_order(session, row.order_id)]
        gives = row.choice is not CHOICE.OTHER_RUN and buyer.how != NOTHING
        in_credit = row.choice is CHOICE.STORE_CREDIT or buyer.how == CREDIT
        assert back == [(PRICE + TAX, (PRICE + TAX) * in_credit)] * gives
        if gives and not in_credit:
            by_card.add(buyer.intent_id)
    sent = await desk.stripe.listing("refunds")
    assert {one["payment_intent"] for one in sent} == by_card
    assert len(sent) == len(by_card), "no card was paid back twice"
    async with desk.database.transaction() as session:
        told = await session.execute(
            text(
                "SELECT type, count(*) AS n FROM outbound_event WHERE type LIKE 'resolution.%' "
                "OR type = 'order.canceled' GROUP BY type"
            )
        )
        counted = {row.type: row.n for row in told}
    assert counted == {
        "resolution.asked": 200,
        "resolution.decided": 200,
        "order.canceled": len(unpaid),
    }
    assert await violations(desk) == {}


async def answers(
    desk: Desk, rng: random.Random, asked: list[ResolutionRow], others: list[str]
) -> dict[str, str]:
    """Everybody answers, too late or never, all side by side; what each ended with."""
    kinds = [CHOICE.OTHER_RUN, CHOICE.STORE_CREDIT, CHOICE.REFUND, "late", "never"]
    plans = [(row, rng.choices(kinds, [40, 20, 15, 15, 10])[0], rng.sample(others, 2)) for row in asked]

    async def one(row: ResolutionRow, plan: str, runs: list[str]) -> tuple[str, str]:
        if plan in ("late", "never"):
            assert (await desk.deadline(row.id)).choice is CHOICE.REFUND
            if plan == "late":
                refusal = (await desk.choose(row.id, f"late-{row.id}", CHOICE.STORE_CREDIT)).refusal
                assert refusal is not None
                assert refusal.code == "resolution_closed"
            return row.id, str(CHOICE.REFUND)
        wanted = CHOICE(plan)
        if wanted is CHOICE.OTHER_RUN:
            for run in runs:
                question = await desk.choose(row.id, f"{run}-{row.id}", wanted, run)
                if question.refusal is None:
                    return row.id, run
                assert question.refusal.code == "sold_out"
            wanted = CHOICE.REFUND
        assert (await desk.choose(row.id, f"money-{row.id}", wanted)).refusal is None
        return row.id, str(wanted)

    return dict(await asyncio.gather(*(one(*plan) for plan in plans)))


async def two_buyers(desk: Desk) -> tuple[str, str, str, list[ResolutionRow]]:
    """A cancelled run with two buyers who were asked, another run, and the change."""
    family = f"family-{random.Random().random()}"
    item_id, other = await make_run(desk, family, 5), await make_run(desk, family, 5)
    await buyers_of(desk, item_id, [CREDIT, CREDIT])
    change = await change_run(desk, item_id)
    await desk.review(change)
    await desk.ask()
    return item_id, other, change, await questions(desk, change)


async def test_two_tabs_that_choose_at_once_get_one_thing(desk: Desk) -> None:
    item_id, other, _, (row, _) = await two_buyers(desk)
    tries = [
        desk.choose(row.id, "tab 1", CHOICE.OTHER_RUN, other),
        desk.choose(row.id, "tab 2", CHOICE.STORE_CREDIT),
        desk.deadline(row.id),
    ]
    found = await asyncio.gather(*tries)
    assert sorted(one.refusal is None for one in found) == [False, False, True]
    await desk.pay_back()
    async with desk.database.transaction() as session:
        back = await refunds.of_order(session, row.order_id)
    now = await seats(desk, item_id, other)
    assert (len(back), now) in [(0, [1, 1]), (1, [1, 0])]
    assert await violations(desk) == {}


async def test_the_oracle_finds_planted_bugs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is undone again, or the next would find it."""

    async def nothing(*_: object) -> None:
        return

    # A seat that is not given back.
    item_id, other, change, (first, second) = await two_buyers(desk)
    with monkeypatch.context() as planted:
        planted.setattr(line_moves.catalog, "release_seat", nothing)
        assert (await desk.choose(first.id, "move", CHOICE.OTHER_RUN, other)).refusal is None
    assert set(await violations(desk)) == {"seats.within_capacity"}
    async with desk.database.transaction() as session:
        await catalog.release_seat(session, item_id)
    assert await violations(desk) == {}

    # A change that ends while somebody has not been asked, or was asked what nobody could answer any more.
    await desk.choose(second.id, "money", CHOICE.REFUND)
    await desk.pay_back()
    assert await desk.review(change)
    for kind in RunChangeKind:
        item_id = await make_run(desk, f"forgotten-{kind}", 5)
        await buyers_of(desk, item_id, [CREDIT])
        change = await change_run(desk, item_id, kind)
        async with desk.database.transaction() as session:
            await run_changes.set_done(session, change)
        assert set(await violations(desk)) == {"runs.nobody_forgotten"}
        await reopened(desk, change)
        assert not await desk.review(change)
        assert await violations(desk) == {}
        (asked,) = await questions(desk, change)
        async with desk.database.transaction() as session:
            await resolutions.end(session, asked.id, ResolutionState.WITHDRAWN)
            await run_changes.set_done(session, change)
        assert set(await violations(desk)) == {"runs.nobody_forgotten"}
        await reopened(desk, change)
        assert not await desk.review(change)
        assert await violations(desk) == {}


async def reopened(desk: Desk, change: str) -> None:
    async with desk.database.transaction() as session:
        orders = await session.execute(
            text(
                "SELECT l.order_id FROM order_line l JOIN run_change c ON c.item_id = l.item_id "
                "WHERE c.id = :id"
            ),
            {"id": change},
        )
        for row in orders:
            await run_changes.reopen(session, str(row.order_id))

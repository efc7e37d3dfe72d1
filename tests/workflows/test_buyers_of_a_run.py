"""A cancelled run with many buyers on real workflows: they answer in time, or time passes over them.

A test run has 36; `RUN_BUYERS=200 pytest tests/workflows/test_buyers_of_a_run.py` takes minutes. Most are
written as paid by the product's own functions (tests/runs/buyers.py); access, questions, refunds and disputes
are the product's workflows. Some buy by themselves: bundles, two courses in one order, free places; some are
paid back in part, some dispute.
"""

import asyncio
import os
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from temporalio.client import WorkflowUpdateFailedError

from activities.capture import Capture
from domain import ids
from domain.resolutions import ResolutionChoice, ResolutionState
from models.queries import catalog, invariants, resolutions
from models.queries.catalog import Price
from models.queries.resolutions import ResolutionRow
from tests.runs import buyers
from tests.runs.buyers import CARD, CREDIT, NOTHING, Till, buyers_of, make_run
from tests.runs.desk import SELLER
from tests.workflows.bench import Bench, Buyer, Placed, refusal_code, until
from tests.workflows.test_disputes import disputed, in_state
from tests.workflows.test_resolutions import change_ended, change_run, choose, ended, seats

T = TypeVar("T")
SEED = 20261129
BUYERS = int(os.environ.get("RUN_BUYERS", "36"))
# Who buys from checkout to access; the others are written as paid, a sixth of them in EUR.
BOUGHT = ["bundle"] * 5 + ["two"] * 5 + ["part"] * 6 + ["free"] * 2 + ["won"] * 3 + ["lost"] * 3
WAYS = [CARD, CREDIT, CARD, CREDIT, NOTHING]
IN_EUR = (BUYERS - len(BOUGHT)) // 6
WRITTEN = {
    "USD": [WAYS[n % 5] for n in range(BUYERS - len(BOUGHT) - IN_EUR)],
    "EUR": [WAYS[n % 2] for n in range(IN_EUR)],
}
PLACES = BUYERS // 8  # in each of two other runs: fewer than are wanted
CHOICE = ResolutionChoice
COURSE = "python-101"
# Each sees through what was begun, so that no backlog lets the others wait for longer than a caller would.
AT_ONCE = 6


@dataclass
class Crowd:
    """The buyers of one run by order, and what is special about some."""

    by_order: dict[str, Buyer] = field(default_factory=dict)
    paid_back: dict[str, int] = field(default_factory=dict)
    beside: set[str] = field(default_factory=set)  # orders that have COURSE, too
    disputes: dict[str, tuple[str, bool]] = field(default_factory=dict)  # the dispute, and whether it is won


async def some_at_once(of: Callable[..., Awaitable[T]], many: Iterable[Any]) -> list[T]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(given: Any) -> T:
        async with gate:
            return await of(given)

    return list(await asyncio.gather(*(one(given) for given in many)))


# --- buying -----------------------------------------------------------------------------------------------


def till_of(bench: Bench) -> Till:
    resources = bench.resources
    return Till(resources.database, resources.transactions, Capture(SELLER), resources.payments, bench.stripe)


async def run_of(bench: Bench, family: str, places: int) -> str:
    """A dated run of a course that the LMS knows, sold in USD and EUR; its item."""
    item_id = await make_run(till_of(bench), family, places)
    await bench.lms.add_course(course_of(item_id), "A course")
    return item_id


def course_of(item_id: str) -> str:
    return f"course-{item_id}"


async def written(bench: Bench, item_id: str, crowd: Crowd) -> None:
    """Paid orders without a checkout; their access is the LMS's."""
    till = till_of(bench)
    known: dict[str, Buyer] = {}

    async def person() -> str:
        buyer = await bench.buyer()
        known[buyer.user_id] = buyer
        return buyer.user_id

    made: list[buyers.Buyer] = []
    for currency, ways in WRITTEN.items():
        made += await buyers_of(till, item_id, ways, currency=currency, person=person)
    for one in made:
        crowd.by_order[one.order_id] = known[one.user_id]
    await some_at_once(
        lambda user: bench.resources.dispatcher.wake_entitlement(user, course_of(item_id)), known
    )


async def bought(bench: Bench, item_id: str, bundle: str, crowd: Crowd) -> None:
    """Orders from checkout to access."""
    run = f"run-{item_id}"

    async def one(kind: str) -> tuple[str, Placed]:
        slugs = {"bundle": [bundle], "two": [run, COURSE]}.get(kind, [run])
        order = await bench.place(*slugs, promo="FREE100" if kind == "free" else None)
        if order.intent_id is not None:
            await bench.stripe.confirm(order.intent_id, "pm_card_visa")
        return kind, order

    orders = await some_at_once(one, BOUGHT)
    await bench.take_events_in()
    for kind, order in orders:
        assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 60) == "fulfilled"
        crowd.by_order[order.id] = order.buyer
        if kind in ("bundle", "two"):
            crowd.beside.add(order.id)
        elif kind == "part":
            refund_id = await bench.refund(order.id, order.buyer.user_id, amount=1000)
            assert await bench.workflow(ids.refund_workflow_id(refund_id)).result() == "succeeded"
            crowd.paid_back[order.id] = 1000
        elif kind in ("won", "lost"):
            made = await disputed(bench, order)
            await in_state(bench, made["id"], "open")
            crowd.disputes[order.id] = (made["id"], kind == "won")


async def make_bundle(bench: Bench, item_id: str) -> str:
    async with bench.resources.database.transaction() as session:
        course = await catalog.find(session, COURSE)
        assert course is not None
        columns = {
            "slug": f"bundle-{item_id}",
            "type": "bundle",
            "title": "Run and course",
            "description": "",
            "tax_code": "txcd_20060158",
        }
        await catalog.insert(session, str(uuid.uuid4()), columns, [Price("USD", 9000)], [item_id, course.id])
    return f"bundle-{item_id}"


# --- answering --------------------------------------------------------------------------------------------


async def questions(bench: Bench, change: str) -> dict[str, ResolutionRow]:
    """By order."""
    async with bench.resources.database.transaction() as session:
        rows = await resolutions.page(
            session, user_id=None, state=None, run_change_id=change, before=None, limit=1000
        )
    return {row.order_id: row for row in rows}


async def answer(bench: Bench, given: tuple[ResolutionRow, str, list[str]]) -> tuple[str, str]:
    """What one buyer does, seen through; and what it ends with: a run, store credit or a refund."""
    row, plan, runs = given
    end = await _answer(bench, row, plan, runs)
    assert await ended(bench, row) == (CHOICE.OTHER_RUN if end in runs else end)

    async def under_way() -> list[dict[str, Any]]:
        return await bench.query("SELECT id FROM refund WHERE id = %s AND status = 'pending'", row.id)

    await until(under_way, lambda found: not found, "the refund")
    return row.order_id, end


async def _answer(bench: Bench, row: ResolutionRow, plan: str, runs: list[str]) -> str:
    if plan in ("late", "never"):
        # The deadline lies seven days ahead of all who are asked now.
        handle = bench.workflow(ids.resolution_workflow_id(row.id))
        await bench.skipper.fast_forward(handle, timedelta(days=7, minutes=1))
        assert await ended(bench, row) == CHOICE.REFUND
        if plan == "late":
            with pytest.raises(WorkflowUpdateFailedError) as late:
                await choose(bench, row, CHOICE.STORE_CREDIT)
            assert refusal_code(late.value) == "resolution_closed"
        return str(CHOICE.REFUND)
    if plan == CHOICE.OTHER_RUN:
        for run in runs:
            try:
                await choose(bench, row, CHOICE.OTHER_RUN, run)
            except WorkflowUpdateFailedError as error:
                assert refusal_code(error) == "sold_out"
            else:
                return run
        plan = CHOICE.REFUND
    await choose(bench, row, CHOICE(plan))
    return str(plan)


async def answers(
    bench: Bench, rng: random.Random, asked: dict[str, ResolutionRow], others: list[str]
) -> dict[str, str]:
    """Everybody's, side by side; by order."""
    kinds = [CHOICE.OTHER_RUN, CHOICE.STORE_CREDIT, CHOICE.REFUND, "late", "never"]
    plans = [
        (row, str(rng.choices(kinds, [40, 20, 15, 15, 10])[0]), rng.sample(others, 2))
        for row in asked.values()
    ]
    print(f"seed {SEED}: {Counter(plan for _, plan, _ in plans)}")
    return dict(await some_at_once(lambda plan: answer(bench, plan), plans))


async def decide_disputes(bench: Bench, crowd: Crowd, asked: dict[str, ResolutionRow]) -> None:
    """Time passes over their buyers, too; then the banks decide, and the deadline after them."""
    for order_id in crowd.disputes:
        handle = bench.workflow(ids.resolution_workflow_id(asked[order_id].id))
        await bench.skipper.fast_forward(handle, timedelta(days=8))
    for order_id, (dispute, won) in crowd.disputes.items():
        assert (await questions(bench, asked[order_id].run_change_id or ""))[order_id].state == "open"
        await (bench.stripe.win_dispute if won else bench.stripe.lose_dispute)(dispute)
    await bench.take_events_in()
    for order_id, (_, won) in crowd.disputes.items():
        assert await ended(bench, asked[order_id]) == (CHOICE.REFUND if won else "withdrawn")


# --- what each ended with ---------------------------------------------------------------------------------


@dataclass
class Books:
    """What stands of everybody when all is over."""

    lines: dict[str, dict[str, Any]]  # of the run, by order
    credit: dict[str, int]  # by user
    returned: dict[str, int]  # by payment intent
    enrolled: dict[str, set[str]]  # courses at the LMS, by its user

    @classmethod
    async def read(cls, bench: Bench, change: str) -> "Books":
        lines = await bench.query(
            "SELECT l.order_id::text, l.item_id::text, l.gross, l.holds_seat, p.intent_id, o.currency "
            "FROM resolution r JOIN order_line l ON l.id = r.line_id JOIN orders o ON o.id = l.order_id "
            "LEFT JOIN payment p ON p.order_id = o.id WHERE r.run_change_id = %s",
            change,
        )
        credit = await bench.query(
            "SELECT sub, -sum(amount)::int AS credit FROM posting WHERE account = '2330' GROUP BY sub"
        )
        returned: Counter[str] = Counter()
        for refund in await bench.stripe.listing("refunds"):
            returned[refund["payment_intent"]] += refund["amount"]
        enrolled: dict[str, set[str]] = {}
        for one in await bench.lms.enrolments():
            enrolled.setdefault(one.user_id, set()).add(one.course_id)
        return cls(
            {row["order_id"]: row for row in lines},
            {row["sub"]: row["credit"] for row in credit},
            returned,
            enrolled,
        )

    def check(self, crowd: Crowd, order_id: str, end: str) -> None:
        """Seat, access, credit and money of one buyer are what the end says, and nothing besides."""
        buyer, line = crowd.by_order[order_id], self.lines[order_id]
        moved = end not in (CHOICE.STORE_CREDIT, CHOICE.REFUND, "withdrawn")
        courses = {COURSE} if order_id in crowd.beside else set()
        if moved:
            assert (line["item_id"], line["holds_seat"]) == (end, True)
            courses.add(course_of(end))
        else:
            assert not line["holds_seat"]
        assert self.enrolled.get(buyer.lms_user_id, set()) == courses
        before = crowd.paid_back.get(order_id, 0)
        left = 0 if moved or end == "withdrawn" else line["gross"] - before
        by_card = line["intent_id"] is not None
        as_credit = left if end == CHOICE.STORE_CREDIT or not by_card else 0
        assert self.credit.get(buyer.user_id, 0) == as_credit
        assert self.returned.get(line["intent_id"], 0) == before + left - as_credit


async def settled(bench: Bench) -> None:
    """Refunds have been sent and accesses decided."""

    async def moving() -> dict[str, Any]:
        return await bench.one(
            "SELECT (SELECT count(*) FROM refund WHERE status <> 'succeeded') AS refunds, "
            "(SELECT count(*) FROM entitlement WHERE status NOT IN ('granted', 'revoked')) AS accesses, "
            "(SELECT count(*) FROM entitlement e WHERE e.status = 'granted' AND NOT EXISTS (SELECT FROM "
            "justification j WHERE j.entitlement_id = e.id AND j.active)) AS to_revoke"
        )

    still = {"refunds": 0, "accesses": 0, "to_revoke": 0}
    await until(moving, lambda found: found == still, "the end of refunds and accesses", seconds=90)


@pytest.mark.timeout(60 + 3 * BUYERS)
async def test_every_buyer_ends_with_another_run_credit_or_a_refund(bench: Bench) -> None:
    rng = random.Random(SEED)
    family = f"family-{uuid.uuid4().hex[:8]}"
    item_id = await run_of(bench, family, BUYERS)
    others = [await run_of(bench, family, PLACES) for _ in range(2)]
    crowd = Crowd()
    await written(bench, item_id, crowd)
    await settled(bench)
    await bench.skip_events()  # of payments that stand as applied
    await bought(bench, item_id, await make_bundle(bench, item_id), crowd)
    assert len(crowd.by_order) == BUYERS

    change = await change_run(bench, item_id)
    asked = await until(
        lambda: questions(bench, change),
        lambda found: sum(row.asked_at is not None for row in found.values()) == BUYERS,
        "questions to all",
        seconds=90,
    )
    assert set(asked) == set(crowd.by_order)
    choosing = {order_id: row for order_id, row in asked.items() if order_id not in crowd.disputes}
    await decide_disputes(bench, crowd, asked)
    ends = await answers(bench, rng, choosing, others)
    for order_id, (_, won) in crowd.disputes.items():
        ends[order_id] = CHOICE.REFUND if won else "withdrawn"
    counted = Counter(CHOICE.OTHER_RUN if end in others else end for end in ends.values())
    assert counted[CHOICE.OTHER_RUN] == 2 * PLACES, "more wanted to move than there are places"
    assert await change_ended(bench, change) == (
        f"{2 * PLACES} other run, {counted[CHOICE.STORE_CREDIT]} store credit, "
        f"{counted[CHOICE.REFUND]} refund, 0 kept, {counted['withdrawn']} withdrawn"
    )
    await settled(bench)

    assert await seats(bench, item_id, *others) == [0, PLACES, PLACES]
    for order_id, row in (await questions(bench, change)).items():
        assert row.state is (
            ResolutionState.WITHDRAWN if ends[order_id] == "withdrawn" else ResolutionState.DONE
        )
    books = await Books.read(bench, change)
    for order_id, end in ends.items():
        books.check(crowd, order_id, end)
    async with bench.resources.database.transaction() as session:
        found = {
            one.name: await invariants.violations(session, one) for one in invariants.DATABASE_INVARIANTS
        }
    assert {name: broken for name, broken in found.items() if broken} == {}

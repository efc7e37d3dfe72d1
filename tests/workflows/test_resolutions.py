"""What buyers choose when the LMS refuses for good, or a run is cancelled or gets another date."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from domain import ids
from domain.messages import ResolutionDecision, ResolutionInput
from domain.resolutions import ResolutionChoice, RunChangeKind
from models.queries import catalog, entitlements, invariants, resolutions, run_changes
from models.queries.catalog import Price
from models.queries.refunds import WISH_CANCEL
from models.queries.resolutions import ResolutionRow
from tests.e2e.processor import intent_paid_for
from tests.workflows.bench import Bench, Placed, refusal_code, until
from tests.workflows.test_disputes import disputed, in_state
from tests.workflows.test_refunds import failed_after_success, refund_in, wish
from workflows.resolution import ResolutionWorkflow

CHOICE = ResolutionChoice
PRICE = 5000


async def make_run(
    bench: Bench, family: str, *, seats: int = 5, price: int = PRICE, course: str = "", known: bool = True
) -> str:
    """A dated run, of a course that the LMS knows or not; its item's id is its slug's end."""
    if not course:
        course = f"course-{uuid.uuid4().hex[:8]}"
        if known:
            await bench.lms.add_course(course, "A course")
    async with bench.resources.database.transaction() as session:
        item_id = str(uuid.uuid4())
        columns = {
            "slug": f"run-{item_id}",
            "type": "registration",
            "title": f"Run {item_id[:4]} of {family}",
            "description": "",
            "lms_course_id": course,
            "run_of": family,
            "starts_at": datetime.now(UTC) + timedelta(days=60),
            "capacity": seats,
            "tax_code": "txcd_20060158",
        }
        await catalog.insert(session, item_id, columns, [Price("USD", price)], [])
    return item_id


def fresh_family() -> str:
    return f"family-{uuid.uuid4().hex[:8]}"


async def bought_run(bench: Bench, item_id: str) -> Placed:
    return await bench.bought(f"run-{item_id}")


async def seats(bench: Bench, *item_ids: str) -> list[int]:
    """Seats taken, which are also those that lines hold."""
    found = []
    for item_id in item_ids:
        row = await bench.one(
            "SELECT seats_taken, "
            "(SELECT count(*) FROM order_line WHERE item_id = i.id AND holds_seat) AS held "
            "FROM catalog_item i WHERE id = %s",
            item_id,
        )
        assert row["seats_taken"] == row["held"]
        found.append(row["seats_taken"])
    return found


async def question_of(bench: Bench, order: Placed) -> ResolutionRow:
    """The question about the order's only line, once it was asked."""

    async def look() -> list[ResolutionRow]:
        async with bench.resources.database.transaction() as session:
            return await resolutions.of_order(session, order.id)

    rows = await until(look, lambda rows: bool(rows) and rows[-1].asked_at is not None, "the question")
    return rows[-1]


async def choose(
    bench: Bench, row: ResolutionRow, choice: ResolutionChoice, item_id: str | None = None, key: str = ""
) -> str:
    """The customer's choice, as the gateway asks for it."""
    key = key or str(uuid.uuid4())
    start: WithStartWorkflowOperation[ResolutionWorkflow, str] = WithStartWorkflowOperation(
        ResolutionWorkflow.run,
        ResolutionInput(row.id),
        id=ids.resolution_workflow_id(row.id),
        task_queue=bench.settings.temporal_task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    )
    return await bench.skipper.client.execute_update_with_start_workflow(
        ResolutionWorkflow.resolve,
        ResolutionDecision(row.id, key, "the customer", choice, item_id, row.user_id),
        start_workflow_operation=start,
        id=ids.resolve_update_id(key),
        rpc_timeout=timedelta(seconds=20),
    )


async def ended(bench: Bench, row: ResolutionRow) -> str:
    handle = bench.workflow(ids.resolution_workflow_id(row.id))
    return str(await asyncio.wait_for(handle.result(), 60))


async def change_run(
    bench: Bench,
    item_id: str,
    kind: RunChangeKind = RunChangeKind.CANCELLED,
    *,
    days: float = 7,
    starts_in: timedelta = timedelta(days=90),
) -> str:
    """What an operator does over REST; returns the change's id."""
    change_id = str(uuid.uuid4())
    async with bench.resources.database.transaction() as session:
        item = await catalog.find(session, item_id, lock=True)
        operator = await bench.one("SELECT id FROM commerce_user LIMIT 1")
        assert item is not None
        new_date = None
        columns: dict[str, Any] = {"cancelled_at": datetime.now(UTC), "available": False}
        if kind is RunChangeKind.RESCHEDULED:
            new_date = datetime.now(UTC) + starts_in
            columns = {"starts_at": new_date}
        await catalog.update(session, item.id, item.version, columns)
        change = {
            "id": change_id,
            "item_id": item.id,
            "kind": kind,
            "reason": "the teacher is ill",
            "started_at": item.starts_at,
            "starts_at": new_date,
            "requested_by": operator["id"],
        }
        await run_changes.insert(session, change, days=days)
    await bench.resources.dispatcher.wake_run_change(change_id)
    return change_id


async def change_ended(bench: Bench, change_id: str) -> str:
    handle = bench.workflow(ids.run_change_workflow_id(change_id))
    return str(await asyncio.wait_for(handle.result(), 60))


async def credit_of(bench: Bench, order: Placed) -> int:
    rows = await bench.query(
        "SELECT -sum(amount) AS credit FROM posting WHERE account = '2330' AND sub = %s", order.buyer.user_id
    )
    return int(rows[0]["credit"] or 0)


async def refunds_of(bench: Bench, order: Placed) -> int:
    found = await bench.one("SELECT count(*) AS n FROM refund WHERE order_id = %s", order.id)
    return int(found["n"])


async def told(bench: Bench, order: Placed) -> list[str]:
    rows = await bench.query(
        "SELECT type FROM outbound_event WHERE stream = %s AND type LIKE 'resolution.%%' ORDER BY stream_seq",
        ids.order_stream(order.id),
    )
    return [row["type"] for row in rows]


async def notes(bench: Bench, order: Placed) -> str:
    rows = await bench.query("SELECT detail FROM order_event WHERE order_id = %s ORDER BY id", order.id)
    return "\n".join(row["detail"] for row in rows)


ORACLE = {
    "ledger.entries_balance",
    "ledger.sums_to_zero",
    "refunds.within_paid",
    "refunds.counted_once",
    "seats.within_capacity",
    "runs.nobody_forgotten",
    "resolutions.decided_in_time",
    "store_credit.never_overspent",
}


async def clean(bench: Bench) -> None:
    """The oracle finds nothing about money, seats and questions."""
    looked = [one for one in invariants.DATABASE_INVARIANTS if one.name in ORACLE]
    assert len(looked) == len(ORACLE)
    async with bench.resources.database.transaction() as session:
        for one in looked:
            assert await invariants.violations(session, one) == [], one.name


async def refused_by_lms(bench: Bench, method: str = "pm_card_visa") -> tuple[Placed, str, ResolutionRow]:
    """An order of a run that the LMS refuses for good; its run's family, and the question."""
    family = fresh_family()
    item_id = await make_run(bench, family, known=False)
    order = await bench.place(f"run-{item_id}")
    await bench.pay(order, method)
    await bench.wait_for_status(order.id, "fulfillment_failed")
    return order, family, await question_of(bench, order)


# --- the LMS refuses for good ---------------------------------------------------------------------------


async def test_another_run_takes_the_place_of_one_that_the_lms_refuses(bench: Bench) -> None:
    order, family, row = await refused_by_lms(bench)
    other = await make_run(bench, family)
    await choose(bench, row, CHOICE.OTHER_RUN, other)
    assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 60) == "fulfilled"
    assert await ended(bench, row) == "other_run"
    assert await seats(bench, row.line_item_id, other) == [0, 1]
    assert await told(bench, order) == ["resolution.asked", "resolution.decided"]
    assert "chosen by the customer" in await notes(bench, order)
    assert (await bench.order(order.id)).amount_refunded == 0
    await clean(bench)


async def test_who_chose_a_refund_is_not_asked_again_while_it_is_under_way(bench: Bench) -> None:
    order, _, row = await refused_by_lms(bench, "pm_card_pendingRefund")
    await choose(bench, row, CHOICE.REFUND)
    assert await ended(bench, row) == "refund"
    async with bench.resources.database.transaction() as session:
        await resolutions.open_refused(session, order_id=order.id)
        assert [one.id for one in await resolutions.of_order(session, order.id)] == [row.id]


async def test_a_choice_that_was_made_is_answered_again_and_no_other_follows(bench: Bench) -> None:
    order, _, row = await refused_by_lms(bench)
    key = str(uuid.uuid4())
    for _ in range(2):
        assert await choose(bench, row, CHOICE.STORE_CREDIT, key=key) == row.id
    assert await ended(bench, row) == "store_credit"
    with pytest.raises(WorkflowUpdateFailedError) as late:
        await choose(bench, row, CHOICE.REFUND)
    assert refusal_code(late.value) == "resolution_closed"
    paid = (await bench.order(order.id)).amount_paid
    await bench.wait_for_status(order.id, "refunded")
    assert await credit_of(bench, order) == paid
    assert await refunds_of(bench, order) == 1
    assert await bench.stripe.listing("refunds", payment_intent=order.intent_id) == []
    await clean(bench)


async def test_nobody_chooses_and_the_deadline_refunds(bench: Bench) -> None:
    order, _, row = await refused_by_lms(bench)
    await bench.skipper.fast_forward(
        bench.workflow(ids.resolution_workflow_id(row.id)), timedelta(days=7, minutes=1)
    )
    assert await ended(bench, row) == "refund"
    await bench.wait_for_status(order.id, "refunded")
    assert await seats(bench, row.line_item_id) == [0]
    (refund,) = await bench.stripe.listing("refunds", payment_intent=order.intent_id)
    assert refund["amount"] == (await bench.order(order.id)).amount_paid
    assert "by the deadline" in await notes(bench, order)
    await clean(bench)


async def test_a_retry_that_succeeds_withdraws_the_question(bench: Bench) -> None:
    order, _, row = await refused_by_lms(bench)
    await bench.lms.add_course(row.lms_course_id, "A course")
    access = await bench.access(order.buyer, row.lms_course_id)
    async with bench.resources.database.transaction() as session:
        await entitlements.ask_retry(session, access.id)
    await bench.resources.dispatcher.wake_entitlement(order.buyer.user_id, row.lms_course_id)
    assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 60) == "fulfilled"
    assert await ended(bench, row) == "withdrawn"
    assert await told(bench, order) == ["resolution.asked", "resolution.withdrawn"]


async def test_a_refund_by_itself_withdraws_the_question(bench: Bench) -> None:
    order, _, row = await refused_by_lms(bench)
    refund_id = await bench.refund(order.id, order.buyer.user_id)
    assert await bench.workflow(ids.refund_workflow_id(refund_id)).result() == "succeeded"
    assert await ended(bench, row) == "withdrawn"
    assert await refunds_of(bench, order) == 1
    await clean(bench)


async def test_a_run_that_can_not_be_had_is_refused_and_nothing_moves(bench: Bench) -> None:
    order, family, row = await refused_by_lms(bench)
    await bench.buy("python-101", buyer=order.buyer)
    tries = [
        (await make_run(bench, family, seats=0), "sold_out"),
        (await make_run(bench, family, price=PRICE + 1), "run_not_offered"),
        (await make_run(bench, fresh_family()), "run_not_offered"),
        (await make_run(bench, family, course="python-101"), "already_owned"),
    ]
    for item_id, code in tries:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await choose(bench, row, CHOICE.OTHER_RUN, item_id)
        assert refusal_code(refused.value) == code
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await choose(bench, row, CHOICE.KEEP)
    assert refusal_code(refused.value) == "choice_not_offered"
    assert await seats(bench, row.line_item_id, *(item_id for item_id, _ in tries)) == [1, 0, 0, 0, 0]
    # What was refused does not put the deadline off.
    await bench.skipper.fast_forward(
        bench.workflow(ids.resolution_workflow_id(row.id)), timedelta(days=7, minutes=1)
    )
    assert await ended(bench, row) == "refund"


# --- a run is cancelled or gets another date ------------------------------------------------------------


async def test_buyers_of_a_cancelled_run_end_with_what_they_chose(bench: Bench) -> None:
    family = fresh_family()
    item_id, other = await make_run(bench, family, seats=10), await make_run(bench, family)
    buyers = [await bought_run(bench, item_id) for _ in range(3)]
    unpaid = await bench.place(f"run-{item_id}")
    change = await change_run(bench, item_id)
    moved, credited, silent = [await question_of(bench, order) for order in buyers]
    await choose(bench, moved, CHOICE.OTHER_RUN, other)
    await choose(bench, credited, CHOICE.STORE_CREDIT)
    await bench.wait_for_status(unpaid.id, "canceled")
    await bench.skipper.fast_forward(
        bench.workflow(ids.resolution_workflow_id(silent.id)), timedelta(days=7, minutes=1)
    )
    assert [await ended(bench, row) for row in (moved, credited, silent)] == [
        "other_run",
        "store_credit",
        "refund",
    ]
    for order in buyers[1:]:
        await bench.wait_for_status(order.id, "refunded")
    await until(
        lambda: bench.access(buyers[0].buyer, moved.lms_course_id),
        lambda access: access.status == "revoked",
        "the end of the access to the cancelled run",
    )
    assert await change_ended(bench, change) == "1 other run, 1 store credit, 1 refund, 0 kept, 0 withdrawn"
    assert await seats(bench, item_id, other) == [0, 1]
    assert await credit_of(bench, buyers[1]) == (await bench.order(buyers[1].id)).amount_paid
    await clean(bench)


async def test_who_pays_while_the_run_is_cancelled_is_asked_too(bench: Bench) -> None:
    item_id = await make_run(bench, fresh_family())
    order = await bench.place(f"run-{item_id}")
    assert order.intent_id is not None
    await bench.stripe.confirm(order.intent_id, "pm_usBankAccount_processing")
    await bench.take_events_in()
    await until(
        lambda: bench.order(order.id), lambda row: str(row.payment_state) == "processing", "processing"
    )
    change = await change_run(bench, item_id)
    handle = bench.workflow(ids.run_change_workflow_id(change))
    await until(
        lambda: bench.order(order.id), lambda row: str(row.payment_state) == "processing", "processing still"
    )
    await bench.stripe.settle(order.intent_id)
    await bench.take_events_in()
    await bench.wait_for_status(order.id, "fulfilled")
    await bench.skipper.fast_forward(handle, timedelta(hours=2))
    row = await question_of(bench, order)
    await choose(bench, row, CHOICE.REFUND)
    assert await ended(bench, row) == "refund"
    await bench.wait_for_status(order.id, "refunded")
    assert await change_ended(bench, change)
    assert await seats(bench, item_id) == [0]
    await clean(bench)


async def expired(bench: Bench, item_id: str) -> Placed:
    """An order of the run whose payment window has ended."""
    order = await bench.place(f"run-{item_id}")
    handle = bench.order_workflow(order.id)
    await bench.skipper.fast_forward(handle, timedelta(minutes=31))
    assert await asyncio.wait_for(handle.result(), 60) == "expired"
    return order


async def pays_late(bench: Bench, order: Placed) -> str:
    """Money for an order that has ended; what was decided about it."""
    total = (await bench.order(order.id)).total
    intent_id = await intent_paid_for(bench.settings.stripe_api_base, order.id, total)
    await bench.take_events_in()
    late = bench.workflow(ids.late_payment_workflow_id(intent_id))

    async def answered() -> str | None:
        try:
            return str(await asyncio.wait_for(late.result(), 10))
        except RPCError as error:  # the order's workflow has not handed the event on yet
            assert error.status is RPCStatusCode.NOT_FOUND
            return None

    return str(await until(answered, lambda said: said is not None, "the late payment's decision"))


async def test_a_late_payment_does_not_revive_an_order_of_a_cancelled_run(bench: Bench) -> None:
    item_id = await make_run(bench, fresh_family())
    order = await expired(bench, item_id)
    change = await change_run(bench, item_id)
    assert await change_ended(bench, change)
    decided = await pays_late(bench, order)
    assert decided == "refunded: the order had expired, and its run was cancelled"
    refund = await refund_in(bench, order, "succeeded")
    assert refund.amount == (await bench.order(order.id)).total
    assert "its run was cancelled" in await notes(bench, order)
    assert str((await bench.order(order.id)).status) == "expired"
    assert await seats(bench, item_id) == [0]
    assert await told(bench, order) == []
    await clean(bench)


async def test_who_pays_late_for_a_rescheduled_run_is_asked_though_all_others_were_done(
    bench: Bench,
) -> None:
    item_id = await make_run(bench, fresh_family())
    order = await expired(bench, item_id)
    change = await change_run(bench, item_id, RunChangeKind.RESCHEDULED)
    assert await change_ended(bench, change)
    assert (await pays_late(bench, order)).startswith("revived")
    row = await question_of(bench, order)
    assert row.run_change_id == change
    await choose(bench, row, CHOICE.REFUND)
    await bench.wait_for_status(order.id, "refunded")
    assert "1 refund" in await change_ended(bench, change)
    await clean(bench)


@pytest.mark.parametrize("kind", RunChangeKind)
async def test_who_is_not_paid_back_after_all_is_asked_again(bench: Bench, kind: RunChangeKind) -> None:
    """The refund that withdrew the question fails, and an operator cancels it."""
    item_id = await make_run(bench, fresh_family())
    order = await bought_run(bench, item_id)
    change = await change_run(bench, item_id, kind)
    first = await question_of(bench, order)
    row = await failed_after_success(bench, order, "lost_or_stolen_card")
    assert await ended(bench, first) == "withdrawn"
    assert await change_ended(bench, change)
    await wish(bench, row, WISH_CANCEL)
    second = await until(
        lambda: question_of(bench, order), lambda found: found.id != first.id, "the second question"
    )
    assert second.run_change_id == change
    await choose(bench, second, CHOICE.STORE_CREDIT)
    await bench.wait_for_status(order.id, "refunded")
    assert await credit_of(bench, order) == row.amount
    assert await change_ended(bench, change) == ("0 other run, 1 store credit, 0 refund, 0 kept, 1 withdrawn")
    assert await seats(bench, item_id) == [0]
    await clean(bench)


async def test_nobody_may_attend_a_rescheduled_run_and_then_be_paid_back(bench: Bench) -> None:
    item_id = await make_run(bench, fresh_family())
    order = await bought_run(bench, item_id)
    await change_run(bench, item_id, RunChangeKind.RESCHEDULED, starts_in=timedelta(days=3))
    row = await question_of(bench, order)
    item = await bench.one("SELECT starts_at FROM catalog_item WHERE id = %s", item_id)
    assert row.deadline == item["starts_at"]
    await bench.skipper.fast_forward(
        bench.workflow(ids.resolution_workflow_id(row.id)), timedelta(days=3, minutes=1)
    )
    assert await ended(bench, row) == "keep"


async def test_a_run_stays_within_reach_when_prices_change(bench: Bench) -> None:
    """Who bought before moves to what costs the same today; the money of the line stays."""
    family = fresh_family()
    item_id, same = await make_run(bench, family), await make_run(bench, family)
    as_sold, dear = await make_run(bench, family), await make_run(bench, family, price=PRICE + 2000)
    order = await bought_run(bench, item_id)
    before = await bench.order(order.id)
    async with bench.resources.database.transaction() as session:
        for each in (item_id, same):
            await catalog.set_prices(session, each, [Price("USD", PRICE + 1000)])
    await change_run(bench, item_id)
    row = await question_of(bench, order)
    async with bench.resources.database.transaction() as session:
        offered = {run.item_id for run in await resolutions.runs_for(session, row.id)}
    assert offered == {same, as_sold}
    assert row.choices == (CHOICE.OTHER_RUN, CHOICE.STORE_CREDIT, CHOICE.REFUND)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await choose(bench, row, CHOICE.OTHER_RUN, dear)
    assert refusal_code(refused.value) == "run_not_offered"
    await choose(bench, row, CHOICE.OTHER_RUN, same)
    assert await ended(bench, row) == "other_run"
    after = await bench.order(order.id)
    assert (after.total, after.amount_paid) == (before.total, before.total)
    assert await seats(bench, item_id, same) == [0, 1]
    await clean(bench)


async def test_another_run_is_offered_only_while_there_is_one(bench: Bench) -> None:
    family = fresh_family()
    item_id, full = await make_run(bench, family), await make_run(bench, family, seats=0)
    order = await bought_run(bench, item_id)
    await change_run(bench, item_id)
    row = await question_of(bench, order)
    asked = await bench.one(
        "SELECT data FROM outbound_event WHERE type = 'resolution.asked' AND data->>'order_id' = %s", order.id
    )
    assert asked["data"]["choices"] == ["store_credit", "refund"]
    assert row.choices == (CHOICE.STORE_CREDIT, CHOICE.REFUND)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await choose(bench, row, CHOICE.OTHER_RUN, full)
    assert refusal_code(refused.value) == "sold_out"
    other = await make_run(bench, family)
    assert (await question_of(bench, order)).choices == (CHOICE.OTHER_RUN, *row.choices)
    await choose(bench, row, CHOICE.OTHER_RUN, other)
    assert await ended(bench, row) == "other_run"


async def test_who_does_not_answer_keeps_a_rescheduled_run_until_it_is_cancelled(bench: Bench) -> None:
    item_id = await make_run(bench, fresh_family())
    silent, other = await bought_run(bench, item_id), await bought_run(bench, item_id)
    moved = await change_run(bench, item_id, RunChangeKind.RESCHEDULED)
    first = await question_of(bench, silent)
    still_open = await question_of(bench, other)
    await bench.skipper.fast_forward(
        bench.workflow(ids.resolution_workflow_id(first.id)), timedelta(days=7, minutes=1)
    )
    assert await ended(bench, first) == "keep"
    assert await seats(bench, item_id) == [2]
    cancelled = await change_run(bench, item_id)
    assert await ended(bench, still_open) == "withdrawn"
    assert "is withdrawn: the run was changed again" in await notes(bench, other)
    for order in (silent, other):
        second = await until(
            lambda order=order: question_of(bench, order),  # type: ignore[misc]
            lambda row: row.run_change_id == cancelled,
            "the second question",
        )
        await choose(bench, second, CHOICE.REFUND)
        await bench.wait_for_status(order.id, "refunded")
    assert await change_ended(bench, cancelled)
    await bench.resources.dispatcher.wake_run_change(moved)
    assert "1 kept" in await change_ended(bench, moved)
    once, twice = ["resolution.asked", "resolution.decided"], ["resolution.asked", "resolution.withdrawn"]
    assert await told(bench, silent) == [*once, *once]
    assert await told(bench, other) == [*twice, *once]
    assert await seats(bench, item_id) == [0]
    await clean(bench)


async def test_an_open_dispute_puts_the_decision_off(bench: Bench) -> None:
    item_id = await make_run(bench, fresh_family())
    order = await bought_run(bench, item_id)
    made = await disputed(bench, order)
    await in_state(bench, made["id"], "open")
    change = await change_run(bench, item_id)
    row = await question_of(bench, order)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await choose(bench, row, CHOICE.STORE_CREDIT)
    assert refusal_code(refused.value) == "dispute_open"
    handle = bench.workflow(ids.resolution_workflow_id(row.id))
    await bench.skipper.fast_forward(handle, timedelta(days=8))
    assert (await question_of(bench, order)).state == "open"
    await bench.stripe.win_dispute(made["id"])
    await bench.take_events_in()
    # The deadline is long over: the end of the dispute is what decides.
    assert await ended(bench, row) == "refund"
    await bench.wait_for_status(order.id, "refunded")
    assert await change_ended(bench, change)
    await clean(bench)


async def test_a_dispute_that_is_lost_withdraws_the_question(bench: Bench) -> None:
    item_id = await make_run(bench, fresh_family())
    order = await bought_run(bench, item_id)
    made = await disputed(bench, order)
    await in_state(bench, made["id"], "open")
    item = await bench.one("SELECT lms_course_id FROM catalog_item WHERE id = %s", item_id)
    await until(
        lambda: bench.access(order.buyer, item["lms_course_id"]),
        lambda found: found.status == "revoked",
        "the suspended access",
    )
    change = await change_run(bench, item_id)
    row = await question_of(bench, order)
    await bench.stripe.lose_dispute(made["id"])
    await bench.take_events_in()
    await in_state(bench, made["id"], "lost")
    assert await ended(bench, row) == "withdrawn"
    assert await change_ended(bench, change)
    assert await seats(bench, item_id) == [0]
    await clean(bench)


async def test_a_free_place_ends_without_money(bench: Bench) -> None:
    item_id = await make_run(bench, fresh_family())
    order = await bench.place(f"run-{item_id}", promo="FREE100")
    assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 60) == "fulfilled"
    change = await change_run(bench, item_id)
    row = await question_of(bench, order)
    await choose(bench, row, CHOICE.REFUND)
    assert await ended(bench, row) == "refund"
    assert await change_ended(bench, change)
    assert await seats(bench, item_id) == [0]
    assert not (await bench.access(order.buyer, row.lms_course_id)).justified
    assert await refunds_of(bench, order) == 0
    await clean(bench)

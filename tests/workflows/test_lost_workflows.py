"""Workflows that Temporal lost in the middle: the recovery starts each again from its row, to its end."""

import asyncio
from datetime import timedelta
from typing import Any

from activities.inbox import InboxActivities
from activities.resolutions import ResolutionActivities
from domain import ids
from domain.messages import ResolutionDecision
from domain.orders import EntitlementStatus
from domain.resolutions import ResolutionChoice, ResolutionState
from models.queries import run_changes
from tests.workflows import test_account_changes as accounts
from tests.workflows import test_erasure as erasing
from tests.workflows import test_merges as merging
from tests.workflows import test_resolutions as asking
from tests.workflows.bench import Bench, Placed, until

COURSE = "python-101"
TOKENS_ARE_OVER = timedelta(minutes=16)


async def lose(bench: Bench, workflow_id: str) -> None:
    """Temporal forgets it; nobody tells the database."""
    await bench.workflow(workflow_id).terminate("lost")


async def recover(bench: Bench, table: str) -> None:
    """What the Schedule does, when the rows are no longer young."""
    moment = "told_at" if table == "account_change" else "created_at"
    await bench.query(f"UPDATE {table} SET {moment} = {moment} - interval '1 minute'")
    resources = bench.resources
    recovery = InboxActivities(resources.transactions, resources.dispatcher, resources.payments)
    assert await recovery.resume_lost(None) >= 1


async def result(bench: Bench, workflow_id: str) -> Any:
    return await asyncio.wait_for(bench.workflow(workflow_id).result(), 60)


async def expire(bench: Bench, order: Placed) -> None:
    await bench.skipper.fast_forward(bench.order_workflow(order.id), timedelta(minutes=31))
    await asyncio.wait_for(bench.order_workflow(order.id).result(), 60)


async def test_a_merge_that_waited_is_moved_and_one_that_was_moved_has_its_last_look(bench: Bench) -> None:
    ended, survivor = await bench.buyer(), await bench.buyer()
    order = await bench.place(COURSE, buyer=ended)
    merge_id = await merging.merge(bench, ended, survivor)
    workflow_id = ids.merge_workflow_id(merge_id)
    await until(
        lambda: merging.standing(bench, merge_id), lambda row: bool(row["waits_for"]), "what it waits for"
    )
    await lose(bench, workflow_id)
    await expire(bench, order)
    await recover(bench, "person_merge")
    await merging.moved(bench, merge_id)
    assert await merging.owner(bench, order) == survivor.user_id

    await lose(bench, workflow_id)
    late = await bench.place(COURSE, buyer=ended)
    await expire(bench, late)
    await recover(bench, "person_merge")
    await bench.skipper.fast_forward(bench.workflow(workflow_id), TOKENS_ARE_OVER)
    assert await result(bench, workflow_id) == "done"
    assert await merging.owner(bench, late) == survivor.user_id


async def test_an_erasure_that_waited_is_done_and_has_its_last_look(bench: Bench) -> None:
    order = await bench.place(COURSE)
    buyer = order.buyer
    workflow_id = ids.erasure_workflow_id(buyer.user_id)
    await erasing.ask(bench, buyer)
    await until(lambda: erasing.standing(bench, buyer), lambda row: bool(row.waits_for), "what it waits for")
    await lose(bench, workflow_id)
    await expire(bench, order)
    await recover(bench, "person_erasure")
    await until(lambda: erasing.standing(bench, buyer), lambda row: row.erased_at is not None, "erased")
    assert await erasing.address(bench, order.id) == {"country": "DE"}

    await lose(bench, workflow_id)
    late = await bench.place(COURSE, buyer=buyer)
    await expire(bench, late)
    await recover(bench, "person_erasure")
    await bench.skipper.fast_forward(bench.workflow(workflow_id), TOKENS_ARE_OVER)
    assert await result(bench, workflow_id) == "done"
    assert await erasing.address(bench, late.id) == {"country": "DE"}


async def test_a_question_that_was_asked_is_decided_at_its_deadline(bench: Bench) -> None:
    order, _, row = await asking.refused_by_lms(bench)
    workflow_id = ids.resolution_workflow_id(row.id)
    await lose(bench, workflow_id)
    await recover(bench, "resolution")
    await bench.skipper.fast_forward(bench.workflow(workflow_id), timedelta(days=7, minutes=1))
    assert await result(bench, workflow_id) == "refund"
    await bench.wait_for_status(order.id, "refunded")
    assert await asking.told(bench, order) == ["resolution.asked", "resolution.decided"]


async def test_a_decision_that_nobody_was_told_of_is_carried_out(bench: Bench) -> None:
    order, _, row = await asking.refused_by_lms(bench)
    workflow_id = ids.resolution_workflow_id(row.id)
    await lose(bench, workflow_id)
    resources = bench.resources
    step = ResolutionActivities(resources.transactions, resources.dispatcher, days=7)
    decided = await step.decide_resolution(
        ResolutionDecision(row.id, "key", "the customer", ResolutionChoice.REFUND, None, row.user_id)
    )
    assert decided.state is ResolutionState.DECIDED
    await recover(bench, "resolution")
    assert await result(bench, workflow_id) == "refund"
    await bench.wait_for_status(order.id, "refunded")
    assert await asking.refunds_of(bench, order) == 1


async def test_a_change_of_a_run_ends_when_its_buyers_have_answered(bench: Bench) -> None:
    run = await asking.make_run(bench, asking.fresh_family())
    order = await asking.bought_run(bench, run)
    change_id = await asking.change_run(bench, run)
    workflow_id = ids.run_change_workflow_id(change_id)
    row = await asking.question_of(bench, order)
    await lose(bench, workflow_id)
    await lose(bench, ids.resolution_workflow_id(row.id))
    await recover(bench, "resolution")
    await recover(bench, "run_change")
    await asking.choose(bench, row, ResolutionChoice.STORE_CREDIT)
    assert await asking.ended(bench, row) == "store_credit"
    assert await asking.change_ended(bench, change_id)
    async with bench.resources.database.transaction() as session:
        change = await run_changes.get(session, change_id)
    assert change is not None
    assert change.done_at is not None
    await asking.clean(bench)


async def test_a_changed_account_is_followed(bench: Bench) -> None:
    buyer = await bench.buyer()
    await bench.lms.unconfirm(buyer.lms_user_id)
    order = await bench.buy(COURSE, buyer=buyer)
    await bench.wait_for_status(order.id, "fulfillment_failed")
    await bench.lms.unconfirm(buyer.lms_user_id, confirmed=True)
    await bench.lms.fault("get_user", "unavailable_html", count=None, user_id=buyer.lms_user_id)
    await accounts.tell(bench, {"user_id": buyer.lms_user_id, "full_name": "Ann Newer"})
    await until(
        lambda: bench.pending_attempt(accounts.account(buyer)), lambda attempt: attempt > 0, "the attempt"
    )
    await lose(bench, accounts.account(buyer))
    await bench.lms.clear_faults()
    await recover(bench, "account_change")
    await accounts.followed(bench, buyer)
    await bench.wait_for_status(order.id, "fulfilled")
    assert (await bench.access(buyer, COURSE)).status is EntitlementStatus.GRANTED
    assert len(await accounts.published(bench, buyer)) == 1

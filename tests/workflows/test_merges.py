"""Merges of accounts: what comes in with a token of before moves with the last look; what was on its way at
the LMS goes on for the account that is left."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

from domain import ids
from domain.orders import EntitlementStatus
from domain.resolutions import ResolutionCause, ResolutionState
from models.queries import entitlements, identity, people, resolutions
from models.queries.resolutions import ResolutionRow
from tests.workflows.bench import Bench, Buyer, Placed, until
from tests.workflows.test_disputes import decided, disputed, in_state

COURSE = "python-101"


async def merge(bench: Bench, ended: Buyer, survivor: Buyer) -> str:
    """What the gateway does; the merge's id."""
    data = {"user_id": ended.lms_user_id, "into_user_id": survivor.lms_user_id}
    event = {"id": f"evt_{uuid.uuid4().hex}", "type": "user.merged", "data": data}
    async with bench.resources.database.transaction() as session:
        await identity.take_in(session, event)
    row = await bench.one("SELECT id::text FROM person_merge WHERE lms_event_id = %s", event["id"])
    await bench.resources.dispatcher.wake_merge(row["id"])
    return str(row["id"])


async def standing(bench: Bench, merge_id: str) -> dict[str, Any]:
    return await bench.one("SELECT * FROM person_merge WHERE id = %s", merge_id)


async def moved(bench: Bench, merge_id: str) -> dict[str, Any]:
    return await until(
        lambda: standing(bench, merge_id), lambda row: row["moved_at"] is not None, "what was moved"
    )


async def status_of(bench: Bench, buyer: Buyer, course: str = COURSE) -> EntitlementStatus | None:
    async with bench.resources.database.transaction() as session:
        row = await entitlements.of_user_course(session, buyer.user_id, course)
    return None if row is None else row.status


async def owner(bench: Bench, order: Placed) -> str:
    return (await bench.order(order.id)).user_id


async def test_what_came_with_a_token_of_before_moves_with_the_last_look(bench: Bench) -> None:
    ended, survivor = await bench.buyer(), await bench.buyer()
    merge_id = await merge(bench, ended, survivor)
    handle = bench.workflow(ids.merge_workflow_id(merge_id))
    await moved(bench, merge_id)
    late = await bench.place(COURSE, buyer=ended)
    await bench.pay(late)
    await asyncio.wait_for(bench.order_workflow(late.id).result(), 60)
    await bench.skipper.fast_forward(handle, timedelta(minutes=14))
    assert (await standing(bench, merge_id))["done_at"] is None
    assert await owner(bench, late) == ended.user_id
    await bench.skipper.fast_forward(handle, timedelta(minutes=2))
    assert await asyncio.wait_for(handle.result(), 60) == "done"
    assert await owner(bench, late) == survivor.user_id
    await until(
        lambda: status_of(bench, survivor), lambda found: found is EntitlementStatus.GRANTED, "the access"
    )
    await until(
        lambda: status_of(bench, ended), lambda found: found is EntitlementStatus.REVOKED, "the end of it"
    )


async def test_a_grant_on_its_way_goes_on_for_the_account_that_is_left(bench: Bench) -> None:
    """The LMS is down when it happens, and knows the other account no longer when it is back."""
    ended, survivor = await bench.buyer(), await bench.buyer()
    await bench.lms.fault("grant", "server_error", count=None)
    order = await bench.place(COURSE, buyer=ended)
    await bench.pay(order)
    await until(
        lambda: status_of(bench, ended), lambda found: found is EntitlementStatus.GRANTING, "the grant"
    )
    merge_id = await merge(bench, ended, survivor)
    await moved(bench, merge_id)
    await until(
        lambda: status_of(bench, ended), lambda found: found is EntitlementStatus.REVOKED, "the end of it"
    )
    await bench.lms.clear_faults()
    await bench.resources.dispatcher.wake_entitlement(survivor.user_id, COURSE)
    handle = bench.workflow(ids.entitlement_workflow_id(survivor.user_id, COURSE))
    await bench.skipper.fast_forward(handle, timedelta(minutes=10))
    await asyncio.wait_for(bench.order_workflow(order.id).result(), 60)
    assert await status_of(bench, survivor) is EntitlementStatus.GRANTED
    assert not [entry for entry in await bench.lms.log(ended.lms_user_id) if entry.changed]


async def test_who_signs_in_again_with_it_is_somebody_of_their_own(bench: Bench) -> None:
    ended, survivor = await bench.buyer(), await bench.buyer()
    merge_id = await merge(bench, ended, survivor)
    handle = bench.workflow(ids.merge_workflow_id(merge_id))
    await moved(bench, merge_id)
    async with bench.resources.database.transaction() as session:
        await people.remember(
            session,
            lms_user_id=ended.lms_user_id,
            username=f"again-{ended.lms_user_id}",
            email=None,
            full_name="Again",
            roles=["learner"],
        )
    own = await bench.place(COURSE, buyer=ended)
    await bench.skipper.fast_forward(handle, timedelta(minutes=16))
    assert await asyncio.wait_for(handle.result(), 60) == "done"
    assert await owner(bench, own) == ended.user_id


async def questions(bench: Bench, order: Placed) -> list[ResolutionRow]:
    async with bench.resources.database.transaction() as session:
        return await resolutions.of_order(session, order.id)


async def asked_twice(bench: Bench, order: Placed) -> ResolutionRow:
    """The buyer was asked about the order's line, because it was bought twice."""
    rows = await until(
        lambda: questions(bench, order),
        lambda found: [row.cause for row in found if row.asked_at][-1:] == [ResolutionCause.BOUGHT_TWICE],
        "the question",
    )
    return rows[-1]


async def unasked(bench: Bench) -> list[str]:
    return (await bench.findings())["merges.double_purchases_asked"].violations


async def test_what_the_survivor_pays_for_later_is_asked_about(bench: Bench) -> None:
    """Their bank debit was on its way when the other's purchase became theirs."""
    ended, survivor = await bench.buyer(), await bench.buyer()
    first = await bench.buy(COURSE, buyer=ended)
    await asyncio.wait_for(bench.order_workflow(first.id).result(), 60)
    second = await bench.place(COURSE, buyer=survivor)
    await bench.pay(second, "pm_usBankAccount_processing")
    await moved(bench, await merge(bench, ended, survivor))
    assert await owner(bench, first) == survivor.user_id
    assert await questions(bench, first) + await questions(bench, second) == []
    assert second.intent_id is not None
    await bench.stripe.settle(second.intent_id)
    await bench.take_events_in()
    assert (await asked_twice(bench, second)).user_id == survivor.user_id
    assert await questions(bench, first) == []
    assert await unasked(bench) == []


async def test_it_is_asked_when_the_other_question_about_the_line_has_ended(bench: Bench) -> None:
    """The LMS refuses the survivor's access when the accounts are merged, and grants it afterwards."""
    ended, survivor = await bench.buyer(), await bench.buyer()
    first = await bench.buy(COURSE, buyer=ended)
    await asyncio.wait_for(bench.order_workflow(first.id).result(), 60)
    await bench.lms.suspend(survivor.lms_user_id)
    second = await bench.buy(COURSE, buyer=survivor)
    refused = await until(lambda: questions(bench, second), bool, "the question about the refusal")
    assert refused[-1].cause is ResolutionCause.LMS_REFUSED
    merge_id = await merge(bench, ended, survivor)
    await bench.lms.suspend(survivor.lms_user_id, suspended=False)
    await moved(bench, merge_id)
    await asked_twice(bench, second)
    (refusal, _) = await questions(bench, second)
    assert refusal.state is ResolutionState.WITHDRAWN
    assert await unasked(bench) == []


async def test_what_is_bought_again_afterwards_is_not_asked_about(bench: Bench) -> None:
    ended, survivor = await bench.buyer(), await bench.buyer()
    await bench.buy(COURSE, buyer=ended)
    await moved(bench, await merge(bench, ended, survivor))
    bundle = await bench.buy("career-bundle", buyer=survivor)
    await asyncio.wait_for(bench.order_workflow(bundle.id).result(), 60)
    assert await questions(bench, bundle) == []
    assert await unasked(bench) == []


async def test_merges_of_the_same_accounts_are_moved_as_they_were_told(bench: Bench) -> None:
    """A into B waits for an order; B into C, told later, waits for that, and is woken by it."""
    a, b, c = [await bench.buyer() for _ in range(3)]
    order, other = await bench.place(COURSE, buyer=a), await bench.bought(COURSE)
    first, second = await merge(bench, a, b), await merge(bench, b, c)
    unrelated = await merge(bench, other.buyer, await bench.buyer())
    await moved(bench, unrelated)
    wanted = [f"an earlier merge of user {a.lms_user_id} into {b.lms_user_id}"]
    await until(lambda: standing(bench, second), lambda row: row["waits_for"] == wanted, "what it waits for")
    await bench.skipper.fast_forward(bench.order_workflow(order.id), timedelta(minutes=31))
    await asyncio.wait_for(bench.order_workflow(order.id).result(), 60)
    await bench.resources.dispatcher.wake_merge(first)
    await moved(bench, second)
    assert await owner(bench, order) == c.user_id
    row = await standing(bench, first)
    assert (row["into_user_id"].hex, row["waits_for"]) == (uuid.UUID(c.user_id).hex, [])


async def test_what_a_won_dispute_gives_back_is_asked_about(bench: Bench) -> None:
    ended, survivor = await bench.buyer(), await bench.buyer()
    for buyer in (ended, survivor):
        order = await bench.buy(COURSE, buyer=buyer)
        await asyncio.wait_for(bench.order_workflow(order.id).result(), 60)
    made = await disputed(bench, order)
    await in_state(bench, made["id"], "open")
    await moved(bench, await merge(bench, ended, survivor))
    assert await questions(bench, order) == []
    await bench.stripe.win_dispute(made["id"])
    assert await decided(bench, made["id"]) == "won"
    await asked_twice(bench, order)
    assert await unasked(bench) == []

"""Access when the LMS is away, refuses for good, or is asked while the money goes back."""

import asyncio
from datetime import timedelta

from sqlalchemy import text

from domain import ids
from models.queries import entitlements, lms_calls, recovery
from tests.workflows.bench import Bench, Buyer, Placed, until

COURSE = "python-101"


def access_workflow(buyer: Buyer) -> str:
    return ids.entitlement_workflow_id(buyer.user_id, COURSE)


async def changes(bench: Bench, buyer: Buyer) -> list[str]:
    """What changed at the LMS for the buyer, oldest first."""
    return [entry.operation for entry in await bench.lms.log(buyer.lms_user_id, COURSE) if entry.changed]


async def enrolled(bench: Bench, buyer: Buyer) -> bool:
    return bool(await bench.lms.enrolments(buyer.lms_user_id, COURSE))


async def refunded(bench: Bench, order: Placed) -> None:
    refund_id = await bench.refund(order.id, order.buyer.user_id)
    result = await asyncio.wait_for(bench.workflow(ids.refund_workflow_id(refund_id)).result(), 60)
    assert result == "succeeded"


async def test_an_lms_that_is_away_for_three_days_grants_exactly_once_afterwards(bench: Bench) -> None:
    buyer = await bench.buyer()
    for kind in ("server_error", "cut", "unavailable_html", "server_error"):
        await bench.lms.fault("grant", kind, count=1, user_id=buyer.lms_user_id)
    await bench.lms.fault(
        "grant", "rate_limited", retry_after=str(24 * 3600), count=None, user_id=buyer.lms_user_id
    )
    order = await bench.buy(COURSE, buyer=buyer)
    await bench.wait_for_status(order.id, "fulfilling")
    workflow_id = access_workflow(buyer)
    await until(lambda: bench.pending_attempt(workflow_id), lambda attempt: attempt > 1, "a retry")
    handle = bench.workflow(workflow_id)

    await bench.skipper.fast_forward(handle, timedelta(days=3))
    assert str((await bench.order(order.id)).status) == "fulfilling"
    assert (await bench.access(buyer, COURSE)).status == "granting"
    asked = len(await bench.lms.log(buyer.lms_user_id, COURSE))
    assert asked >= 7, "four quick attempts, then one a day"
    assert await changes(bench, buyer) == []

    await bench.lms.clear_faults()
    await bench.skipper.fast_forward(handle, timedelta(hours=25))
    assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 60) == "fulfilled"
    assert await changes(bench, buyer) == ["grant"]
    assert await enrolled(bench, buyer)
    published = await bench.query(
        "SELECT type FROM outbound_event WHERE data->>'lms_user_id' = %s AND type LIKE 'entitlement.%%'",
        buyer.lms_user_id,
    )
    assert published == [{"type": "entitlement.granted"}]


async def test_a_grant_whose_answers_are_lost_changes_the_lms_once(bench: Bench) -> None:
    buyer = await bench.buyer()
    await bench.lms.fault("grant", "error_after_effect", count=2, user_id=buyer.lms_user_id)
    order = await bench.buy(COURSE, buyer=buyer)
    workflow_id = access_workflow(buyer)
    await until(lambda: bench.pending_attempt(workflow_id), lambda attempt: attempt > 1, "a retry")
    await bench.skipper.fast_forward(bench.workflow(workflow_id), timedelta(minutes=1))
    assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 60) == "fulfilled"
    assert await changes(bench, buyer) == ["grant"]


async def test_a_refusal_for_good_fails_the_fulfilment_and_a_retry_mends_it(bench: Bench) -> None:
    buyer = await bench.buyer()
    await bench.lms.suspend(buyer.lms_user_id)
    order = await bench.buy(COURSE, buyer=buyer)
    await bench.wait_for_status(order.id, "fulfillment_failed")
    access = await bench.access(buyer, COURSE)
    assert access.status == "failed"
    assert access.failure_code == "user_not_ready"
    assert len(await bench.lms.log(buyer.lms_user_id, COURSE)) == 1, "a refusal is not asked again"

    await bench.lms.suspend(buyer.lms_user_id, suspended=False)
    async with bench.resources.database.transaction() as session:
        await entitlements.ask_retry(session, access.id)
    await bench.resources.dispatcher.wake_entitlement(buyer.user_id, COURSE)
    assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 60) == "fulfilled"
    assert await changes(bench, buyer) == ["grant"]
    assert (await bench.access(buyer, COURSE)).failure_code is None


async def test_a_refund_while_the_grant_is_retried_ends_without_access(bench: Bench) -> None:
    buyer = await bench.buyer()
    await bench.lms.fault("grant", "server_error", count=None, user_id=buyer.lms_user_id)
    order = await bench.buy(COURSE, buyer=buyer)
    workflow_id = access_workflow(buyer)
    await until(lambda: bench.pending_attempt(workflow_id), lambda attempt: attempt > 1, "a retry")
    await refunded(bench, order)
    handle = bench.workflow(workflow_id)
    await until(lambda: bench.access(buyer, COURSE), lambda row: row.status == "revoked", "the revocation")
    await bench.lms.clear_faults()
    assert await asyncio.wait_for(handle.result(), 60) == "revoked"
    assert not await enrolled(bench, buyer)
    assert await changes(bench, buyer) == []
    await bench.wait_for_status(order.id, "refunded")
    assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 60) == "refunded"


async def test_a_refund_while_the_answer_of_a_grant_is_lost_takes_the_access_back(bench: Bench) -> None:
    """The LMS has enrolled, and nobody here knows it: the refund must revoke all the same."""
    buyer = await bench.buyer()
    await bench.lms.fault("grant", "error_after_effect", count=None, user_id=buyer.lms_user_id)
    order = await bench.buy(COURSE, buyer=buyer)
    workflow_id = access_workflow(buyer)
    await until(lambda: bench.pending_attempt(workflow_id), lambda attempt: attempt > 1, "a retry")
    assert await enrolled(bench, buyer)
    await refunded(bench, order)
    await until(lambda: bench.access(buyer, COURSE), lambda row: row.status == "revoked", "the revocation")
    assert not await enrolled(bench, buyer)
    assert await changes(bench, buyer) == ["grant", "revoke"]


async def test_a_second_purchase_after_a_refund_grants_again(bench: Bench) -> None:
    first = await bench.bought(COURSE)
    await refunded(bench, first)
    await until(
        lambda: bench.access(first.buyer, COURSE), lambda row: row.status == "revoked", "the revocation"
    )
    second = await bench.buy(COURSE, buyer=first.buyer)
    assert await asyncio.wait_for(bench.order_workflow(second.id).result(), 60) == "fulfilled"
    assert await changes(bench, first.buyer) == ["grant", "revoke", "grant"]


async def test_a_course_bought_again_counts_as_fulfilled_only_with_its_new_grant(bench: Bench) -> None:
    """Between the payment and the new grant the access still stands as revoked by the first refund."""
    first = await bench.bought(COURSE)
    await refunded(bench, first)
    await until(
        lambda: bench.access(first.buyer, COURSE), lambda row: row.status == "revoked", "the revocation"
    )
    second = await bench.place(COURSE, buyer=first.buyer)
    async with bench.resources.database.transaction() as session:
        await entitlements.justify(session, second.id)
        (access,) = await entitlements.of_order(session, second.id)
        assert (access.status, access.decided) == ("revoked", False)
        await session.rollback()
    async with bench.resources.database.transaction() as session:
        (access,) = await entitlements.of_order(session, first.id)
        assert (access.status, access.decided) == ("revoked", True)


async def operations(bench: Bench, buyer: Buyer) -> list[str]:
    """Every call of grant and revoke that the LMS saw, oldest first."""
    return [entry.operation for entry in await bench.lms.log(buyer.lms_user_id, COURSE)]


async def killed_in_a_call(bench: Bench, buyer: Buyer, action: lms_calls.Action) -> None:
    """What a worker leaves that was killed while the LMS was doing this."""
    access = await bench.access(buyer, COURSE)
    async with bench.resources.database.transaction() as session:
        await lms_calls.begin(session, access.id, action, lands_within_seconds=300)


async def test_a_revoke_after_a_grant_of_unknown_outcome_is_repeated_when_that_can_no_longer_land(
    bench: Bench,
) -> None:
    order = await bench.bought(COURSE)
    await killed_in_a_call(bench, order.buyer, "grant")
    await refunded(bench, order)
    handle = bench.workflow(access_workflow(order.buyer))
    await until(
        lambda: bench.access(order.buyer, COURSE), lambda row: row.status == "revoked", "the revocation"
    )
    await bench.resources.lms.grant(order.buyer.lms_user_id, COURSE)  # as if it landed only now
    await bench.skipper.fast_forward(handle, timedelta(minutes=4))
    assert await operations(bench, order.buyer) == ["grant", "revoke", "grant"]
    # Temporal loses it: the recovery finds it by its row.
    await handle.terminate()
    await bench.query(
        "UPDATE entitlement SET changed_at = now() - interval '1 minute' WHERE user_id = %s",
        order.buyer.user_id,
    )
    async with bench.resources.database.transaction() as session:
        unfinished = await recovery.unfinished(session)
    assert (order.buyer.user_id, COURSE) in unfinished.entitlements
    assert (order.buyer.lms_user_id, COURSE, False) not in await settled(bench), "not at rest"
    await bench.resources.dispatcher.wake_entitlement(order.buyer.user_id, COURSE)
    handle = bench.workflow(access_workflow(order.buyer))
    await bench.skipper.fast_forward(handle, timedelta(seconds=301))
    assert await asyncio.wait_for(handle.result(), 30) == "revoked"
    assert await operations(bench, order.buyer) == ["grant", "revoke", "grant", "revoke"]
    assert not await enrolled(bench, order.buyer)
    assert (await bench.access(order.buyer, COURSE)).grant_may_land_until is None
    published = await bench.query(
        "SELECT type FROM outbound_event WHERE data->>'lms_user_id' = %s AND type LIKE 'entitlement.%%'",
        order.buyer.lms_user_id,
    )
    assert len(published) == 2, "what is only made sure of is told to nobody"


async def settled(bench: Bench) -> list[tuple[str, str, bool]]:
    async with bench.resources.database.transaction() as session:
        return await entitlements.settled_access(session)


async def test_a_grant_after_a_revoke_of_unknown_outcome_is_repeated(bench: Bench) -> None:
    first = await bench.bought(COURSE)
    await refunded(bench, first)
    await until(
        lambda: bench.access(first.buyer, COURSE), lambda row: row.status == "revoked", "the revocation"
    )
    await killed_in_a_call(bench, first.buyer, "revoke")
    second = await bench.buy(COURSE, buyer=first.buyer)
    assert await asyncio.wait_for(bench.order_workflow(second.id).result(), 60) == "fulfilled"
    handle = bench.workflow(access_workflow(first.buyer))
    await bench.skipper.fast_forward(handle, timedelta(seconds=301))
    assert await asyncio.wait_for(handle.result(), 30) == "granted"
    assert await operations(bench, first.buyer) == ["grant", "revoke", "grant", "grant"]
    assert await enrolled(bench, first.buyer)
    assert (await bench.access(first.buyer, COURSE)).revoke_may_land_until is None


async def test_news_ends_the_wait_for_what_may_land_late(bench: Bench) -> None:
    """Bought again meanwhile: the grant is what is wanted now, and nothing is revoked any more."""
    first = await bench.bought(COURSE)
    await killed_in_a_call(bench, first.buyer, "grant")
    await refunded(bench, first)
    await until(
        lambda: bench.access(first.buyer, COURSE), lambda row: row.status == "revoked", "the revocation"
    )
    second = await bench.buy(COURSE, buyer=first.buyer)
    assert await asyncio.wait_for(bench.order_workflow(second.id).result(), 60) == "fulfilled"
    result = bench.workflow(access_workflow(first.buyer)).result()
    assert await asyncio.wait_for(result, 30) == "granted"
    assert await operations(bench, first.buyer) == ["grant", "revoke", "grant"]


async def test_a_call_that_never_reached_the_lms_is_not_waited_for(bench: Bench) -> None:
    """Refused connections and rate limits have no effect; what the LMS refuses for good has none, either."""
    buyer = await bench.buyer()
    await bench.lms.fault("grant", "rate_limited", count=2, user_id=buyer.lms_user_id)
    await bench.lms.fault("grant", "reject", count=1, user_id=buyer.lms_user_id)
    order = await bench.buy(COURSE, buyer=buyer)
    handle = bench.workflow(access_workflow(buyer))
    await until(lambda: bench.pending_attempt(access_workflow(buyer)), lambda attempt: attempt > 1, "a retry")
    await bench.skipper.fast_forward(handle, timedelta(minutes=1))
    await bench.wait_for_status(order.id, "fulfillment_failed")
    access = await bench.access(buyer, COURSE)
    assert (access.status, access.grant_may_land_until) == ("failed", None)


async def test_what_was_refused_and_is_paid_back_is_revoked_when_an_earlier_try_may_land(
    bench: Bench,
) -> None:
    """Tried again by an operator, refunded before that began: nothing else would be asked of the LMS."""
    buyer = await bench.buyer()
    await bench.lms.suspend(buyer.lms_user_id)
    order = await bench.buy(COURSE, buyer=buyer)
    await bench.wait_for_status(order.id, "fulfillment_failed")
    await killed_in_a_call(bench, buyer, "grant")
    async with bench.resources.database.transaction() as session:
        access = await entitlements.of_user_course(session, buyer.user_id, COURSE)
        assert access is not None
        await entitlements.ask_retry(session, access.id)
        await entitlements.unjustify(session, await entitlements.active_lines(session, order.id))
    await bench.resources.dispatcher.wake_entitlement(buyer.user_id, COURSE)
    await until(lambda: bench.access(buyer, COURSE), lambda row: row.status == "revoked", "the end")
    handle = bench.workflow(access_workflow(buyer))
    await bench.skipper.fast_forward(handle, timedelta(seconds=301))
    assert await asyncio.wait_for(handle.result(), 30) == "revoked"
    assert await operations(bench, buyer) == ["grant", "revoke"]


async def test_the_success_of_a_worker_that_was_taken_for_dead_takes_no_mark_away(bench: Bench) -> None:
    """It was cut off from Temporal only; the LMS may have let the learner in after the revoke of another."""
    buyer = (await bench.bought(COURSE)).buyer
    access = await bench.access(buyer, COURSE)
    async with bench.resources.database.transaction() as session:
        grant = await lms_calls.begin(session, access.id, "grant", lands_within_seconds=300)
    async with bench.resources.database.transaction() as session:
        revoke = await lms_calls.begin(session, access.id, "revoke", lands_within_seconds=300)
    for call in (revoke, grant):
        async with bench.resources.database.transaction() as session:
            await lms_calls.succeeded(session, call, again_at=None)
    access = await bench.access(buyer, COURSE)
    assert (access.grant_may_land_until is not None, access.revoke_may_land_until) == (True, None)


async def test_all_reads_of_one_answer_agree_on_the_next_try(bench: Bench) -> None:
    """An answer shows an access twice, alone and within its order; the next try may fall between the two."""
    buyer = (await bench.bought(COURSE)).buyer
    await bench.query("UPDATE entitlement SET next_try_at = clock_timestamp() + interval '1 second'")
    async with bench.resources.database.transaction() as session:
        seen = [await entitlements.of_user_course(session, buyer.user_id, COURSE)]
        await session.execute(text("SELECT pg_sleep(1)"))
        seen.append(await entitlements.of_user_course(session, buyer.user_id, COURSE))
    assert seen[0] == seen[1]
    assert seen[0] is not None
    assert seen[0].next_try_at is not None
    assert (await bench.access(buyer, COURSE)).next_try_at is None

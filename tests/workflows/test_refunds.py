"""Refunds that fail and are issued again or given up, and refunds made in the processor's dashboard."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest
import stripe
from temporalio.api.sdk.v1 import WorkflowMetadata

from config import DEVELOPMENT_STRIPE_KEY
from domain import ids
from domain.orders import RefundStatus
from models.queries import refunds
from models.queries.refunds import WISH_CANCEL, WISH_REISSUE, RefundRow
from tests.workflows.bench import Bench, Placed, until

COURSE = "python-101"


async def the_refund(bench: Bench, order: Placed) -> RefundRow | None:
    async with bench.resources.database.transaction() as session:
        found = await refunds.of_order(session, order.id)
    return found[0] if found else None


async def refund_in(bench: Bench, order: Placed, status: str, attempt: int = 1) -> RefundRow:
    row = await until(
        lambda: the_refund(bench, order),
        lambda row: row is not None and (row.status, row.attempt) == (status, attempt),
        f"a refund that is {status}",
    )
    assert row is not None
    return row


async def ledger_of_refund(bench: Bench, order: Placed) -> list[tuple[str, int]]:
    """Kind and amount of each entry about money that goes back, oldest first."""
    rows = await bench.query(
        "SELECT e.kind, (SELECT sum(amount) FROM posting WHERE entry_id = e.id AND amount > 0)::int AS debit "
        "FROM journal_entry e WHERE order_id = %s AND kind LIKE 'refund%%' ORDER BY recorded_at, id",
        order.id,
    )
    return [(row["kind"], row["debit"]) for row in rows]


async def owed(bench: Bench, order: Placed) -> int:
    """What stands in 2310: owed to the customer."""
    row = await bench.one(
        "SELECT coalesce(-sum(p.amount), 0)::int AS owed FROM posting p JOIN journal_entry e "
        "ON e.id = p.entry_id WHERE e.order_id = %s AND p.account = '2310'",
        order.id,
    )
    return int(row["owed"])


async def wish(bench: Bench, row: RefundRow, what: str) -> None:
    async with bench.resources.database.transaction() as session:
        await refunds.wish(session, row.id, what)
    await bench.resources.dispatcher.wake_refund(row.id)


async def failed_after_success(bench: Bench, order: Placed, reason: str) -> RefundRow:
    """The bank sends the money back."""
    await bench.refund(order.id, order.buyer.user_id)
    row = await refund_in(bench, order, "succeeded")
    assert row.provider_refund_id is not None
    await bench.stripe.fail_refund(row.provider_refund_id, reason)
    await bench.take_events_in()
    return await refund_in(bench, order, "failed")


async def access_of(bench: Bench, order: Placed, status: str) -> None:
    await until(
        lambda: bench.access(order.buyer, COURSE),
        lambda row: row.status == status,
        f"access that is {status}",
    )


async def done(bench: Bench, row: RefundRow) -> str:
    handle = bench.workflow(ids.refund_workflow_id(row.id))
    return str(await asyncio.wait_for(handle.result(), 60))


async def test_a_refund_that_failed_is_still_owed_and_issued_again_by_an_operator(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    row = await failed_after_success(bench, order, "expired_or_canceled_card")
    assert await owed(bench, order) == row.amount
    assert (await bench.order(order.id)).amount_refunded == 0
    await access_of(bench, order, "revoked")

    await wish(bench, row, WISH_REISSUE)
    again = await refund_in(bench, order, "succeeded", attempt=2)
    assert again.provider_refund_id not in (None, row.provider_refund_id)
    assert await done(bench, again) == "succeeded"
    assert await ledger_of_refund(bench, order) == [
        ("refund_initiated", row.amount),
        ("refund_settled", row.amount),
        ("refund_failed", row.amount),
        ("refund_settled", row.amount),
    ]
    assert await owed(bench, order) == 0
    assert str((await bench.order(order.id)).status) == "refunded"
    papers = await bench.query(
        "SELECT id FROM document WHERE order_id = %s AND kind = 'credit_note'", order.id
    )
    assert len(papers) == 1, "the customer has one credit note for one refund"
    told = await bench.query(
        "SELECT type FROM outbound_event WHERE data->>'refund_id' = %s AND type LIKE 'refund.%%' ORDER BY id",
        row.id,
    )
    assert [event["type"] for event in told] == ["refund.succeeded", "refund.failed", "refund.succeeded"]


async def test_a_reason_that_may_pass_is_tried_again_by_itself_after_a_pause(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    row = await failed_after_success(bench, order, "insufficient_funds")
    handle = bench.workflow(ids.refund_workflow_id(row.id))
    await bench.skipper.fast_forward(handle, timedelta(minutes=50))
    assert (await refund_in(bench, order, "failed")).attempt == 1
    await bench.skipper.fast_forward(handle, timedelta(minutes=15))
    assert await done(bench, await refund_in(bench, order, "succeeded", attempt=2)) == "succeeded"


async def test_a_canceled_refund_leaves_the_order_as_it_was(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    row = await failed_after_success(bench, order, "lost_or_stolen_card")
    await access_of(bench, order, "revoked")
    await wish(bench, row, WISH_CANCEL)
    assert await done(bench, row) == "canceled"
    assert await owed(bench, order) == 0
    await access_of(bench, order, "granted")
    assert str((await bench.order(order.id)).status) == "fulfilled"
    kinds = [kind for kind, _ in await ledger_of_refund(bench, order)]
    assert kinds[-1] == "refund_cancelled"
    findings = await bench.findings()
    assert not findings["ledger.sums_to_zero"].violations
    assert not findings["refunds.counted_once"].violations


# --- made in the dashboard ---------------------------------------------------------------------------


async def refunded_in_dashboard(bench: Bench, order: Placed, amount: int | None = None) -> dict[str, Any]:
    assert order.intent_id is not None
    made = await bench.stripe.refund(order.intent_id, amount)
    await bench.take_events_in()
    return made


async def test_a_whole_refund_in_the_dashboard_is_taken_in(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    made = await refunded_in_dashboard(bench, order)
    row = await refund_in(bench, order, "succeeded")
    assert (row.provider_refund_id, row.id) == (
        made["id"],
        ids.foreign_refund_id(made["id"], made["created"]),
    )
    assert await done(bench, row) == "succeeded"
    assert str((await bench.order(order.id)).status) == "refunded"
    await access_of(bench, order, "revoked")
    assert await owed(bench, order) == 0
    cash = await bench.one(
        "SELECT sum(p.amount)::int AS left FROM posting p JOIN journal_entry e ON e.id = p.entry_id "
        "WHERE e.order_id = %s AND p.account = '1010' AND e.kind <> 'processor_fee'",
        order.id,
    )
    assert cash["left"] == 0, "what came went back"


async def test_an_amount_refunded_in_the_dashboard_keeps_the_access(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    await refunded_in_dashboard(bench, order, 700)
    row = await refund_in(bench, order, "succeeded")
    assert row.amount == 700
    assert str((await bench.order(order.id)).status) == "partially_refunded"
    assert (await bench.access(order.buyer, COURSE)).status == "granted"


async def test_events_of_a_dashboard_refund_in_any_order_and_twice_post_it_once(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    assert order.intent_id is not None
    made = await bench.stripe.refund(order.intent_id, 500)
    events = [e for e in await bench.stripe.listing("events") if e["data"]["object"]["id"] == made["id"]]
    assert events
    await bench.take_these_in([*events, *reversed(events), *events])
    row = await refund_in(bench, order, "succeeded")
    assert await done(bench, row) == "succeeded"
    assert await ledger_of_refund(bench, order) == [("refund_initiated", 500), ("refund_settled", 500)]
    assert (await bench.order(order.id)).amount_refunded == 500


async def refused(bench: Bench, order: Placed, by_hand: int | None) -> tuple[RefundRow, dict[str, Any]]:
    """Somebody refunds by hand, and we hear of it only after our own refund was refused for it."""
    assert order.intent_id is not None
    made = await bench.stripe.refund(order.intent_id, by_hand)
    await bench.refund(order.id, order.buyer.user_id)
    own = await refund_in(bench, order, "failed")
    assert await owed(bench, order) == own.amount, "what was refused is still owed"
    assert (await bench.access(order.buyer, COURSE)).status == "granted"
    await bench.take_events_in()
    return own, made


async def test_one_that_does_not_fit_is_parked_until_it_does(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    own, made = await refused(bench, order, 900)
    foreign = ids.foreign_refund_id(made["id"], made["created"])
    handle = bench.workflow(ids.refund_workflow_id(foreign))
    assert len(await bench.query("SELECT id FROM refund WHERE order_id = %s", order.id)) == 1
    await wish(bench, own, WISH_CANCEL)
    assert await done(bench, own) == "canceled"
    assert str(await asyncio.wait_for(handle.result(), 60)) == "succeeded"
    assert (await bench.order(order.id)).amount_refunded == 900


async def test_one_that_is_parked_takes_the_place_of_ours_when_that_is_refused(bench: Bench) -> None:
    """It is heard of while ours has everything reserved, and has not been refused yet."""
    order = await bench.bought(COURSE)
    assert order.intent_id is not None
    await bench.stripe.fault("POST", "/v1/refunds", "500_before", count=2)
    await bench.refund(order.id, order.buyer.user_id)
    made = await bench.stripe.refund(order.intent_id)
    await bench.take_events_in()
    own = await refund_in(bench, order, "succeeded", attempt=2)
    assert own.provider_refund_id == made["id"]
    assert await done(bench, own) == "succeeded"
    assert await owed(bench, order) == 0


async def test_one_that_is_parked_is_taken_in_when_the_dispute_ends(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    assert order.intent_id is not None
    made = await bench.stripe.refund(order.intent_id, 300)
    dispute = await bench.stripe.dispute(order.intent_id, 1000)
    events = await bench.stripe.listing("events")
    await bench.take_these_in([e for e in events if e["data"]["object"]["id"] == dispute["id"]])
    await bench.wait_for_status(order.id, "disputed")
    await bench.take_events_in()
    foreign = ids.foreign_refund_id(made["id"], made["created"])
    await until(
        lambda: bench.query(
            "SELECT id FROM order_event WHERE order_id = %s AND kind = 'refund_parked'", order.id
        ),
        bool,
        "the parking",
    )
    async with bench.resources.database.transaction() as session:
        assert [one.provider_id for one in await refunds.parked(session, order.id)] == [made["id"]]
    await bench.stripe.win_dispute(dispute["id"])
    await bench.take_events_in()
    handle = bench.workflow(ids.refund_workflow_id(foreign))
    assert str(await asyncio.wait_for(handle.result(), 60)) == "succeeded"
    async with bench.resources.database.transaction() as session:
        assert await refunds.parked(session, order.id) == []


async def test_a_refused_refund_takes_the_one_that_was_made_by_hand(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    own, made = await refused(bench, order, None)
    again = await refund_in(bench, order, "succeeded", attempt=2)
    assert (again.id, again.provider_refund_id) == (own.id, made["id"])
    assert await done(bench, own) == "succeeded"
    assert await owed(bench, order) == 0
    foreign = bench.workflow(ids.refund_workflow_id(ids.foreign_refund_id(made["id"], made["created"])))
    assert (await asyncio.wait_for(foreign.result(), 60)).startswith("ended: refund")


async def test_a_refund_of_somebody_elses_payment_is_none_of_ours(bench: Bench) -> None:
    client = stripe.StripeClient(
        DEVELOPMENT_STRIPE_KEY,
        base_addresses={"api": bench.settings.stripe_api_base},  # type: ignore[typeddict-item]
        http_client=stripe.HTTPXClient(timeout=20),
    )
    intent = await client.v1.payment_intents.create_async(
        {
            "amount": 3000,
            "currency": "usd",
            "confirm": True,
            "payment_method": "pm_card_visa",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
    )
    made = await bench.stripe.refund(intent.id)
    await bench.take_events_in()
    assert await bench.query("SELECT id FROM refund WHERE provider_refund_id = %s", made["id"]) == []


@pytest.mark.parametrize("parts", list(itertools.permutations([300, 200])))
async def test_several_refunds_in_a_row_end_the_same_in_any_order(
    bench: Bench, parts: tuple[int, ...]
) -> None:
    order = await bench.bought(COURSE)
    for amount in parts:
        refund_id = await bench.refund(order.id, order.buyer.user_id, amount)
        assert (
            await asyncio.wait_for(bench.workflow(ids.refund_workflow_id(refund_id)).result(), 60)
            == "succeeded"
        )
    rest = await bench.refund(order.id, order.buyer.user_id)
    assert await asyncio.wait_for(bench.workflow(ids.refund_workflow_id(rest)).result(), 60) == "succeeded"
    row = await bench.order(order.id)
    assert (row.amount_refunded, str(row.status)) == (row.amount_paid, "refunded")
    left = await bench.query(
        "SELECT p.account, sum(p.amount) FROM posting p JOIN journal_entry e ON e.id = p.entry_id "
        "WHERE e.order_id = %s AND p.account IN ('2110', '2120', '2210', '2310') "
        "GROUP BY 1 HAVING sum(p.amount) <> 0",
        order.id,
    )
    assert left == []


def test_statuses_are_the_contracts() -> None:
    assert {str(status) for status in RefundStatus} == {"pending", "succeeded", "failed"}


async def story(bench: Bench, order: Placed) -> list[tuple[str, str]]:
    rows = await bench.query("SELECT kind, detail FROM order_event WHERE order_id = %s ORDER BY id", order.id)
    return [(row["kind"], row["detail"]) for row in rows]


async def shown(bench: Bench, workflow_id: str) -> str:
    """The current details that Temporal's page shows."""
    found = await bench.workflow(workflow_id).query(
        "__temporal_workflow_metadata", result_type=WorkflowMetadata
    )
    return str(found.current_details)


async def test_operators_read_amounts_as_people_write_them(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    await bench.refund(order.id, order.buyer.user_id)
    row = await refund_in(bench, order, "succeeded")
    amount = f"{row.amount // 100}.{row.amount % 100:02} USD"
    details = [detail for kind, detail in await story(bench, order) if kind.startswith("refund_")]
    assert len(details) > 1
    assert all(amount in detail and "minor units" not in detail for detail in details), details
    assert amount in await shown(bench, ids.refund_workflow_id(row.id))
    assert f"due: {amount}, and 0.00 USD by store credit" in await shown(
        bench, ids.order_workflow_id(order.id)
    )


async def test_the_timeline_says_when_access_was_taken_back(bench: Bench) -> None:
    """Once, and on no order of before for the same course."""

    async def accesses(of: Placed) -> list[str]:
        return [kind for kind, _ in await story(bench, of) if kind.startswith("entitlement_")]

    first = await bench.bought(COURSE)
    await bench.refund(first.id, first.buyer.user_id)
    await access_of(bench, first, "revoked")
    assert await accesses(first) == ["entitlement_granted", "entitlement_revoked"]
    assert f"Access to {COURSE}: revoked." in dict(await story(bench, first))["entitlement_revoked"]

    second = await bench.buy(COURSE, buyer=first.buyer)
    await bench.wait_for_status(second.id, "fulfilled")
    await bench.refund(second.id, first.buyer.user_id)
    await access_of(bench, second, "revoked")
    for order in (first, second):
        assert await accesses(order) == ["entitlement_granted", "entitlement_revoked"]

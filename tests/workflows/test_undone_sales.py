"""Sales that are undone: debits that the bank returns, in any order of events; and the papers of it all."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest

from activities.balance import BalanceActivities
from domain import ids
from domain.messages import BalanceTransactionInput
from models.queries import entitlements, order_lines, refunds
from models.queries.refunds import WISH_CANCEL
from tests.workflows.bench import Bench, Placed, until
from tests.workflows.test_disputes import access_is, balances, decided, disputed, in_state, told
from tests.workflows.test_earnings import complete
from tests.workflows.test_store_credit import balance, give

COURSE = "python-101"
DEBIT = "pm_usBankAccount_processing"


async def debited(bench: Bench, **more: Any) -> Placed:
    """An order that is paid by a bank debit and fulfilled."""
    order = await bench.place(COURSE, **more)
    await bench.pay(order, DEBIT)
    assert order.intent_id is not None
    await bench.stripe.settle(order.intent_id)
    await bench.take_events_in()
    await bench.wait_for_status(order.id, "fulfilled")
    return order


async def returned(bench: Bench, order: Placed) -> str:
    """The bank returns it; what the workflow says."""
    assert order.intent_id is not None
    await bench.stripe.return_payment(order.intent_id)
    await bench.take_events_in()
    return await outcome(bench, order)


async def outcome(bench: Bench, order: Placed) -> str:
    assert order.intent_id is not None
    handle = bench.workflow(ids.late_failure_workflow_id(order.intent_id))
    return str(await asyncio.wait_for(handle.result(), 60))


async def entries(bench: Bench, order: Placed) -> list[str]:
    rows = await bench.query(
        "SELECT kind FROM journal_entry WHERE order_id = %s AND kind LIKE 'payment%%' ORDER BY id", order.id
    )
    return [row["kind"] for row in rows]


async def clean(bench: Bench) -> None:
    found = await bench.findings()
    for name in (
        *("ledger.sums_to_zero", "ledger.capture_equals_paid", "orders.failed_keep_no_money"),
        *("orders.one_applied_payment", "seats.within_capacity", "earnings.events_equal_ledger"),
    ):
        assert found[name].violations == [], name


@pytest.mark.parametrize("turn", range(2))
async def test_events_in_any_order_and_twice_undo_the_sale_once(bench: Bench, turn: int) -> None:
    order = await bench.place(COURSE)
    assert order.intent_id is not None
    await bench.stripe.confirm(order.intent_id, DEBIT)
    await bench.stripe.settle(order.intent_id)
    await bench.stripe.return_payment(order.intent_id)
    about = {order.intent_id, (await bench.stripe.intent(order.intent_id))["latest_charge"]}
    events = [e for e in await bench.stripe.listing("events") if e["data"]["object"]["id"] in about]
    wanted = ("payment_intent.succeeded", "charge.failed", "charge.updated")
    told = [event for event in events if event["type"] in wanted]
    ways = list(itertools.permutations(told))
    shuffled = ways[turn * (len(ways) - 1)]
    await bench.take_these_in([*shuffled, *reversed(shuffled)])
    assert (await outcome(bench, order)).startswith("undone")
    row = await bench.wait_for_status(order.id, "canceled")
    assert (row.payment_state, row.amount_kept) == ("failed", 0)
    assert await entries(bench, order) == ["payment_captured", "payment_failed_late"]
    await until(lambda: bench.order_workflow(order.id).result(), bool, "the order's workflow ends")
    await access_is(bench, order, "revoked")
    assert not {"1010", "2110", "2120", "4035"} & (await unfeed(bench, order)).keys()
    await matched(bench, order)
    await clean(bench)


async def matched(bench: Bench, order: Placed) -> None:
    """What the processor took back is the entry of the failure, to the cent."""
    assert order.intent_id is not None
    charge_id = (await bench.stripe.intent(order.intent_id))["latest_charge"]
    charge = await bench.stripe.find("charges", charge_id)
    given = BalanceTransactionInput(charge["failure_balance_transaction"], order.id)
    activities = BalanceActivities(bench.resources.transactions, bench.resources.payments)
    assert (await activities.post_balance_transaction(given)).startswith("taken in: charge_failure")
    row = await bench.one(
        "SELECT e.kind FROM balance_match m JOIN journal_entry e ON e.id = m.entry_id "
        "WHERE m.transaction_id = %s AND m.part = 'principal'",
        given.transaction_id,
    )
    assert row["kind"] == "payment_failed_late"


async def unfeed(bench: Bench, order: Placed) -> dict[str, int]:
    """The order's balances without the processor's fee, which stays with the processor."""
    found = await balances(bench, order)
    cash = found.get("1010", 0) + found.pop("5020", 0)
    return {**found, "1010": cash} if cash else {name: n for name, n in found.items() if name != "1010"}


async def test_a_debit_that_fails_before_it_succeeds_is_no_late_failure(bench: Bench) -> None:
    order = await bench.place(COURSE)
    assert order.intent_id is not None
    await bench.pay(order, DEBIT)
    await bench.stripe.fail(order.intent_id)
    await bench.take_events_in()
    await bench.wait_for_status(order.id, "pending_payment")
    assert await entries(bench, order) == []


async def test_what_was_refunded_before_is_a_loss_and_a_promise_left_can_be_canceled(bench: Bench) -> None:
    order = await debited(bench)
    paid = (await bench.order(order.id)).amount_paid
    first = await bench.refund(order.id, order.buyer.user_id, 1000)
    assert await asyncio.wait_for(bench.workflow(ids.refund_workflow_id(first)).result(), 60) == "succeeded"
    second = await bench.refund(order.id, order.buyer.user_id, 500)
    sent = await until(
        lambda: bench.one("SELECT provider_refund_id AS id, status FROM refund WHERE id = %s", second),
        lambda row: row["status"] == "succeeded",
        "the second refund",
    )
    await bench.stripe.fail_refund(sent["id"])
    await bench.take_events_in()
    await until(
        lambda: bench.one("SELECT status FROM refund WHERE id = %s", second),
        lambda row: row["status"] == "failed",
        "its failure",
    )
    assert (await returned(bench, order)).startswith("undone")
    left = await unfeed(bench, order)
    assert (left["2310"], left["5035"]) == (-500, 1500)
    assert left["1010"] == -1000
    assert paid > 1500

    async with bench.resources.database.transaction() as session:
        await refunds.wish(session, second, WISH_CANCEL)
    await bench.resources.dispatcher.wake_refund(second)
    result = await asyncio.wait_for(bench.workflow(ids.refund_workflow_id(second)).result(), 60)
    assert result == "canceled"
    left = await unfeed(bench, order)
    assert left == {"1010": -1000, "5035": 1000}, "what the customer keeps is lost, and nothing is owed"
    await access_is(bench, order, "revoked")
    await clean(bench)


@pytest.mark.parametrize("was_released", [False, True], ids=["held", "released"])
async def test_earnings_are_taken_back_wherever_they_are(bench: Bench, was_released: bool) -> None:
    order = await debited(bench)
    await complete(bench, order)
    await until(lambda: told(bench, order), lambda kinds: "earning.accrued" in kinds, "the accrual")
    if was_released:
        line = await bench.one("SELECT id FROM order_line WHERE order_id = %s", order.id)
        split = bench.workflow(ids.split_workflow_id(str(line["id"])))
        await bench.skipper.fast_forward(split, timedelta(days=40))
        await until(lambda: told(bench, order), lambda kinds: "earning.released" in kinds, "the release")
    await returned(bench, order)
    assert (await told(bench, order))[-1] == "earning.reversed"
    left = await unfeed(bench, order)
    assert not {"1010", "2110", "2120", "2210", "2220", "5010"} & left.keys()
    assert left["4035"] == -left["4010"]
    await clean(bench)


async def test_store_credit_that_was_spent_on_it_comes_back(bench: Bench) -> None:
    buyer = await bench.buyer()
    await give(bench, buyer, 1000)
    order = await debited(bench, buyer=buyer, use_store_credit=True)
    assert (await balance(bench, buyer))[0] == 0
    await returned(bench, order)
    assert await balance(bench, buyer) == (1000, 0)
    await clean(bench)


async def test_access_that_another_order_justifies_stays(bench: Bench) -> None:
    order = await debited(bench)
    other = await bench.buy("web-design", buyer=order.buyer)
    assert await asyncio.wait_for(bench.order_workflow(other.id).result(), 60) == "fulfilled"
    access = await bench.access(order.buyer, COURSE)
    await bench.query(
        "UPDATE justification j SET entitlement_id = %s FROM order_line l "
        "WHERE l.id = j.line_id AND l.order_id = %s",
        access.id,
        other.id,
    )
    await returned(bench, order)
    await bench.wait_for_status(order.id, "canceled")
    await access_is(bench, order, "granted")
    await clean(bench)


async def test_the_processor_is_away_and_its_answer_is_lost(bench: Bench) -> None:
    order = await debited(bench)
    await bench.stripe.fault("GET", f"/v1/payment_intents/{order.intent_id}", "cut_after", count=1)
    assert (await returned(bench, order)).startswith("undone")
    assert await entries(bench, order) == ["payment_captured", "payment_failed_late"]


async def test_an_access_that_was_never_asked_for_is_decided_when_its_right_ends(bench: Bench) -> None:
    """Else an order whose payment is returned before its fulfilment began would wait for ever."""
    order = await bench.place(COURSE)
    async with bench.resources.database.transaction() as session:
        await entitlements.justify(session, order.id)
        (access,) = await entitlements.of_order(session, order.id)
        assert (access.status, access.decided) == ("pending", False)
        line = (await order_lines.of_order(session, order.id))[0]
        await entitlements.unjustify(session, [line.id])
        (access,) = await entitlements.of_order(session, order.id)
        assert (access.status, access.decided) == ("pending", True)
        await session.rollback()


# --- papers ------------------------------------------------------------------------------------------


async def papers(bench: Bench, order: Placed) -> list[dict[str, Any]]:
    """The order's documents, oldest first."""
    return await bench.query(
        "SELECT number, kind, refund_id::text, dispute_id::text, body FROM document WHERE order_id = %s "
        "ORDER BY id",
        order.id,
    )


async def refunded(bench: Bench, order: Placed, amount: int) -> str:
    refund_id = await bench.refund(order.id, order.buyer.user_id, amount)
    handle = bench.workflow(ids.refund_workflow_id(refund_id))
    assert await asyncio.wait_for(handle.result(), 60) == "succeeded"
    return refund_id


async def failed(bench: Bench, refund_id: str) -> None:
    """It had succeeded, and the bank sends it back."""
    row = await bench.one("SELECT provider_refund_id AS id FROM refund WHERE id = %s", refund_id)
    await bench.stripe.fail_refund(row["id"])
    await bench.take_events_in()
    await until(
        lambda: bench.one("SELECT status FROM refund WHERE id = %s", refund_id),
        lambda found: found["status"] == "failed",
        "the failure",
    )


async def canceled(bench: Bench, refund_id: str) -> None:
    async with bench.resources.database.transaction() as session:
        await refunds.wish(session, refund_id, WISH_CANCEL)
    await bench.resources.dispatcher.wake_refund(refund_id)
    handle = bench.workflow(ids.refund_workflow_id(refund_id))
    assert await asyncio.wait_for(handle.result(), 60) == "canceled"


async def papers_agree(bench: Bench) -> None:
    found = await bench.findings()
    for name in ("documents.gapless", "documents.issued", "documents.come_to_what_is_kept"):
        assert found[name].violations == [], name


async def test_a_lost_dispute_credits_what_was_left_of_the_invoice(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    paid = (await bench.order(order.id)).amount_paid
    await refunded(bench, order, 1000)
    made = await disputed(bench, order, paid)
    row = await in_state(bench, made["id"], "open")
    assert len(await papers(bench, order)) == 2
    await papers_agree(bench)
    await bench.stripe.lose_dispute(made["id"])
    assert await decided(bench, made["id"]) == "lost"
    invoice, _, note = await papers(bench, order)
    assert (note["kind"], note["dispute_id"], note["refund_id"]) == ("credit_note", row.id, None)
    assert note["body"]["reference"] == invoice["number"]
    assert note["body"]["total"] == paid - 1000
    assert made["id"] in note["body"]["payment"]
    await papers_agree(bench)


async def test_a_dispute_that_took_nothing_of_the_sale_has_no_credit_note(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    paid = (await bench.order(order.id)).amount_paid
    await refunded(bench, order, paid)
    made = await disputed(bench, order, 500)
    await bench.stripe.lose_dispute(made["id"])
    assert await decided(bench, made["id"]) == "lost"
    assert [one["kind"] for one in await papers(bench, order)] == ["invoice", "credit_note"]
    await papers_agree(bench)


async def test_a_returned_payment_credits_all_that_was_not_credited_before(bench: Bench) -> None:
    order = await debited(bench)
    paid = (await bench.order(order.id)).amount_paid
    await refunded(bench, order, 1001)
    promised = await refunded(bench, order, 500)
    await failed(bench, promised)
    assert (await returned(bench, order)).startswith("undone")
    invoice, *_, note = await papers(bench, order)
    assert (note["kind"], note["dispute_id"], note["refund_id"]) == ("credit_note", None, None)
    assert (note["body"]["reference"], note["body"]["total"]) == (invoice["number"], paid - 1501)
    assert str(order.intent_id) in note["body"]["payment"]
    await papers_agree(bench)
    await canceled(bench, promised)
    assert len(await papers(bench, order)) == 4, "the sale stays undone: nothing is invoiced again"
    await papers_agree(bench)


async def test_a_refund_canceled_after_its_credit_note_is_invoiced_again(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    first = await refunded(bench, order, 333)
    await refunded(bench, order, 1)
    await failed(bench, first)
    await papers_agree(bench)
    await canceled(bench, first)
    invoice, note, _, again = await papers(bench, order)
    assert (again["kind"], again["refund_id"]) == (invoice["kind"], first)
    assert (again["body"]["reference"], again["body"]["total"]) == (note["number"], 333)
    assert int(again["number"][-6:]) > int(invoice["number"][-6:]), "it is in the series of invoices"
    kept = sum(
        (-1 if one["kind"] == "credit_note" else 1) * one["body"]["tax"] for one in await papers(bench, order)
    )
    row = await bench.one(
        "SELECT -sum(p.amount)::int AS payable FROM posting p JOIN journal_entry e ON e.id = p.entry_id "
        "WHERE e.order_id = %s AND p.account = '2120'",
        order.id,
    )
    assert kept == row["payable"], "papers and books owe the same tax"
    await papers_agree(bench)

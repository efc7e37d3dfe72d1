"""The reconciliation: every balance transaction has its entry, every cent of cash is explained."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from activities import reconciliation as steps
from activities.earnings import ledger_of, post_outcome
from devstack.stripe_standin.currencies import processing_fee
from domain import ids
from domain.ledger import open_dispute, processor_fee, unapply_payment, win_dispute
from models.queries import order_lines, orders
from tests.planted.conftest import Owner
from tests.reconciliation.office import Office
from tests.workflows.bench import Placed


def cash_of(report: Any, currency: str = "USD") -> tuple[int, int]:
    """Processor and books."""
    (found,) = [one for one in report.cash if one["currency"] == currency]
    return found["processor"], found["ledger"]


async def paid_with(office: Office, method: str) -> Placed:
    """A fulfilled order whose card does something to refunds."""
    order = await office.bench.place("python-101")
    await office.bench.pay(order, method)
    await office.bench.wait_for_status(order.id, "fulfilled")
    return order


# --- categories ----------------------------------------------------------------------------------------


async def test_a_sale_its_refund_a_payout_and_a_fee_are_clean_and_others_are_only_counted(
    office: Office,
) -> None:
    order = await office.bought()
    refund_id = await office.bench.refund(order.id, order.buyer.user_id, amount=500)
    await asyncio.wait_for(office.bench.workflow(ids.refund_workflow_id(refund_id)).result(), 30)
    await office.foreign_payment(7700)
    payout = await office.bench.stripe.pay_out(1000)
    await office.bench.stripe.adjust(-250, "fee")
    report = await office.reconcile()
    assert await office.open() == []
    assert report.by_category == {"charge": 1, "fee": 1, "payout": 1, "refund": 1}
    assert (report.foreign, report.transactions, report.open) == (1, 5, 0)
    processor, books = cash_of(report)
    assert processor == books == await office.balance("1010")
    assert await office.balance("1020") == 1000

    await office.bench.stripe.fail_payout(payout["id"])
    report = await office.reconcile()
    assert (report.by_category, await office.balance("1020")) == (
        {"charge": 1, "fee": 1, "payout": 1, "payout_reversal": 1, "refund": 1},
        0,
    )
    assert (await office.bench.findings())["processor.cash_agrees"].violations == []


async def test_a_refund_that_fails_brings_its_money_back(office: Office) -> None:
    order = await paid_with(office, "pm_card_refundFail")
    refund_id = await office.bench.refund(order.id, order.buyer.user_id)
    for _ in range(100):
        await office.bench.take_events_in()
        row = await office.bench.one("SELECT status FROM refund WHERE id = %s", refund_id)
        if row["status"] == "failed":
            break
        await asyncio.sleep(0.1)
    report = await office.reconcile()
    assert report.by_category == {"charge": 1, "refund": 1, "refund_failure": 1}
    assert await office.open() == []


async def test_a_dispute_its_fee_and_its_reversal_have_entries_of_their_own(office: Office) -> None:
    order = await office.bought()
    assert order.intent_id is not None
    opened = await office.bench.stripe.dispute(order.intent_id)
    await office.bench.stripe.win_dispute(opened["id"])
    async with office.bench.resources.transactions.begin() as tx:
        row = await orders.get(tx.session, order.id, lock=True)
        assert row is not None
        for outcome_of in (
            lambda books: open_dispute(opened["id"], books, amount=opened["amount"], fee=1500),
            lambda books: win_dispute(opened["id"], books, amount=opened["amount"]),
        ):
            lines = await order_lines.of_order(tx.session, order.id, lock=True)
            outcome = outcome_of([ledger_of(line, row.currency) for line in lines])
            await post_outcome(tx, outcome, row, lines, reason="dispute")
    report = await office.reconcile()
    assert report.by_category == {"charge": 1, "dispute": 1, "dispute_reversal": 1}
    assert await office.open() == []
    assert await office.balance("5030") == 1500


async def test_a_settlement_in_another_currency_passes_through_currency_clearing(office: Office) -> None:
    await office.bench.stripe.settle_in("eur", "0.9", of="usd")
    order = await office.bought()
    total = (await office.bench.order(order.id)).total
    report = await office.reconcile()
    assert await office.open() == []
    settled = round(total * 0.9)
    assert (await office.balance("1010"), await office.balance("1910")) == (0, total)
    assert await office.balance("1910", "EUR") == -settled
    processor, books = cash_of(report, "EUR")
    assert processor == books == settled - await office.balance("5020", "EUR")
    assert cash_of(report) == (0, 0)


async def test_an_unknown_category_alerts_and_posts_nothing_until_somebody_accepts_it(office: Office) -> None:
    moved = await office.bench.stripe.adjust(-4321, "risk_reserved_funds")
    assert "risk_reserved_funds" in await office.take_in(moved["id"])
    assert await office.open() == [("unknown_category", "USD", -4321, 0)]
    report = await office.reconcile()
    assert (report.open, report.by_category) == (1, {"risk_reserved_funds": 1})
    assert await office.open() == [("unknown_category", "USD", -4321, 0)]
    assert await office.bench.query("SELECT id FROM journal_entry") == []


# --- what was lost -------------------------------------------------------------------------------------


async def test_a_payment_that_no_event_told_of_is_found_posted_and_fulfilled(office: Office) -> None:
    known = await office.bought()  # the same amount, so that nothing but the id tells the two apart
    order = await office.paid_silently()
    report = await office.reconcile()
    assert await asyncio.wait_for(office.bench.order_workflow(order.id).result(), 30) == "fulfilled"
    assert (report.opened, report.open) == (1, 0)
    (found,) = await office.differences()
    assert (found["kind"], found["state"]) == ("entry_missing", "repaired")
    assert str(found["order_id"]) == order.id != known.id
    processor, books = cash_of(report)
    assert processor == books
    assert await office.entries("payment_captured") == 2
    assert (await office.reconcile()).open == 0


async def test_a_refund_that_no_event_told_of_is_settled(office: Office) -> None:
    order = await paid_with(office, "pm_card_pendingRefund")
    refund_id = await office.bench.refund(order.id, order.buyer.user_id)
    row: dict[str, Any] = {"provider_refund_id": None}
    while row["provider_refund_id"] is None:
        row = await office.bench.one("SELECT provider_refund_id FROM refund WHERE id = %s", refund_id)
        await asyncio.sleep(0.05)
    await office.bench.stripe.settle_refund(row["provider_refund_id"])
    report = await office.reconcile()
    assert (report.opened, report.open) == (1, 0)
    assert (await office.bench.one("SELECT status FROM refund WHERE id = %s", refund_id))[
        "status"
    ] == "succeeded"


async def test_an_entry_whose_cash_the_processor_does_not_know_waits_for_a_person(office: Office) -> None:
    fee = processor_fee("txn_imagined", amount=99, currency="USD")
    await office.post(fee.entries, datetime.now(UTC))
    for _ in range(2):
        await office.reconcile()
        assert await office.open() == [("transaction_missing", "USD", 0, -99)]


async def test_an_order_that_is_not_here_is_named_and_nothing_posted(office: Office) -> None:
    await office.foreign_payment(2500, order_id=str(uuid.uuid4()))
    await office.reconcile()
    fee = processing_fee(2500)
    assert await office.open() == [("unknown_order", "USD", 2500 - fee, 0)]
    assert await office.bench.query("SELECT id FROM journal_entry") == []


async def test_a_tampered_posting_is_named_with_both_amounts(office: Office, owner_of_own: Owner) -> None:
    order = await office.bought()
    total = (await office.bench.order(order.id)).total
    await office.reconcile()
    assert await office.open() == []
    owner_of_own.execute("ALTER TABLE posting DISABLE TRIGGER append_only")
    owner_of_own.execute(
        "UPDATE posting SET amount = amount + CASE WHEN account = '1010' THEN 100 ELSE -100 END WHERE "
        "account IN ('1010', '2110') AND entry_id IN (SELECT id FROM journal_entry WHERE kind = "
        "'payment_captured')"
    )
    report = await office.reconcile()
    assert await office.open() == [("amount_differs", "USD", total, total + 100)]
    (found,) = await office.differences("open")
    assert "charge" in found["detail"]
    processor, books = cash_of(report)
    assert books - processor == 100
    told = (await office.bench.findings())["processor.cash_agrees"].violations
    assert told == [f"USD: ledger {books}, processor {processor}"]


async def test_an_amount_that_stands_too_long_is_a_difference_until_it_moves_on(office: Office) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=4)
    await office.post(unapply_payment("pi_old", amount=5000, currency="USD").entries, long_ago)
    await office.reconcile(period_from=datetime.now(UTC).isoformat())
    assert await office.open() == [("amount_aged", "USD", 0, -5000)]
    back = unapply_payment("pi_old_back", amount=-5000, currency="USD")
    await office.post(back.entries, datetime.now(UTC) - timedelta(hours=1))
    await office.reconcile(period_from=datetime.now(UTC).isoformat())
    assert await office.open() == []


# --- periods, pages, crashes -------------------------------------------------------------------------------


async def test_a_moment_belongs_to_one_period_whatever_its_time_zone(office: Office) -> None:
    at = (await office.bench.stripe.adjust(-100, "fee"))["created"]
    edge = datetime.fromtimestamp(at, UTC)
    in_india = edge.astimezone(ZoneInfo("Asia/Kolkata")).isoformat()
    long_ago, later = (edge - timedelta(days=1)).isoformat(), (edge + timedelta(seconds=1)).isoformat()
    before = await office.reconcile(period_from=long_ago, period_to=in_india)
    assert await office.balance("5020") == 0
    after = await office.reconcile(period_from=in_india, period_to=later)
    assert (before.transactions, after.transactions) == (0, 1)


async def test_the_next_run_goes_on_where_the_last_one_ended(office: Office) -> None:
    first = await office.reconcile(period_from=None)
    await asyncio.sleep(1.1)
    chosen = await office.reconcile()
    assert chosen.until > first.until
    second = await office.reconcile(period_from=None)
    assert (first.since, second.since) == ("1970-01-01T00:00:00+00:00", first.until)


async def test_a_hundred_and_more_transactions_go_on_in_new_executions(office: Office) -> None:
    for _ in range(105):
        await office.bench.stripe.adjust(-7, "fee")
    handle = await office.start(pages_per_execution=1)
    report = await asyncio.wait_for(handle.result(), 60)
    assert (report.transactions, report.pages, report.open) == (105, 2, 0)
    assert await office.balance("5020") == 7 * 105
    first = await office.bench.skipper.client.get_workflow_handle(
        handle.id, run_id=handle.first_execution_run_id
    ).describe()
    assert first.status is not None
    assert first.status.name == "CONTINUED_AS_NEW"


async def test_two_runs_at_once_and_a_crash_between_transactions_post_each_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await office.paid_silently()
    for _ in range(5):
        await office.bench.stripe.adjust(-7, "fee")
    taken, real = [], steps.take_in

    async def crashing(tx: Any, transaction: Any) -> Any:
        taken.append(transaction.id)
        if len(taken) in (3, 8):
            raise OSError("the worker is gone")
        return await real(tx, transaction)

    monkeypatch.setattr(steps, "take_in", crashing)
    await asyncio.gather(office.reconcile(), office.reconcile())
    assert await asyncio.wait_for(office.bench.order_workflow(order.id).result(), 30) == "fulfilled"
    assert await office.balance("5020") - 35 > 0
    assert (await office.entries("processor_fee"), await office.entries("payment_captured")) == (6, 1)
    assert len(await office.bench.query("SELECT * FROM balance_match")) == 7
    assert (await office.reconcile()).open == 0

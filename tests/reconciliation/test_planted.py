"""Planted bugs of the reconciliation are caught."""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy

from activities import balance
from domain.reconciliation import BalanceTransaction, Part
from integrations.payments import StripePayments
from tests.reconciliation.office import Office
from tests.workflows.bench import until


async def test_planted_matching_by_amount_leaves_an_alarm(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The payment whose event was lost takes the entry of another one of the same amount."""

    async def by_amount(tx: Any, given: BalanceTransaction, part: Part) -> list[str]:
        rows = await tx.session.execute(
            sqlalchemy.text(
                "SELECT e.event_key FROM journal_entry e JOIN posting p ON p.entry_id = e.id "
                "WHERE p.account = '1010' AND p.amount = :amount ORDER BY e.id DESC"
            ),
            {"amount": given.moved.amount},
        )
        return [row.event_key for row in rows]

    lost = await office.paid_silently()
    await office.bench.skip_events()
    known = await office.bench.bought("python-101")
    monkeypatch.setattr(balance, "_keys", by_amount)
    run = await office.start()
    # The other payment is left without an entry: its repair finds nothing to send, and waits.
    await until(office.open, bool, "the alarm")
    order = await office.bench.order(lost.id)
    assert (order.amount_paid, [row["order_id"] for row in await office.differences("open")]) == (
        0,
        [UUID(known.id)],
    )
    await run.terminate()


async def test_planted_a_skipped_last_page_is_named_by_the_oracle(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(103):
        await office.bench.stripe.adjust(-7, "fee")
    real = StripePayments.balance_page

    async def first_only(
        self: StripePayments, *, since: datetime, until: datetime, after: str | None
    ) -> tuple[list[BalanceTransaction], bool]:
        found, _ = await real(self, since=since, until=until, after=after)
        return found, False

    monkeypatch.setattr(StripePayments, "balance_page", first_only)
    report = await office.reconcile()
    assert (report.transactions, report.open) == (100, 0)  # it notices nothing by itself
    told = (await office.bench.findings())["processor.cash_agrees"].violations
    assert told == ["USD: the processor lists -700, its balance is -721"]

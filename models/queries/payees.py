"""Payees: their balances in the ledger, what the payout system settled, and corrections by operators."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.payouts import Settlement
from models.database import Session


async def lock(session: Session, payee: str, currency: str) -> None:
    """Have nobody else settle, correct or count this payee's money in this currency until the commit.

    Taken after the locks of orders and lines, payees in name order.
    """
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"payee/{payee}/{currency}"},
    )


@dataclass(frozen=True, slots=True)
class PayeeBalance:
    """What stands in the ledger for a payee in one currency, minor units.

    `payable` is 2220 as long as we owe it to the payee, `receivable` what the payee owes us.
    """

    currency: str
    held: int
    payable: int
    receivable: int
    settled: int
    written_off: int


async def balances(session: Session, payee: str) -> list[PayeeBalance]:
    """By currency, from the postings."""
    rows = await session.execute(
        text(
            "SELECT p.currency, coalesce(-sum(p.amount) FILTER (WHERE p.account = '2210'), 0) AS held, "
            "coalesce(-sum(p.amount) FILTER (WHERE p.account = '2220'), 0) AS released, "
            "coalesce(sum(p.amount) FILTER (WHERE e.kind = 'payout_settled'), 0) AS settled, "
            "coalesce(-sum(p.amount) FILTER (WHERE e.kind = 'payee_written_off'), 0) AS written_off "
            "FROM posting p JOIN journal_entry e ON e.id = p.entry_id "
            "WHERE p.account IN ('2210', '2220') AND p.sub = :payee GROUP BY 1 ORDER BY 1"
        ),
        {"payee": payee},
    )
    return [
        PayeeBalance(
            currency=row.currency,
            held=int(row.held),
            payable=max(0, int(row.released)),
            receivable=max(0, -int(row.released)),
            settled=int(row.settled),
            written_off=int(row.written_off),
        )
        for row in rows
    ]


async def balance_in(session: Session, payee: str, currency: str) -> PayeeBalance:
    """The balance in one currency; all zero for a payee that the ledger does not know."""
    found = [balance for balance in await balances(session, payee) if balance.currency == currency]
    return found[0] if found else PayeeBalance(currency, 0, 0, 0, 0, 0)


async def owed_at(session: Session, payee: str, currency: str, at: datetime) -> int:
    """What the payee owed us at a moment, by effective time; minor units."""
    debt = await session.scalar(
        text(
            "SELECT coalesce(sum(p.amount), 0) FROM posting p JOIN journal_entry e ON e.id = p.entry_id "
            "WHERE p.account = '2220' AND p.sub = :payee AND p.currency = :currency "
            "AND e.effective_at <= :at"
        ),
        {"payee": payee, "currency": currency, "at": at},
    )
    return max(0, int(debt or 0))


@dataclass(frozen=True, slots=True)
class SettlementRow:
    """A payout as it was posted; `excess` is what went beyond the released earnings at that time."""

    id: str
    settlement: Settlement
    excess: int
    journal_entry_id: str
    created_at: datetime


def _settlement(row: Row[Any]) -> SettlementRow:
    return SettlementRow(
        str(row.id),
        Settlement(row.payout_id, row.payee_ref, row.currency, row.amount),
        row.excess,
        str(row.journal_entry_id),
        row.created_at,
    )


async def insert_settlement(
    session: Session, settlement: Settlement, *, excess: int, journal_entry_id: str, inbox_id: str
) -> None:
    """Keep a payout beside its journal entry."""
    await session.execute(
        text(
            "INSERT INTO payout_settlement (payout_id, payee_ref, currency, amount, excess, "
            "journal_entry_id, inbox_id) VALUES (:payout_id, :payee, :currency, :amount, :excess, "
            ":entry_id, :inbox_id)"
        ),
        {
            "payout_id": settlement.payout_id,
            "payee": settlement.payee,
            "currency": settlement.currency,
            "amount": settlement.amount,
            "excess": excess,
            "entry_id": journal_entry_id,
            "inbox_id": inbox_id,
        },
    )


async def settlements(
    session: Session, *, payee: str | None, before: str | None, limit: int
) -> list[SettlementRow]:
    """Payouts, newest first, keyset."""
    rows = await session.execute(
        text(
            "SELECT * FROM payout_settlement WHERE (CAST(:payee AS text) IS NULL OR payee_ref = :payee) "
            "AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid)) ORDER BY id DESC LIMIT :limit"
        ),
        {"payee": payee, "before": before, "limit": limit},
    )
    return [_settlement(row) for row in rows]


@dataclass(frozen=True, slots=True)
class CorrectionRow:
    """What an operator put right. A write-off has no line and no other payee."""

    id: str
    kind: str
    payee: str
    to_payee: str | None
    line_id: str | None
    currency: str
    amount: int
    reason: str
    requested_by: str
    created_at: datetime


def _correction(row: Row[Any]) -> CorrectionRow:
    return CorrectionRow(
        id=str(row.id),
        kind=row.kind,
        payee=row.payee_ref,
        to_payee=row.to_payee_ref,
        line_id=None if row.line_id is None else str(row.line_id),
        currency=row.currency,
        amount=row.amount,
        reason=row.reason,
        requested_by=str(row.requested_by),
        created_at=row.created_at,
    )


async def insert_correction(
    session: Session,
    correction_id: str,
    kind: str,
    *,
    payee: str,
    currency: str,
    amount: int,
    reason: str,
    requested_by: str,
    to_payee: str | None = None,
    line_id: str | None = None,
) -> None:
    """Keep who corrected what, and why."""
    await session.execute(
        text(
            "INSERT INTO payee_correction (id, kind, payee_ref, to_payee_ref, line_id, currency, amount, "
            "reason, requested_by) VALUES (:id, :kind, :payee, :to_payee, CAST(:line_id AS uuid), "
            ":currency, :amount, :reason, :requested_by)"
        ),
        {
            "id": correction_id,
            "kind": kind,
            "payee": payee,
            "to_payee": to_payee,
            "line_id": line_id,
            "currency": currency,
            "amount": amount,
            "reason": reason,
            "requested_by": requested_by,
        },
    )


async def correction(session: Session, correction_id: str) -> CorrectionRow | None:
    """One correction."""
    row = (
        await session.execute(text("SELECT * FROM payee_correction WHERE id = :id"), {"id": correction_id})
    ).one_or_none()
    return None if row is None else _correction(row)


async def corrections(
    session: Session, *, payee: str | None, before: str | None, limit: int
) -> list[CorrectionRow]:
    """Corrections, newest first, keyset; of a payee, from either side."""
    rows = await session.execute(
        text(
            "SELECT * FROM payee_correction WHERE (CAST(:payee AS text) IS NULL "
            "OR :payee IN (payee_ref, to_payee_ref)) "
            "AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid)) ORDER BY id DESC LIMIT :limit"
        ),
        {"payee": payee, "before": before, "limit": limit},
    )
    return [_correction(row) for row in rows]

"""The ledger as operators read it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from models.database import Session


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One entry with its postings."""

    id: str
    event_key: str
    kind: str
    effective_at: datetime
    recorded_at: datetime
    order_id: str | None
    reverses: str | None
    postings: list[dict[str, Any]]


async def page(
    session: Session,
    *,
    order_id: str | None,
    account: str | None,
    since: datetime | None,
    until: datetime | None,
    before: str | None,
    limit: int,
) -> list[EntryRow]:
    """Entries, newest first, keyset; `since` and `until` by effective time, the latter excluded."""
    rows = await session.execute(
        text(
            "SELECT e.*, (SELECT jsonb_agg(jsonb_build_object('account', p.account, 'sub', p.sub, "
            "'currency', p.currency, 'amount', p.amount) ORDER BY p.ordinal) FROM posting p "
            "WHERE p.entry_id = e.id) AS postings FROM journal_entry e "
            "WHERE (CAST(:order_id AS uuid) IS NULL OR e.order_id = CAST(:order_id AS uuid)) "
            "AND (CAST(:account AS text) IS NULL OR EXISTS (SELECT FROM posting p "
            "WHERE p.entry_id = e.id AND p.account = :account)) "
            "AND (CAST(:since AS timestamptz) IS NULL OR e.effective_at >= :since) "
            "AND (CAST(:until AS timestamptz) IS NULL OR e.effective_at < :until) "
            "AND (CAST(:before AS uuid) IS NULL OR e.id < CAST(:before AS uuid)) "
            "ORDER BY e.id DESC LIMIT :limit"
        ),
        {
            "order_id": order_id,
            "account": account,
            "since": since,
            "until": until,
            "before": before,
            "limit": limit,
        },
    )
    return [
        EntryRow(
            str(row.id),
            row.event_key,
            row.kind,
            row.effective_at,
            row.recorded_at,
            None if row.order_id is None else str(row.order_id),
            None if row.reverses is None else str(row.reverses),
            row.postings,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Balance:
    """The balance of an account, minor units, debit > 0."""

    account: str
    sub: str | None
    currency: str
    amount: int


async def balances(session: Session, *, at: datetime | None, by_sub: bool) -> list[Balance]:
    """Balances of all accounts that are not zero, computed from the postings; `at` by effective time."""
    sub = "p.sub" if by_sub else "CAST(NULL AS text)"
    rows = await session.execute(
        text(
            f"SELECT p.account, {sub} AS sub, p.currency, sum(p.amount) AS amount FROM posting p "
            "JOIN journal_entry e ON e.id = p.entry_id "
            "WHERE CAST(:at AS timestamptz) IS NULL OR e.effective_at <= :at "
            "GROUP BY 1, 2, 3 HAVING sum(p.amount) <> 0 ORDER BY 1, 2, 3"
        ),
        {"at": at},
    )
    return [Balance(row.account, row.sub, row.currency, int(row.amount)) for row in rows]

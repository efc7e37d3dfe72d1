"""The ledger as operators read it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.seals import EntryImage
from models.database import Session
from models.queries.seals import ENTRY_COLUMNS, image

_SELECT = (
    "SELECT e.*, s.position, (SELECT jsonb_agg(jsonb_build_object('account', p.account, 'sub', p.sub, "
    "'currency', p.currency, 'amount', p.amount) ORDER BY p.ordinal) FROM posting p "
    "WHERE p.entry_id = e.id) AS postings FROM journal_entry e "
    "LEFT JOIN sealed_entry s ON s.entry_id = e.id"
)


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One entry with its postings. `position` is its place in the chain, once it is sealed."""

    id: str
    event_key: str
    kind: str
    occurred_at: datetime
    effective_at: datetime
    recorded_at: datetime
    order_id: str | None
    reverses: str | None
    operator_id: str | None
    position: int | None
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
            f"{_SELECT} "
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
    return [_entry(row) for row in rows]


async def stream(
    session: Session, *, since: datetime | None, until: datetime | None
) -> AsyncIterator[EntryImage]:
    """All entries by effective time, `until` excluded, without holding them in memory."""
    rows = await session.stream(
        text(
            f"SELECT {ENTRY_COLUMNS} FROM journal_entry e "
            "WHERE (CAST(:since AS timestamptz) IS NULL OR e.effective_at >= :since) "
            "AND (CAST(:until AS timestamptz) IS NULL OR e.effective_at < :until) "
            "ORDER BY e.effective_at, e.id"
        ),
        {"since": since, "until": until},
        execution_options={"yield_per": 500},
    )
    async for row in rows:
        yield image(row)


def _entry(row: Row[Any]) -> EntryRow:
    return EntryRow(
        str(row.id),
        row.event_key,
        row.kind,
        row.occurred_at,
        row.effective_at,
        row.recorded_at,
        None if row.order_id is None else str(row.order_id),
        None if row.reverses is None else str(row.reverses),
        None if row.operator_id is None else str(row.operator_id),
        row.position,
        row.postings,
    )

"""Differences between processor and books: opened once, repaired when they no longer hold, or accepted."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.reconciliation import DifferenceKind, Observation
from models.database import Session


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One difference; amounts in minor units, `expected` by the processor, `found` in the books."""

    id: str
    kind: DifferenceKind
    subject: str
    transaction_id: str | None
    order_id: str | None
    run_id: str | None
    currency: str
    expected: int
    found: int
    detail: str
    state: str
    resolution: str | None
    resolved_by: str | None
    resolved_at: datetime | None
    opened_at: datetime
    seen_at: datetime


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _difference(row: Row[Any]) -> DifferenceRow:
    return DifferenceRow(
        str(row.id),
        DifferenceKind(row.kind),
        row.subject,
        row.transaction_id,
        _text(row.order_id),
        _text(row.run_id),
        row.currency,
        row.expected,
        row.found,
        row.detail,
        row.state,
        row.resolution,
        _text(row.resolved_by),
        row.resolved_at,
        row.opened_at,
        row.seen_at,
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """An open difference; `fresh` when nobody had seen it before."""

    id: str
    fresh: bool


async def see(session: Session, observed: Observation, run_id: str | None) -> Seen | None:
    """Open a difference, or note that an open one was seen again.

    None, and nothing happens, when an operator has accepted the same figures.
    """
    row = (
        await session.execute(
            text(
                "INSERT INTO reconciliation_difference "
                "(kind, subject, transaction_id, order_id, run_id, currency, expected, found, detail) "
                "SELECT CAST(:kind AS varchar), CAST(:subject AS varchar), CAST(:transaction_id AS varchar), "
                "CAST(:order_id AS uuid), CAST(:run_id AS uuid), CAST(:currency AS varchar), "
                "CAST(:expected AS bigint), CAST(:found AS bigint), CAST(:detail AS varchar) "
                "WHERE NOT EXISTS (SELECT FROM reconciliation_difference WHERE kind = :kind "
                "AND subject = :subject AND state = 'accepted' AND expected = :expected AND found = :found) "
                "ON CONFLICT (kind, subject) WHERE state = 'open' DO UPDATE SET "
                "expected = excluded.expected, found = excluded.found, detail = excluded.detail, "
                "seen_at = now() RETURNING id, xmax = 0 AS fresh"
            ),
            {
                "kind": observed.kind,
                "subject": observed.subject,
                "transaction_id": observed.transaction_id,
                "order_id": observed.order_id,
                "run_id": run_id,
                "currency": observed.currency,
                "expected": observed.expected,
                "found": observed.found,
                "detail": observed.detail,
            },
        )
    ).one_or_none()
    return None if row is None else Seen(str(row.id), row.fresh)


async def get(session: Session, difference_id: str, *, lock: bool = False) -> DifferenceRow | None:
    """One difference."""
    row = (
        await session.execute(
            text(
                "SELECT * FROM reconciliation_difference WHERE id = CAST(:id AS uuid)"
                + (" FOR UPDATE" if lock else "")
            ),
            {"id": difference_id},
        )
    ).one_or_none()
    return None if row is None else _difference(row)


async def page(
    session: Session,
    *,
    state: str | None,
    kind: str | None,
    run_id: str | None,
    before: str | None,
    limit: int,
) -> list[DifferenceRow]:
    """Newest first, keyset."""
    rows = await session.execute(
        text(
            "SELECT * FROM reconciliation_difference "
            "WHERE (CAST(:state AS text) IS NULL OR state = :state) "
            "AND (CAST(:kind AS text) IS NULL OR kind = :kind) "
            "AND (CAST(:run_id AS uuid) IS NULL OR run_id = CAST(:run_id AS uuid)) "
            "AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid)) "
            "ORDER BY id DESC LIMIT :limit"
        ),
        {"state": state, "kind": kind, "run_id": run_id, "before": before, "limit": limit},
    )
    return [_difference(row) for row in rows]


async def open_ones(session: Session, kinds: Collection[DifferenceKind] | None = None) -> list[DifferenceRow]:
    """All that are open, oldest first."""
    rows = await session.execute(
        text(
            "SELECT * FROM reconciliation_difference WHERE state = 'open' "
            "AND (CAST(:kinds AS text[]) IS NULL OR kind = ANY(CAST(:kinds AS text[]))) ORDER BY id"
        ),
        {"kinds": None if kinds is None else [str(kind) for kind in kinds]},
    )
    return [_difference(row) for row in rows]


async def accepted_cash(session: Session) -> dict[str, int]:
    """By currency, what the processor has more than the books, as operators have accepted it."""
    rows = await session.execute(
        text(
            "SELECT currency, sum(expected - found) AS amount FROM reconciliation_difference "
            "WHERE state = 'accepted' AND kind <> 'amount_aged' GROUP BY currency"
        )
    )
    return {row.currency: int(row.amount) for row in rows}


async def count_of_run(session: Session, run_id: str) -> int:
    """How many a run has opened."""
    found = await session.execute(
        text("SELECT count(*) FROM reconciliation_difference WHERE run_id = CAST(:id AS uuid)"),
        {"id": run_id},
    )
    return int(found.scalar_one())


async def repaired_of(
    session: Session, transaction_id: str, still: Collection[Observation], resolution: str
) -> None:
    """Close the differences of a transaction that no longer hold, accepted ones too."""
    await session.execute(
        text(
            "UPDATE reconciliation_difference SET state = 'repaired', resolved_at = now(), "
            "resolution = concat_ws('; ', resolution, CAST(:resolution AS varchar)) "
            "WHERE transaction_id = :id AND state IN ('open', 'accepted') "
            "AND NOT (kind || ' ' || subject) = ANY(:still)"
        ),
        {
            "id": transaction_id,
            "still": [f"{one.kind} {one.subject}" for one in still],
            "resolution": resolution,
        },
    )


async def repair(session: Session, difference_id: str, resolution: str) -> None:
    """Close an open difference that no longer holds."""
    await session.execute(
        text(
            "UPDATE reconciliation_difference SET state = 'repaired', resolved_at = now(), "
            "resolution = :resolution WHERE id = CAST(:id AS uuid) AND state = 'open'"
        ),
        {"id": difference_id, "resolution": resolution},
    )


async def accept(session: Session, difference_id: str, *, reason: str, user_id: str) -> bool:
    """An operator takes an open difference as it is; False when it is not open."""
    done = await session.execute(
        text(
            "UPDATE reconciliation_difference SET state = 'accepted', resolved_at = now(), "
            "resolution = :reason, resolved_by = CAST(:user_id AS uuid) "
            "WHERE id = CAST(:id AS uuid) AND state = 'open' RETURNING id"
        ),
        {"id": difference_id, "reason": reason, "user_id": user_id},
    )
    return done.one_or_none() is not None

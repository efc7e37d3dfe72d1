"""Split rules: versions by date, never edited; the most specific scope wins, then the priority."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.errors import Conflict
from models.database import Session


@dataclass(frozen=True, slots=True)
class SplitRuleRow:
    """One version of a rule; `rule` is what `domain.splits.SplitRule` reads."""

    id: str
    item_id: str | None
    channel: str | None
    payee: str | None
    priority: int
    valid_from: datetime
    valid_to: datetime | None
    rule: dict[str, Any]
    created_at: datetime


def _rule(row: Row[Any]) -> SplitRuleRow:
    return SplitRuleRow(
        str(row.id),
        None if row.item_id is None else str(row.item_id),
        row.channel,
        row.payee,
        row.priority,
        row.valid_from,
        row.valid_to,
        row.rule,
        row.created_at,
    )


async def rule_for(
    session: Session, item_id: str | None, at: datetime, channel: str | None = None
) -> SplitRuleRow | None:
    """The rule of an item at a moment: the most specific scope wins, then the higher priority.

    Without an item, the platform's default. A rule of a channel holds for sales of that channel only.
    """
    row = (
        await session.execute(
            text(
                "SELECT * FROM split_rule WHERE (item_id = :item_id OR item_id IS NULL) "
                "AND (channel = :channel OR channel IS NULL) AND payee IS NULL AND valid_from <= :at "
                "AND (valid_to IS NULL OR :at < valid_to) "
                "ORDER BY (item_id IS NOT NULL) DESC, (channel IS NOT NULL) DESC, priority DESC, id DESC "
                "LIMIT 1"
            ),
            {"item_id": item_id, "channel": channel, "at": at},
        )
    ).one_or_none()
    return None if row is None else _rule(row)


async def insert(session: Session, rule_id: str, values: dict[str, Any]) -> None:
    """Add a version; the keys of `values` are the columns, `rule` as JSON text.

    Conflict when another version of the same scope and priority is valid in this time: the table's
    exclusion constraint says so, to two writers at once, too.
    """
    made = (
        await session.execute(
            text(
                "INSERT INTO split_rule (id, item_id, channel, payee, priority, valid_from, valid_to, rule) "
                "VALUES (:id, CAST(:item_id AS uuid), :channel, :payee, :priority, :valid_from, :valid_to, "
                "CAST(:rule AS jsonb)) ON CONFLICT DO NOTHING RETURNING id"
            ),
            {"id": rule_id, **values},
        )
    ).one_or_none()
    if made is None and await get(session, rule_id) is None:
        raise Conflict("another version is valid in this time", code="split_rule_overlap")


async def get(session: Session, rule_id: str) -> SplitRuleRow | None:
    """One version."""
    row = (
        await session.execute(text("SELECT * FROM split_rule WHERE id = :id"), {"id": rule_id})
    ).one_or_none()
    return None if row is None else _rule(row)


async def page(session: Session, *, before: str | None, limit: int) -> list[SplitRuleRow]:
    """Newest first, keyset."""
    rows = await session.execute(
        text(
            "SELECT * FROM split_rule WHERE CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid) "
            "ORDER BY id DESC LIMIT :limit"
        ),
        {"before": before, "limit": limit},
    )
    return [_rule(row) for row in rows]

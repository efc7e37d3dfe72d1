"""Split rules: versions by date, never edited; the most specific scope wins, then the priority."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

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


async def rule_for(session: Session, item_id: str, at: datetime) -> SplitRuleRow | None:
    """The rule of an item at a moment: its own before the platform's."""
    row = (
        await session.execute(
            text(
                "SELECT * FROM split_rule WHERE (item_id = :item_id OR item_id IS NULL) "
                "AND channel IS NULL AND payee IS NULL AND valid_from <= :at "
                "AND (valid_to IS NULL OR :at < valid_to) "
                "ORDER BY (item_id IS NOT NULL) DESC, priority DESC, id DESC LIMIT 1"
            ),
            {"item_id": item_id, "at": at},
        )
    ).one_or_none()
    return None if row is None else _rule(row)


async def overlaps(
    session: Session,
    *,
    item_id: str | None,
    channel: str | None,
    payee: str | None,
    priority: int,
    valid_from: datetime,
    valid_to: datetime | None,
) -> bool:
    """Whether another version of the same scope and priority is valid in this time."""
    return bool(
        (
            await session.execute(
                text(
                    "SELECT EXISTS (SELECT FROM split_rule "
                    "WHERE item_id IS NOT DISTINCT FROM CAST(:item_id AS uuid) "
                    "AND channel IS NOT DISTINCT FROM CAST(:channel AS text) "
                    "AND payee IS NOT DISTINCT FROM CAST(:payee AS text) AND priority = :priority "
                    "AND tstzrange(valid_from, valid_to) && "
                    "tstzrange(CAST(:valid_from AS timestamptz), CAST(:valid_to AS timestamptz)))"
                ),
                {
                    "item_id": item_id,
                    "channel": channel,
                    "payee": payee,
                    "priority": priority,
                    "valid_from": valid_from,
                    "valid_to": valid_to,
                },
            )
        ).scalar_one()
    )


async def insert(session: Session, rule_id: str, values: dict[str, Any]) -> None:
    """Add a version; the keys of `values` are the columns, `rule` as JSON text."""
    await session.execute(
        text(
            "INSERT INTO split_rule (id, item_id, channel, payee, priority, valid_from, valid_to, rule) "
            "VALUES (:id, CAST(:item_id AS uuid), :channel, :payee, :priority, :valid_from, :valid_to, "
            "CAST(:rule AS jsonb)) ON CONFLICT (id) DO NOTHING"
        ),
        {"id": rule_id, **values},
    )


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

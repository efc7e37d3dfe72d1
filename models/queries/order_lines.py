"""Lines of orders: what was sold, with its snapshots, its seat and its state in the ledger."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.ledger import LineLedger
from models.database import Session


@dataclass(frozen=True, slots=True)
class LineRow:
    """One line of an order, with its snapshots and its state in the ledger."""

    id: str
    order_id: str
    ordinal: int
    item_id: str
    bundle_id: str | None
    title: str
    lms_course_id: str
    unit_price: int
    list_net: int
    discount_net: int
    net: int
    tax: int
    gross: int
    taxes: list[dict[str, Any]]
    holds_seat: bool
    platform_discount: int
    presentation: str
    recognition: str
    recognition_deadline: datetime | None
    refund_window_days: int
    hold_seconds: int
    release: str
    split: dict[str, Any]
    split_rule_id: str | None
    ledger: dict[str, Any] | None
    accrued_at: datetime | None
    released_at: datetime | None


def _line(row: Row[Any]) -> LineRow:
    return LineRow(
        id=str(row.id),
        order_id=str(row.order_id),
        ordinal=row.ordinal,
        item_id=str(row.item_id),
        bundle_id=None if row.bundle_id is None else str(row.bundle_id),
        title=row.title,
        lms_course_id=row.lms_course_id,
        unit_price=row.unit_price,
        list_net=row.list_net,
        discount_net=row.discount_net,
        net=row.net,
        tax=row.tax,
        gross=row.gross,
        taxes=row.taxes,
        holds_seat=row.holds_seat,
        platform_discount=row.platform_discount,
        presentation=row.presentation,
        recognition=row.recognition,
        recognition_deadline=row.recognition_deadline,
        refund_window_days=row.refund_window_days,
        hold_seconds=row.hold_seconds,
        release=row.release,
        split=row.split,
        split_rule_id=None if row.split_rule_id is None else str(row.split_rule_id),
        ledger=row.ledger,
        accrued_at=row.accrued_at,
        released_at=row.released_at,
    )


async def insert(session: Session, order_id: str, line: dict[str, Any]) -> str:
    """Write one line; the keys are the columns. Returns the line's id."""
    return str(
        (
            await session.execute(
                text(
                    "INSERT INTO order_line (order_id, ordinal, item_id, bundle_id, title, lms_course_id, "
                    "unit_price, list_net, discount_net, net, tax, gross, taxes, holds_seat, "
                    "platform_discount, presentation, recognition, "
                    "refund_window_days, hold_seconds, release, split_rule_id, split) VALUES (:order_id, "
                    ":ordinal, :item_id, CAST(:bundle_id AS uuid), :title, :lms_course_id, :unit_price, "
                    ":list_net, :discount_net, :net, :tax, :gross, CAST(:taxes AS jsonb), :holds_seat, "
                    ":platform_discount, :presentation, :recognition, "
                    ":refund_window_days, :hold_seconds, :release, CAST(:split_rule_id AS uuid), "
                    "CAST(:split AS jsonb)) RETURNING id"
                ),
                {
                    **line,
                    "order_id": order_id,
                    "taxes": json.dumps(line["taxes"]),
                    "split": json.dumps(line["split"]),
                },
            )
        ).scalar_one()
    )


async def of_order(session: Session, order_id: str, *, lock: bool = False) -> list[LineRow]:
    """The lines of an order by ordinal; with `lock`, in id order, so that two lockers never deadlock."""
    if lock:
        await session.execute(
            text("SELECT id FROM order_line WHERE order_id = :id ORDER BY id FOR UPDATE"), {"id": order_id}
        )
    rows = await session.execute(
        text("SELECT * FROM order_line WHERE order_id = :id ORDER BY ordinal"), {"id": order_id}
    )
    return [_line(row) for row in rows]


async def get(session: Session, line_id: str, *, lock: bool = False) -> LineRow | None:
    """One line."""
    suffix = " FOR UPDATE" if lock else ""
    row = (
        await session.execute(text("SELECT * FROM order_line WHERE id = :id" + suffix), {"id": line_id})
    ).one_or_none()
    return None if row is None else _line(row)


async def save_ledger(session: Session, state: LineLedger) -> None:
    """Keep what the ledger has done for this line."""
    await session.execute(
        text(
            "UPDATE order_line SET ledger = CAST(:state AS jsonb), awaits_revenue = :awaits_revenue "
            "WHERE id = :id"
        ),
        {"id": state.line, "state": json.dumps(state.to_dict()), "awaits_revenue": state.awaits_revenue},
    )


async def set_terms(
    session: Session,
    line_id: str,
    *,
    rule_id: str,
    terms: dict[str, Any],
    hold_seconds: int,
    release: str,
) -> None:
    """Have the line earn by another rule; whatever it accrued stays as it is."""
    await session.execute(
        text(
            "UPDATE order_line SET split_rule_id = :rule_id, split = CAST(:terms AS jsonb), "
            "hold_seconds = :hold_seconds, release = :release WHERE id = :id"
        ),
        {
            "id": line_id,
            "rule_id": rule_id,
            "terms": json.dumps(terms),
            "hold_seconds": hold_seconds,
            "release": release,
        },
    )


async def mark_accrued(session: Session, line_id: str) -> None:
    """The line's earnings accrued now: the hold begins."""
    await session.execute(
        text("UPDATE order_line SET accrued_at = coalesce(accrued_at, now()) WHERE id = :id"),
        {"id": line_id},
    )


async def mark_released(session: Session, line_id: str) -> None:
    """The line's earnings were handed on to the payout system."""
    await session.execute(
        text("UPDATE order_line SET released_at = coalesce(released_at, now()) WHERE id = :id"),
        {"id": line_id},
    )


async def release_held_seats(session: Session, order_id: str) -> list[str]:
    """Take the seats away from the order's lines; returns the items that get one back, in id order."""
    rows = await session.execute(
        text(
            "UPDATE order_line SET holds_seat = false WHERE order_id = :id AND holds_seat RETURNING item_id"
        ),
        {"id": order_id},
    )
    return sorted(str(row.item_id) for row in rows)


async def set_holds_seat(session: Session, line_id: str) -> None:
    """The line holds a seat again."""
    await session.execute(text("UPDATE order_line SET holds_seat = true WHERE id = :id"), {"id": line_id})


async def without_seat(session: Session, order_id: str) -> list[tuple[str, str]]:
    """(line, item) of the order's lines that need a seat but hold none, by item."""
    rows = await session.execute(
        text(
            "SELECT l.id, l.item_id FROM order_line l JOIN catalog_item i ON i.id = l.item_id "
            "WHERE l.order_id = :id AND i.type = 'registration' AND NOT l.holds_seat ORDER BY l.item_id"
        ),
        {"id": order_id},
    )
    return [(str(row.id), str(row.item_id)) for row in rows]


async def release_seats_of(session: Session, line_ids: list[str]) -> list[str]:
    """Take the seats away from these lines; returns the items that get one back, in id order."""
    rows = await session.execute(
        text(
            "UPDATE order_line SET holds_seat = false WHERE id = ANY(CAST(:ids AS uuid[])) AND holds_seat "
            "RETURNING item_id"
        ),
        {"ids": line_ids},
    )
    return sorted(str(row.item_id) for row in rows)


@dataclass(frozen=True, slots=True)
class LineState:
    """What a line says of itself, and what is deferred for it in the ledger (debit > 0)."""

    line_id: str
    order_number: str
    ledger: dict[str, Any]
    deferred: int


async def line_states(session: Session) -> AsyncIterator[LineState]:
    """Every line of which something was posted."""
    rows = await session.stream(
        text(
            "SELECT l.id, o.number, l.ledger, coalesce(p.amount, 0) AS deferred FROM order_line l "
            "JOIN orders o ON o.id = l.order_id LEFT JOIN (SELECT sub, sum(amount) AS amount FROM posting "
            "WHERE account = '2110' GROUP BY sub) p ON p.sub = l.id::text WHERE l.ledger IS NOT NULL "
            "ORDER BY l.id"
        )
    )
    async for row in rows:
        yield LineState(str(row.id), row.number, row.ledger, int(row.deferred))

"""Lines whose earnings accrued, to try another rule on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from domain.ledger import LineLedger
from models.database import Session


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: of these orders, or accrued within [since, until); of an item or channel, where named."""

    order_ids: list[str] | None
    since: datetime | None
    until: datetime | None
    item_id: str | None
    channel: str | None

    def values(self) -> dict[str, Any]:
        """As the queries bind them."""
        return {
            "ids": self.order_ids,
            "since": self.since,
            "until": self.until,
            "item_id": self.item_id,
            "channel": self.channel,
        }


@dataclass(frozen=True, slots=True)
class PastLine:
    """One line with what decides about its rule."""

    order_id: str
    order_number: str
    item_id: str
    course_id: str
    channel: str | None
    affiliate: str | None
    platform_discount: int
    accrued_at: datetime
    ledger: LineLedger


_FROM = (
    "FROM order_line l JOIN orders o ON o.id = l.order_id LEFT JOIN affiliate a ON a.id = o.affiliate_id "
    "WHERE o.payment_state = 'paid' AND l.list_net > 0 "
    "AND (CAST(:ids AS uuid[]) IS NULL OR o.id = ANY(CAST(:ids AS uuid[]))) "
    "AND (CAST(:item_id AS uuid) IS NULL OR l.item_id = CAST(:item_id AS uuid)) "
    "AND (CAST(:channel AS text) IS NULL OR o.channel = :channel) "
)
_WITHIN = (
    "AND (CAST(:since AS timestamptz) IS NULL OR {at} >= :since) "
    "AND (CAST(:until AS timestamptz) IS NULL OR {at} < :until) "
)


async def accrued(session: Session, wanted: Wanted, limit: int) -> list[PastLine]:
    """Lines whose earnings accrued, in the order in which they did."""
    rows = await session.execute(
        text(
            "SELECT l.order_id, o.number, l.item_id, l.lms_course_id, o.channel, a.payee_ref AS affiliate, "
            "l.platform_discount, l.accrued_at, l.ledger "
            + _FROM
            + _WITHIN.format(at="l.accrued_at")
            + "AND l.accrued_at IS NOT NULL ORDER BY l.accrued_at, l.id LIMIT :limit"
        ),
        {**wanted.values(), "limit": limit},
    )
    return [
        PastLine(
            str(row.order_id),
            row.number,
            str(row.item_id),
            row.lms_course_id,
            row.channel,
            row.affiliate,
            row.platform_discount,
            row.accrued_at,
            LineLedger.from_dict(row.ledger),
        )
        for row in rows
    ]


async def unknown(session: Session, order_ids: list[str]) -> bool:
    """Whether one of these is no order at all."""
    query = "SELECT count(*) FROM orders WHERE id = ANY(CAST(:ids AS uuid[]))"
    found = int((await session.execute(text(query), {"ids": order_ids})).scalar_one())
    return found < len(set(order_ids))


async def count_open(session: Session, wanted: Wanted) -> int:
    """Paid lines whose earnings have not accrued; a period counts them by their payment."""
    query = "SELECT count(*) " + _FROM + _WITHIN.format(at="o.paid_at") + "AND l.accrued_at IS NULL"
    return int((await session.execute(text(query), wanted.values())).scalar_one())


async def volumes_before(session: Session, payees: list[str], moment: datetime) -> dict[tuple[str, str], int]:
    """By payee and currency, the volume of lines that accrued before."""
    rows = await session.execute(
        text(
            "SELECT v.payee_ref, v.currency, sum(v.amount) AS amount FROM payee_volume v "
            "JOIN order_line l ON l.id = v.line_id WHERE v.payee_ref = ANY(:payees) "
            "AND l.accrued_at < :moment GROUP BY 1, 2"
        ),
        {"payees": payees, "moment": moment},
    )
    return {(row.payee_ref, row.currency): int(row.amount) for row in rows}

"""The catalogue: items, prices, bundle members, seats."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.errors import CommerceError, Conflict
from domain.orders import ItemType
from models.database import Session


@dataclass(frozen=True, slots=True)
class Price:
    """A list price in minor units."""

    currency: str
    amount: int


@dataclass(frozen=True, slots=True)
class ItemRow:
    """A catalogue item with its prices; a bundle also with its members' ids."""

    id: str
    slug: str
    type: ItemType
    title: str
    description: str
    lms_course_id: str | None
    available: bool
    available_from: datetime | None
    available_until: datetime | None
    starts_at: datetime | None
    run_of: str | None
    cancelled_at: datetime | None
    capacity: int | None
    seats_taken: int
    tax_code: str
    tax_behavior: str
    refund_window_days: int | None
    recognition: str
    presentation: str
    payees: tuple[str, ...]
    version: int
    prices: tuple[Price, ...]
    members: tuple[str, ...]

    @property
    def seats_left(self) -> int | None:
        """None where seats are not counted."""
        return None if self.capacity is None else self.capacity - self.seats_taken

    def price_in(self, currency: str) -> int | None:
        """The list price in minor units; None when the item is not sold in this currency."""
        return next((price.amount for price in self.prices if price.currency == currency), None)

    def on_sale(self, now: datetime) -> bool:
        """Whether it can be bought now, seats aside."""
        return (
            self.available
            and self.cancelled_at is None
            and (self.available_from is None or self.available_from <= now)
            and (self.available_until is None or now < self.available_until)
        )


_SELECT = (
    "SELECT i.*, (SELECT coalesce(jsonb_agg(jsonb_build_array(p.currency, p.amount) ORDER BY p.position, "
    "p.currency), '[]'::jsonb) FROM item_price p WHERE p.item_id = i.id) AS prices, "
    "(SELECT coalesce(jsonb_agg(m.item_id ORDER BY m.position), '[]'::jsonb) FROM bundle_member m "
    "WHERE m.bundle_id = i.id) AS members FROM catalog_item i "
)


def _item(row: Row[Any]) -> ItemRow:
    return ItemRow(
        id=str(row.id),
        slug=row.slug,
        type=ItemType(row.type),
        title=row.title,
        description=row.description,
        lms_course_id=row.lms_course_id,
        available=row.available,
        available_from=row.available_from,
        available_until=row.available_until,
        starts_at=row.starts_at,
        run_of=row.run_of,
        cancelled_at=row.cancelled_at,
        capacity=row.capacity,
        seats_taken=row.seats_taken,
        tax_code=row.tax_code,
        tax_behavior=row.tax_behavior,
        refund_window_days=row.refund_window_days,
        recognition=row.recognition,
        presentation=row.presentation,
        payees=tuple(row.payees),
        version=row.version,
        prices=tuple(Price(currency, amount) for currency, amount in row.prices),
        members=tuple(row.members),
    )


async def find(session: Session, id_or_slug: str, *, lock: bool = False) -> ItemRow | None:
    """One item by its id or its slug."""
    suffix = " FOR UPDATE OF i" if lock else ""
    row = (
        await session.execute(
            text(_SELECT + "WHERE i.slug = :key OR i.id::text = :key" + suffix), {"key": id_or_slug}
        )
    ).one_or_none()
    return None if row is None else _item(row)


async def by_ids(session: Session, ids: list[str]) -> dict[str, ItemRow]:
    """Items by id."""
    rows = await session.execute(text(_SELECT + "WHERE i.id = ANY(CAST(:ids AS uuid[]))"), {"ids": ids})
    return {str(row.id): _item(row) for row in rows}


async def bundles_with(session: Session, item_id: str) -> list[ItemRow]:
    """The bundles that the item is a member of."""
    rows = await session.execute(
        text(_SELECT + "JOIN bundle_member b ON b.bundle_id = i.id WHERE b.item_id = :id ORDER BY i.slug"),
        {"id": item_id},
    )
    return [_item(row) for row in rows]


async def page(
    session: Session,
    *,
    hidden_too: bool,
    item_type: ItemType | None,
    words: str | None,
    currency: str | None,
    before: str | None,
    limit: int,
) -> list[ItemRow]:
    """Items, newest first, keyset; those taken off sale only with `hidden_too`."""
    rows = await session.execute(
        text(
            _SELECT
            + "WHERE (i.available OR :hidden_too) AND (CAST(:type AS text) IS NULL OR i.type = :type) "
            "AND (CAST(:words AS text) IS NULL OR strpos(lower(i.title || ' ' || i.description), "
            "lower(:words)) > 0) "
            "AND (CAST(:currency AS text) IS NULL OR EXISTS (SELECT FROM item_price p "
            "WHERE p.item_id = i.id AND p.currency = :currency)) "
            "AND (CAST(:before AS uuid) IS NULL OR i.id < CAST(:before AS uuid)) "
            "ORDER BY i.id DESC LIMIT :limit"
        ),
        {
            "hidden_too": hidden_too,
            "type": item_type,
            "words": words,
            "currency": currency,
            "before": before,
            "limit": limit,
        },
    )
    return [_item(row) for row in rows]


_COLUMNS = (
    "slug", "type", "title", "description", "lms_course_id", "available", "available_from",
    "available_until", "starts_at", "capacity", "tax_code", "tax_behavior", "refund_window_days",
    "recognition", "presentation", "payees", "run_of", "cancelled_at",
)  # fmt: skip


async def insert(
    session: Session, item_id: str, columns: dict[str, Any], prices: list[Price], members: list[str]
) -> None:
    """Make an item; a repeat under the same id changes nothing."""
    names = [name for name in _COLUMNS if name in columns]
    made = (
        await session.execute(
            text(
                f"INSERT INTO catalog_item (id, {', '.join(names)}) "
                f"VALUES (:id, {', '.join(':' + name for name in names)}) "
                "ON CONFLICT DO NOTHING RETURNING id"
            ),
            {"id": item_id, **{name: columns[name] for name in names}},
        )
    ).one_or_none()
    if made is None:
        if await find(session, item_id) is not None:
            return
        raise Conflict("the slug is taken", code="slug_taken")
    await set_prices(session, item_id, prices)
    for position, member in enumerate(members):
        await session.execute(
            text(
                "INSERT INTO bundle_member (bundle_id, item_id, position) VALUES (:bundle, :item, :position)"
            ),
            {"bundle": item_id, "item": member, "position": position},
        )


async def set_prices(session: Session, item_id: str, prices: list[Price]) -> None:
    """Replace the prices; orders keep their snapshots."""
    await session.execute(text("DELETE FROM item_price WHERE item_id = :id"), {"id": item_id})
    for position, price in enumerate(prices):
        await session.execute(
            text(
                "INSERT INTO item_price (item_id, currency, amount, position) "
                "VALUES (:id, :currency, :amount, :position)"
            ),
            {"id": item_id, "currency": price.currency, "amount": price.amount, "position": position},
        )


async def update(session: Session, item_id: str, version: int, columns: dict[str, Any]) -> None:
    """Change columns of the version that the caller read; CommerceError `precondition_failed` otherwise."""
    names = [name for name in _COLUMNS if name in columns]
    assignments = "".join(f"{name} = :{name}, " for name in names)
    changed = (
        await session.execute(
            text(
                f"UPDATE catalog_item SET {assignments}version = version + 1 "
                "WHERE id = :id AND version = :version RETURNING id"
            ),
            {"id": item_id, "version": version, **{name: columns[name] for name in names}},
        )
    ).one_or_none()
    if changed is None:
        raise CommerceError("the item has changed meanwhile", code="precondition_failed")


async def take_seat(session: Session, item_id: str) -> bool:
    """Take one seat if one is left: one statement, so the last one goes to one buyer, and none of a
    cancelled run to anybody."""
    taken = await session.execute(
        text(
            "UPDATE catalog_item SET seats_taken = seats_taken + 1 "
            "WHERE id = :id AND cancelled_at IS NULL AND (capacity IS NULL OR seats_taken < capacity) "
            "RETURNING id"
        ),
        {"id": item_id},
    )
    return taken.one_or_none() is not None


async def is_cancelled(session: Session, item_id: str) -> bool:
    """Whether the item is a run that does not take place."""
    found = await session.execute(
        text("SELECT cancelled_at IS NOT NULL FROM catalog_item WHERE id = :id"), {"id": item_id}
    )
    return bool(found.scalar_one())


async def release_seat(session: Session, item_id: str) -> None:
    """Give one seat back."""
    await session.execute(
        text("UPDATE catalog_item SET seats_taken = seats_taken - 1 WHERE id = :id"), {"id": item_id}
    )

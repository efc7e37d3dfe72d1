"""Promotion codes and their uses: reserved with the order, consumed on payment, released otherwise."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.errors import CommerceError, Conflict
from models.database import Session


@dataclass(frozen=True, slots=True)
class PromotionRow:
    """A promotion code."""

    id: str
    code: str
    kind: str
    percent_bp: int | None
    amount_off: int | None
    currency: str | None
    item_ids: tuple[str, ...]
    min_subtotal: int | None
    max_discount: int | None
    usage_limit: int | None
    usage_limit_per_user: int | None
    uses: int
    first_purchase_only: bool
    funding: str
    stackable: bool
    priority: int
    starts_at: datetime | None
    ends_at: datetime | None
    active: bool
    version: int


def _promotion(row: Row[Any]) -> PromotionRow:
    values = {name: getattr(row, name) for name in PromotionRow.__dataclass_fields__}
    return PromotionRow(**{**values, "id": str(row.id), "item_ids": tuple(row.item_ids)})


async def by_code(session: Session, code: str) -> PromotionRow | None:
    """A promotion by its code, whatever its case."""
    row = (
        await session.execute(text("SELECT * FROM promotion WHERE code = upper(:code)"), {"code": code})
    ).one_or_none()
    return None if row is None else _promotion(row)


async def get(session: Session, promotion_id: str, *, lock: bool = False) -> PromotionRow | None:
    """One promotion."""
    suffix = " FOR UPDATE" if lock else ""
    row = (
        await session.execute(text("SELECT * FROM promotion WHERE id = :id" + suffix), {"id": promotion_id})
    ).one_or_none()
    return None if row is None else _promotion(row)


async def page(session: Session, *, before: str | None, limit: int) -> list[PromotionRow]:
    """Newest first, keyset."""
    rows = await session.execute(
        text(
            "SELECT * FROM promotion WHERE CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid) "
            "ORDER BY id DESC LIMIT :limit"
        ),
        {"before": before, "limit": limit},
    )
    return [_promotion(row) for row in rows]


_COLUMNS = (
    "code", "kind", "percent_bp", "amount_off", "currency", "item_ids", "min_subtotal", "max_discount",
    "usage_limit", "usage_limit_per_user", "first_purchase_only", "funding", "stackable", "priority",
    "starts_at", "ends_at", "active",
)  # fmt: skip


async def insert(session: Session, promotion_id: str, columns: dict[str, Any]) -> None:
    """Make a promotion; a repeat under the same id changes nothing."""
    names = [name for name in _COLUMNS if name in columns]
    made = (
        await session.execute(
            text(
                f"INSERT INTO promotion (id, {', '.join(names)}) "
                f"VALUES (:id, {', '.join(':' + name for name in names)}) "
                "ON CONFLICT DO NOTHING RETURNING id"
            ),
            {"id": promotion_id, **{name: columns[name] for name in names}},
        )
    ).one_or_none()
    if made is None and await get(session, promotion_id) is None:
        raise Conflict("the code is taken", code="code_taken")


async def update(session: Session, promotion_id: str, version: int, columns: dict[str, Any]) -> None:
    """Change columns of the version that the caller read; CommerceError `precondition_failed` otherwise."""
    names = [name for name in _COLUMNS if name in columns]
    assignments = "".join(f"{name} = :{name}, " for name in names)
    changed = (
        await session.execute(
            text(
                f"UPDATE promotion SET {assignments}version = version + 1 "
                "WHERE id = :id AND version = :version RETURNING id"
            ),
            {"id": promotion_id, "version": version, **{name: columns[name] for name in names}},
        )
    ).one_or_none()
    if changed is None:
        raise CommerceError("the promotion has changed meanwhile", code="precondition_failed")


async def used_by(session: Session, promotion_id: str, user_id: str) -> int:
    """How often the user has a use of it, reserved or consumed."""
    return int(
        (
            await session.execute(
                text(
                    "SELECT count(*) FROM promotion_use WHERE promotion_id = :id AND user_id = :user_id "
                    "AND state <> 'released'"
                ),
                {"id": promotion_id, "user_id": user_id},
            )
        ).scalar_one()
    )


async def has_bought(session: Session, user_id: str, *, besides: str | None = None) -> bool:
    """Whether the user has an order, `besides` this one, that is paid or on its way to be."""
    return bool(
        (
            await session.execute(
                text(
                    "SELECT EXISTS (SELECT FROM orders WHERE user_id = :user_id "
                    "AND payment_state IN ('pending', 'processing', 'paid') "
                    "AND (CAST(:besides AS uuid) IS NULL OR id <> CAST(:besides AS uuid)))"
                ),
                {"user_id": user_id, "besides": besides},
            )
        ).scalar_one()
    )


async def reserve(session: Session, promotion_id: str, order_id: str, user_id: str) -> bool:
    """Take one use for the order, if it may have one; asked again, it has the same one.

    The use is counted by one conditional statement, so the last one goes to one order. The row lock of
    that statement orders all reservations of the promotion, so what is looked up after it (the uses and
    orders of the user) can't change before the commit. A refusal leaves nothing behind.
    """
    savepoint = await session.begin_nested()
    fresh = await session.execute(
        text(
            "INSERT INTO promotion_use (promotion_id, order_id, user_id, state) "
            "VALUES (:id, :order_id, :user_id, 'reserved') ON CONFLICT (promotion_id, order_id) "
            "DO UPDATE SET state = 'reserved' WHERE promotion_use.state = 'released' RETURNING id"
        ),
        {"id": promotion_id, "order_id": order_id, "user_id": user_id},
    )
    granted = fresh.one_or_none() is None or await _count_use(session, promotion_id, order_id, user_id)
    await (savepoint.commit() if granted else savepoint.rollback())
    return granted


async def _count_use(session: Session, promotion_id: str, order_id: str, user_id: str) -> bool:
    row = (
        await session.execute(
            text(
                "UPDATE promotion SET uses = uses + 1 WHERE id = :id AND active "
                "AND (usage_limit IS NULL OR uses < usage_limit) "
                "RETURNING usage_limit_per_user, first_purchase_only"
            ),
            {"id": promotion_id},
        )
    ).one_or_none()
    if row is None:
        return False
    limit = row.usage_limit_per_user
    if limit is not None and await used_by(session, promotion_id, user_id) > limit:
        return False
    return not (row.first_purchase_only and await has_bought(session, user_id, besides=order_id))


async def reserve_again(session: Session, order_id: str) -> bool:
    """Take the released uses of an order again; False when one is not to be had any more."""
    rows = await session.execute(
        text(
            "SELECT promotion_id, user_id FROM promotion_use WHERE order_id = :id AND state = 'released' "
            "ORDER BY promotion_id"
        ),
        {"id": order_id},
    )
    for row in rows.all():
        if not await reserve(session, str(row.promotion_id), order_id, str(row.user_id)):
            return False
    return True


async def consume(session: Session, order_id: str) -> None:
    """The order was paid: its uses are final."""
    await session.execute(
        text("UPDATE promotion_use SET state = 'consumed' WHERE order_id = :id AND state = 'reserved'"),
        {"id": order_id},
    )


async def release(session: Session, order_id: str) -> None:
    """The order ended unpaid: its uses go back."""
    rows = await session.execute(
        text(
            "UPDATE promotion_use SET state = 'released' WHERE order_id = :id AND state = 'reserved' "
            "RETURNING promotion_id"
        ),
        {"id": order_id},
    )
    for promotion_id in sorted(str(row.promotion_id) for row in rows):
        await session.execute(
            text("UPDATE promotion SET uses = uses - 1 WHERE id = :id"), {"id": promotion_id}
        )

"""Carts: one open per user; checkout closes it, cancel and expiry give its lines back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text

from domain.errors import Conflict
from models.database import Session

# Each needs a whole checkout in between; two in a row do not happen to people.
_OPEN_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class CartRow:
    """A cart."""

    id: str
    user_id: str
    currency: str | None
    promo_codes: tuple[str, ...]
    version: int


@dataclass(frozen=True, slots=True)
class CartLineRow:
    """One item in a cart."""

    id: str
    item_id: str
    quantity: int


def _cart(row: Row[Any]) -> CartRow:
    return CartRow(str(row.id), str(row.user_id), row.currency, tuple(row.promo_codes), row.version)


async def open_id(session: Session, user_id: str) -> str | None:
    """The user's open cart, if there is one with lines in it."""
    found = (
        await session.execute(
            text(
                "SELECT id FROM cart WHERE user_id = :user_id AND open "
                "AND EXISTS (SELECT FROM cart_line WHERE cart_id = cart.id)"
            ),
            {"user_id": user_id},
        )
    ).scalar_one_or_none()
    return None if found is None else str(found)


async def open_cart(session: Session, user_id: str, *, lock: bool = False) -> CartRow:
    """The user's open cart, made when missing; two tabs make one, because the index allows one."""
    suffix = " FOR UPDATE" if lock else ""
    for _ in range(_OPEN_ATTEMPTS):
        await session.execute(
            text("INSERT INTO cart (user_id) VALUES (:user_id) ON CONFLICT (user_id) WHERE open DO NOTHING"),
            {"user_id": user_id},
        )
        row = (
            await session.execute(
                text("SELECT * FROM cart WHERE user_id = :user_id AND open" + suffix), {"user_id": user_id}
            )
        ).one_or_none()
        if row is not None:
            return _cart(row)
        # A checkout closed it between the two statements, or while this one waited for its lock.
    raise Conflict("the cart is being checked out again and again")


async def lock_open(session: Session, cart_id: str) -> CartRow | None:
    """The cart, locked, if it is still open and has lines."""
    row = (
        await session.execute(
            text(
                "SELECT * FROM cart WHERE id = :id AND open "
                "AND EXISTS (SELECT FROM cart_line WHERE cart_id = cart.id) FOR UPDATE"
            ),
            {"id": cart_id},
        )
    ).one_or_none()
    return None if row is None else _cart(row)


async def get(session: Session, cart_id: str) -> CartRow | None:
    """A cart, open or not."""
    row = (await session.execute(text("SELECT * FROM cart WHERE id = :id"), {"id": cart_id})).one_or_none()
    return None if row is None else _cart(row)


async def lines(session: Session, cart_id: str) -> list[CartLineRow]:
    """The lines of a cart, in the order in which they came."""
    rows = await session.execute(
        text("SELECT id, item_id, quantity FROM cart_line WHERE cart_id = :id ORDER BY id"), {"id": cart_id}
    )
    return [CartLineRow(str(row.id), str(row.item_id), row.quantity) for row in rows]


async def add_line(session: Session, cart_id: str, line_id: str, item_id: str, currency: str) -> None:
    """Put an item in, once; the first line fixes the cart's currency."""
    await session.execute(
        text(
            "INSERT INTO cart_line (id, cart_id, item_id) VALUES (:id, :cart_id, :item_id) "
            "ON CONFLICT DO NOTHING"
        ),
        {"id": line_id, "cart_id": cart_id, "item_id": item_id},
    )
    await session.execute(
        text(
            "UPDATE cart SET currency = coalesce(currency, :currency), version = version + 1 WHERE id = :id"
        ),
        {"id": cart_id, "currency": currency},
    )


async def remove_line(session: Session, cart_id: str, line_id: str) -> bool:
    """Take a line out; an empty cart has no currency."""
    gone = await session.execute(
        text("DELETE FROM cart_line WHERE id = :id AND cart_id = :cart_id RETURNING id"),
        {"id": line_id, "cart_id": cart_id},
    )
    if gone.one_or_none() is None:
        return False
    await session.execute(
        text(
            "UPDATE cart SET version = version + 1, currency = CASE WHEN EXISTS "
            "(SELECT FROM cart_line WHERE cart_id = cart.id) THEN currency END WHERE id = :id"
        ),
        {"id": cart_id},
    )
    return True


async def set_promos(session: Session, cart_id: str, codes: Sequence[str]) -> None:
    """Have exactly these promotion codes on the cart."""
    await session.execute(
        text("UPDATE cart SET promo_codes = :codes, version = version + 1 WHERE id = :id"),
        {"id": cart_id, "codes": list(codes)},
    )


async def close(session: Session, cart_id: str) -> None:
    """Checked out."""
    await session.execute(
        text("UPDATE cart SET open = false, version = version + 1 WHERE id = :id"), {"id": cart_id}
    )


async def give_back(session: Session, cart_id: str) -> None:
    """Put the lines of a checked-out cart into the user's open one, made when missing."""
    old = await get(session, cart_id)
    if old is None:
        return
    fresh = await open_cart(session, old.user_id, lock=True)
    if fresh.currency not in (None, old.currency):
        return  # the user has begun something in another currency meanwhile: leave it alone
    await session.execute(
        text(
            "INSERT INTO cart_line (cart_id, item_id) SELECT :fresh, item_id FROM cart_line "
            "WHERE cart_id = :old ORDER BY id ON CONFLICT DO NOTHING"
        ),
        {"fresh": fresh.id, "old": old.id},
    )
    await session.execute(
        text(
            "UPDATE cart SET currency = :currency, version = version + 1, "
            "promo_codes = CASE WHEN promo_codes = '{}' THEN CAST(:promos AS text[]) ELSE promo_codes END "
            "WHERE id = :id"
        ),
        {"id": fresh.id, "currency": old.currency, "promos": list(old.promo_codes)},
    )

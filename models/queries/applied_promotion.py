"""Whether a cart's promotion codes apply to it now, and what they take off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.promotions import FixedPromotion, Funding, PercentPromotion, Promotion
from models.database import Session
from models.queries import promotions
from models.queries.carts import CartLineRow, CartRow
from models.queries.catalog import ItemRow
from models.queries.promotions import PromotionRow


@dataclass(frozen=True, slots=True)
class Applied:
    """The promotions that apply, in id order; for each other code the reason of `promo_invalid`."""

    promotions: tuple[PromotionRow, ...]
    refused: Mapping[str, str]


async def of_cart(
    session: Session,
    cart: CartRow,
    rows: Sequence[CartLineRow],
    items: Mapping[str, ItemRow],
    now: datetime,
) -> Applied:
    """Look at every code of the cart: one, or several that all may stand beside others.

    `rows` are the lines that have a price in the cart's currency. To an empty cart a code applies when
    nothing but the lack of lines speaks against it.
    """
    found: list[PromotionRow] = []
    refused: dict[str, str] = {}
    for code in cart.promo_codes:
        promotion = await promotions.by_code(session, code)
        reason = await _why_not(session, promotion, cart, rows, items, now)
        if promotion is None or reason is not None:
            refused[code] = reason or "unknown"
        elif len(cart.promo_codes) > 1 and not promotion.stackable:
            refused[code] = "not_applicable"  # it was changed since it was put beside the others
        else:
            found.append(promotion)
    return Applied(tuple(sorted(found, key=lambda promotion: promotion.id)), refused)


async def _why_not(
    session: Session,
    promotion: PromotionRow | None,
    cart: CartRow,
    rows: Sequence[CartLineRow],
    items: Mapping[str, ItemRow],
    now: datetime,
) -> str | None:
    if promotion is None or not promotion.active:
        return "unknown"
    reason = _why_not_now(promotion, now)
    if reason is None and cart.currency is not None:
        reason = _why_not_here(promotion, cart.currency, rows, items)
    return reason or await _why_not_for(session, promotion, cart.user_id)


def _why_not_now(promotion: PromotionRow, now: datetime) -> str | None:
    if promotion.starts_at is not None and now < promotion.starts_at:
        return "not_started"
    if promotion.ends_at is not None and promotion.ends_at <= now:
        return "expired"
    if promotion.usage_limit is not None and promotion.uses >= promotion.usage_limit:
        return "used_up"
    return None


def _why_not_here(
    promotion: PromotionRow, currency: str, rows: Sequence[CartLineRow], items: Mapping[str, ItemRow]
) -> str | None:
    scoped = [row for row in rows if not promotion.item_ids or row.item_id in promotion.item_ids]
    if not scoped or promotion.currency not in (None, currency):
        return "not_applicable"
    subtotal = sum(items[row.item_id].price_in(currency) or 0 for row in rows)
    if promotion.min_subtotal is not None and subtotal < promotion.min_subtotal:
        return "below_minimum"
    return None


async def _why_not_for(session: Session, promotion: PromotionRow, user_id: str) -> str | None:
    if promotion.first_purchase_only and await promotions.has_bought(session, user_id):
        return "not_applicable"
    limit = promotion.usage_limit_per_user
    if limit is not None and await promotions.used_by(session, promotion.id, user_id) >= limit:
        return "used_up"
    return None


def rule_of(promotion: PromotionRow, rows: Sequence[CartLineRow], items: Mapping[str, ItemRow]) -> Promotion:
    """The promotion as `domain.pricing` reads it; a bundle in its scope stands for its members' lines."""
    scope = None
    if promotion.item_ids:
        scope = frozenset(
            key
            for row in rows
            if row.item_id in promotion.item_ids
            for key in _line_keys(row, items[row.item_id])
        )
    funding = Funding(promotion.funding)
    if promotion.kind == "percent":
        return PercentPromotion(
            promotion.percent_bp or 0,
            max_discount=promotion.max_discount,
            lines=scope,
            funding=funding,
            id=promotion.id,
            priority=promotion.priority,
        )
    return FixedPromotion(
        promotion.amount_off or 0, lines=scope, funding=funding, id=promotion.id, priority=promotion.priority
    )


def _line_keys(row: CartLineRow, item: ItemRow) -> list[str]:
    return [f"{row.id}/{member}" for member in item.members] or [row.id]

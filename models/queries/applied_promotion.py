"""Whether a cart's promotion code applies to it now, and what it takes off."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from domain.promotions import FixedPromotion, Funding, PercentPromotion, Promotion
from models.database import Session
from models.queries import promotions
from models.queries.carts import CartLineRow, CartRow
from models.queries.catalog import ItemRow
from models.queries.promotions import PromotionRow


async def of_cart(
    session: Session,
    cart: CartRow,
    rows: Sequence[CartLineRow],
    items: Mapping[str, ItemRow],
    now: datetime,
) -> tuple[PromotionRow | None, str | None]:
    """The cart's promotion when it applies, else the reason of `promo_invalid`; neither without a code.

    `rows` are the lines that have a price in the cart's currency. To an empty cart a code applies when
    nothing but the lack of lines speaks against it.
    """
    if cart.promo_code is None:
        return None, None
    found = await promotions.by_code(session, cart.promo_code)
    if found is None or not found.active:
        return None, "unknown"
    reason = _why_not_now(found, now)
    if reason is None and cart.currency is not None:
        reason = _why_not_here(found, cart.currency, rows, items)
    reason = reason or await _why_not_for(session, found, cart.user_id)
    return (found, None) if reason is None else (None, reason)


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

"""The price of a cart now: what stands in the database, put before `domain.pricing`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.orders import ItemType
from domain.pricing import PricedBundle, PricedLine, PricingRequest, Quote, QuotedLine, TaxBehavior, price
from domain.promotions import in_order
from domain.taxation import TaxDecision
from models.database import Session
from models.queries import applied_promotion, carts, catalog, entitlements, tax_rates
from models.queries.carts import CartLineRow, CartRow
from models.queries.catalog import ItemRow
from models.queries.tax_rates import Rates


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the cart can't be bought as it stands; `reason` is there for `promo_invalid`."""

    code: str
    detail: str
    line_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SoldLine:
    """One course as it would be sold, in minor units; a bundle has become its members."""

    item_id: str
    bundle_id: str | None
    cart_line_id: str
    title: str
    lms_course_id: str
    unit_price: int
    list_net: int
    discount_net: int
    net: int
    tax: int
    taxes: tuple[Mapping[str, Any], ...]
    gross: int
    holds_seat: bool
    platform_discount: int
    presentation: str
    recognition: str
    refund_window_days: int | None
    # For a tax calculator: the line's name, what is to be taxed (as displayed), and what it is.
    key: str
    taxable: int
    tax_code: str
    tax_behavior: str


@dataclass(frozen=True, slots=True)
class ShownLine:
    """One line of the cart at its list price."""

    id: str
    item_id: str
    title: str
    quantity: int
    unit_price: int


@dataclass(frozen=True, slots=True)
class CartQuote:
    """The price of a cart. `subtotal - discount + tax = total`, all in minor units; with inclusive prices
    subtotal and discount are net of tax."""

    currency: str
    shown: tuple[ShownLine, ...]
    sold: tuple[SoldLine, ...]
    subtotal: int
    discount: int
    tax: int
    total: int
    promotion_ids: tuple[str, ...]
    promo_codes: tuple[str, ...]
    problems: tuple[Problem, ...]


async def quote_cart(
    session: Session,
    cart_id: str,
    address: Mapping[str, Any] | None,
    *,
    now: datetime,
    tax: TaxDecision | None = None,
) -> CartQuote:
    """Price a cart for a billing address; without one, no tax is added (the cart before checkout).

    `tax` is what was decided about it; None leaves it to the table. Raises StatedTaxOutdated when a
    calculator's tax is for other lines or amounts.
    """
    tax = tax or TaxDecision()
    cart = await carts.get(session, cart_id)
    if cart is None:
        return _empty(None, {})
    if cart.currency is None:
        return _empty(cart, (await applied_promotion.of_cart(session, cart, [], {}, now)).refused)
    rows = await carts.lines(session, cart_id)
    items = await catalog.by_ids(session, [row.item_id for row in rows])
    members = await catalog.by_ids(session, [m for item in items.values() for m in item.members])
    problems = [
        *(problem for row in rows for problem in _line_problems(row, items[row.item_id], members, cart, now)),
        *await _owned(session, cart, rows, items, members),
    ]
    sellable = [row for row in rows if items[row.item_id].price_in(cart.currency) is not None]
    rates = await tax_rates.at(session, address, now.date(), reverse_charge=tax.reverse_charge)
    applied = await applied_promotion.of_cart(session, cart, sellable, items, now)
    problems += [_promo_problem(code, reason) for code, reason in applied.refused.items()]
    quote = price(
        PricingRequest(
            cart.currency,
            tuple(_priced(row, items[row.item_id], members, cart.currency, rates) for row in sellable),
            promotions=tuple(
                in_order(applied_promotion.rule_of(one, sellable, items) for one in applied.promotions)
            ),
            stated=tax.stated,
        )
    )
    return CartQuote(
        currency=cart.currency,
        shown=tuple(_shown(row, items[row.item_id], cart.currency) for row in rows),
        sold=_sold(quote, sellable, items, members, cart.currency),
        subtotal=quote.list_net,
        discount=quote.discount_net,
        tax=quote.tax,
        total=quote.gross,
        promotion_ids=tuple(promotion.id for promotion in applied.promotions),
        promo_codes=cart.promo_codes,
        problems=tuple(problems),
    )


def _empty(cart: CartRow | None, refused: Mapping[str, str]) -> CartQuote:
    problems = tuple(_promo_problem(code, reason) for code, reason in refused.items())
    codes = () if cart is None else cart.promo_codes
    return CartQuote("USD", (), (), 0, 0, 0, 0, (), codes, problems)


def _promo_problem(code: str, reason: str) -> Problem:
    return Problem("promo_invalid", f"the code {code} can't be used: {reason}", reason=reason)


def _shown(row: CartLineRow, item: ItemRow, currency: str) -> ShownLine:
    return ShownLine(row.id, item.id, item.title, row.quantity, item.price_in(currency) or 0)


def _line_problems(
    row: CartLineRow, item: ItemRow, members: Mapping[str, ItemRow], cart: CartRow, now: datetime
) -> list[Problem]:
    problems = []
    parts = [item, *(members[member] for member in item.members)]
    if not all(part.on_sale(now) for part in parts):
        problems.append(Problem("item_unavailable", f"{item.title} is not on sale now", row.id))
    if cart.currency is not None and item.price_in(cart.currency) is None:
        problems.append(Problem("currency_mismatch", f"{item.title} has no price in {cart.currency}", row.id))
    if any(part.seats_left is not None and part.seats_left < 1 for part in parts):
        problems.append(Problem("sold_out", f"no seat is left for {item.title}", row.id))
    return problems


def courses_of(item: ItemRow, members: Mapping[str, ItemRow]) -> list[str]:
    """The LMS courses that the item gives access to."""
    parts = [members[member] for member in item.members] or [item]
    return [part.lms_course_id for part in parts if part.lms_course_id is not None]


async def _owned(
    session: Session,
    cart: CartRow,
    rows: list[CartLineRow],
    items: Mapping[str, ItemRow],
    members: Mapping[str, ItemRow],
) -> list[Problem]:
    """A bundle is only owned when every part of it is."""
    wanted = {row.id: courses_of(items[row.item_id], members) for row in rows}
    owned = set(
        await entitlements.owns(
            session, cart.user_id, [course for courses in wanted.values() for course in courses]
        )
    )
    return [
        Problem("already_owned", f"you have {items[row.item_id].title} already", row.id)
        for row in rows
        if wanted[row.id] and set(wanted[row.id]) <= owned
    ]


def _priced(
    row: CartLineRow, item: ItemRow, members: Mapping[str, ItemRow], currency: str, rates: Rates
) -> PricedLine | PricedBundle:
    def line(key: str, part: ItemRow) -> PricedLine:
        return PricedLine(
            key,
            part.price_in(currency) or 0,
            rates.of(part.tax_code),
            tax_behavior=TaxBehavior(part.tax_behavior),
        )

    if not item.members:
        return line(row.id, item)
    parts = tuple(line(f"{row.id}/{member}", members[member]) for member in item.members)
    return PricedBundle(parts, item.price_in(currency) or 0)


def _sold(
    quote: Quote,
    rows: list[CartLineRow],
    items: Mapping[str, ItemRow],
    members: Mapping[str, ItemRow],
    currency: str,
) -> tuple[SoldLine, ...]:
    by_line = {row.id: row for row in rows}

    def sold(line: QuotedLine) -> SoldLine:
        cart_line, _, member = line.line.partition("/")
        whole = items[by_line[cart_line].item_id]
        item = members[member] if member else whole
        return SoldLine(
            item_id=item.id,
            bundle_id=whole.id if member else None,
            cart_line_id=cart_line,
            title=item.title,
            lms_course_id=item.lms_course_id or "",
            unit_price=item.price_in(currency) or 0,
            list_net=line.list_net,
            discount_net=line.discount_net,
            net=line.net,
            tax=line.tax,
            taxes=tuple(
                {"jurisdiction": tax.jurisdiction, "ppm": tax.ppm, "amount": tax.amount} for tax in line.taxes
            ),
            gross=line.gross,
            holds_seat=item.type is ItemType.REGISTRATION,
            platform_discount=line.platform_discount,
            presentation=item.presentation,
            recognition=item.recognition,
            refund_window_days=item.refund_window_days,
            key=line.line,
            taxable=line.list_amount - line.discount_amount,
            tax_code=item.tax_code,
            tax_behavior=item.tax_behavior,
        )

    return tuple(sold(line) for line in quote.lines)

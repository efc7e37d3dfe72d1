"""Pricing of an order: list prices, bundles, promotions, tax, totals, always in this order.

All amounts are integer minor units of the order's currency. With inclusive prices list amounts and
discounts hold the tax; the quote's `list_net`, `discount_net` and `net` never do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from domain.allocation import largest_remainder
from domain.currencies import currency_of
from domain.errors import Conflict, InvalidInput
from domain.money import half_up_to_multiple
from domain.promotions import Funding, Promotion
from domain.tax import PPM_WHOLE, TaxAmount, TaxRate
from domain.taxation import StatedTax


class StatedTaxOutdated(Conflict):
    """A calculator's tax is for other amounts than those that are priced now."""

    code = "price_changed"


class TaxBehavior(StrEnum):
    """How list prices and tax go together."""

    EXCLUSIVE = "exclusive"  # tax comes on top of the price
    INCLUSIVE = "inclusive"  # the price holds the tax


@dataclass(frozen=True, slots=True)
class PricedLine:
    """One course at its list price. All rates apply to the same net.

    `tax_behavior` None is the request's.
    """

    line: str
    list_amount: int
    rates: tuple[TaxRate, ...] = ()
    quantity: int = 1
    tax_behavior: TaxBehavior | None = None


@dataclass(frozen=True, slots=True)
class PricedBundle:
    """Several courses at one price, divided by their list prices; each becomes a line of its own."""

    members: tuple[PricedLine, ...]
    price: int


@dataclass(frozen=True, slots=True)
class PricingRequest:
    """What is to be priced. Promotions apply in the given order, each on what the one before left.

    `quantum` is the step that discounts and taxes are rounded to; None takes the currency's. `stated` is the
    tax of every line that a calculator states instead of rates; it is taken as it is.
    """

    currency: str
    lines: tuple[PricedLine | PricedBundle, ...]
    tax_behavior: TaxBehavior = TaxBehavior.EXCLUSIVE
    promotions: tuple[Promotion, ...] = ()
    quantum: int | None = None
    stated: tuple[StatedTax, ...] | None = None


@dataclass(frozen=True, slots=True)
class QuotedLine:
    """The price of one line. `list_net - discount_net = net` and `net + tax = gross`.

    `list_amount` and `discount_amount` are as displayed: with the tax where prices are inclusive.
    `platform_discount` is the part of `discount_net` that the platform funds. `bundle` is the ordinal of
    the request's bundle that the line came from.
    """

    line: str
    list_amount: int
    discount_amount: int
    list_net: int
    discount_net: int
    net: int
    taxes: tuple[TaxAmount, ...]
    tax: int
    gross: int
    platform_discount: int
    bundle: int | None


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of an order: its lines in the order of the request, and their totals."""

    currency: str
    lines: tuple[QuotedLine, ...]
    list_net: int
    discount_net: int
    net: int
    tax: int
    gross: int

    @property
    def taxes(self) -> tuple[TaxAmount, ...]:
        """Tax per jurisdiction and rate over all lines, in order of first appearance."""
        sums: dict[tuple[str, int], int] = {}
        for line in self.lines:
            for tax in line.taxes:
                key = (tax.jurisdiction, tax.ppm)
                sums[key] = sums.get(key, 0) + tax.amount
        return tuple(TaxAmount(jurisdiction, ppm, amount) for (jurisdiction, ppm), amount in sums.items())


@dataclass(slots=True)
class _Item:
    """A line on its way through the steps; `left` is what it still costs."""

    line: str
    list_amount: int
    rates: tuple[TaxRate, ...]
    behavior: TaxBehavior
    bundle: int | None
    left: int
    platform_funded: int = 0


def price(request: PricingRequest) -> Quote:
    """Price an order.

    Percentages and taxes round half up per line (and jurisdiction), fixed amounts and bundle prices are
    divided by largest remainder, nothing falls below zero. Raises InvalidInput for negative prices or rates
    and for line ids that are not unique, UnknownCurrency for the currency, StatedTaxOutdated when the stated
    tax is not for these lines and amounts.
    """
    unit = currency_of(request.currency)
    quantum = unit.quantum if request.quantum is None else request.quantum
    if quantum < 1:
        raise InvalidInput(f"a quantum is positive, not {quantum}")
    items = _items(request, quantum)
    for promotion in request.promotions:
        _discount(items, promotion, quantum)
    if request.stated is None:
        lines = tuple(_quoted(item, quantum) for item in items)
    else:
        by_line = {line.line: line for line in request.stated}
        lines = tuple(_as_stated(item, by_line.get(item.line), quantum) for item in items)
    return Quote(
        currency=request.currency,
        lines=lines,
        list_net=sum(line.list_net for line in lines),
        discount_net=sum(line.discount_net for line in lines),
        net=sum(line.net for line in lines),
        tax=sum(line.tax for line in lines),
        gross=sum(line.gross for line in lines),
    )


def _items(request: PricingRequest, quantum: int) -> list[_Item]:
    """Every course as a line of its own; bundles are exploded."""
    items: list[_Item] = []
    for ordinal, entry in enumerate(request.lines):
        if isinstance(entry, PricedBundle):
            amounts = _exploded(entry, quantum)
            items += [
                _item(member, amount, request.tax_behavior, ordinal)
                for member, amount in zip(entry.members, amounts, strict=True)
            ]
        else:
            amount = entry.list_amount * entry.quantity
            items.append(_item(entry, amount, request.tax_behavior, None))
    ids = [item.line for item in items]
    if len(set(ids)) != len(ids):
        raise InvalidInput("two lines have the same id")
    return items


def _item(line: PricedLine, amount: int, behavior: TaxBehavior, bundle: int | None) -> _Item:
    if amount < 0 or line.list_amount < 0 or line.quantity < 1:
        raise InvalidInput(f"line {line.line}: a price is not negative, a quantity is positive")
    if any(rate.ppm < 0 for rate in line.rates):
        raise InvalidInput(f"line {line.line}: a tax rate is not negative")
    return _Item(line.line, amount, line.rates, line.tax_behavior or behavior, bundle, left=amount)


def _exploded(bundle: PricedBundle, quantum: int) -> list[int]:
    """The bundle's price over its members by list price; members without any price share it evenly."""
    if bundle.price < 0 or not bundle.members:
        raise InvalidInput("a bundle has members and a price that is not negative")
    weights = [member.list_amount * member.quantity for member in bundle.members]
    if not any(weights):
        weights = [1] * len(weights)
    # In quanta, so that every member can be charged and refunded alone; a price between two quanta can't.
    step = quantum if bundle.price % quantum == 0 else 1
    return [part * step for part in largest_remainder(bundle.price // step, weights)]


def _discount(items: Sequence[_Item], promotion: Promotion, quantum: int) -> None:
    scope = [item for item in items if promotion.lines is None or item.line in promotion.lines]
    discounts = promotion.discounts([item.left for item in scope], quantum)
    for item, discount in zip(scope, discounts, strict=True):
        item.left -= discount
        if promotion.funding is Funding.PLATFORM:
            item.platform_funded += discount


def _quoted(item: _Item, quantum: int) -> QuotedLine:
    list_net = _net_of(item, item.list_amount, quantum)
    net = _net_of(item, item.left, quantum)
    if item.behavior is TaxBehavior.INCLUSIVE:
        taxes = _shared_tax(item.rates, item.left - net)
    else:
        taxes = tuple(
            TaxAmount(rate.jurisdiction, rate.ppm, half_up_to_multiple(net * rate.ppm, PPM_WHOLE, quantum))
            for rate in item.rates
        )
    return _line(item, list_net, net, taxes, quantum)


def _as_stated(item: _Item, stated: StatedTax | None, quantum: int) -> QuotedLine:
    """With the tax of a calculator. What the list price holds of it is known by the rates alone."""
    if stated is None or stated.taxable != item.left:
        raise StatedTaxOutdated(f"the tax of line {item.line} was calculated for another amount")
    rated = replace(item, rates=tuple(TaxRate(tax.jurisdiction, tax.ppm) for tax in stated.taxes))
    inclusive = item.behavior is TaxBehavior.INCLUSIVE
    net = item.left - stated.amount if inclusive else item.left
    list_net = net if item.list_amount == item.left else max(net, _net_of(rated, item.list_amount, quantum))
    return _line(rated, list_net, net, stated.taxes, quantum)


def _line(item: _Item, list_net: int, net: int, taxes: tuple[TaxAmount, ...], quantum: int) -> QuotedLine:
    tax = sum(part.amount for part in taxes)
    funded = _net_of(item, item.left + item.platform_funded, quantum) - net if item.platform_funded else 0
    return QuotedLine(
        line=item.line,
        list_amount=item.list_amount,
        discount_amount=item.list_amount - item.left,
        list_net=list_net,
        discount_net=list_net - net,
        net=net,
        taxes=taxes,
        tax=tax,
        gross=net + tax,
        platform_discount=min(max(funded, 0), list_net - net),
        bundle=item.bundle,
    )


def _net_of(item: _Item, amount: int, quantum: int) -> int:
    """What of a displayed amount is net of tax."""
    ppm = sum(rate.ppm for rate in item.rates)
    if item.behavior is TaxBehavior.EXCLUSIVE or ppm == 0:
        return amount
    return min(amount, half_up_to_multiple(amount * PPM_WHOLE, PPM_WHOLE + ppm, quantum))


def _shared_tax(rates: Sequence[TaxRate], tax: int) -> tuple[TaxAmount, ...]:
    """The tax inside an inclusive price, over its jurisdictions by rate."""
    if not any(rate.ppm for rate in rates):
        return tuple(TaxAmount(rate.jurisdiction, rate.ppm, 0) for rate in rates)
    amounts = largest_remainder(tax, [rate.ppm for rate in rates])
    return tuple(
        TaxAmount(rate.jurisdiction, rate.ppm, amount) for rate, amount in zip(rates, amounts, strict=True)
    )

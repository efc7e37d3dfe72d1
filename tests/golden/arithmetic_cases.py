"""Cases without a history: pricing, allocation, tiers, reversal."""

from typing import Any

from domain.allocation import ticks_reversed
from domain.pricing import PricedBundle, PricedLine, PricingRequest, QuotedLine, TaxBehavior, price
from domain.promotions import FixedPromotion, PercentPromotion, Promotion
from domain.splits import Share, SplitRule, Tier, allocate
from domain.tax import TaxRate
from tests.golden.report import Unsupported


def pricing_differences(case: dict[str, Any]) -> list[str]:
    """Price the order and compare the columns of each line, and the totals."""
    quote = price(_request(case["order"]))
    columns = case["expected_columns"]
    found = [[_cell(line, column) for column in columns] for line in quote.lines]
    differences = _difference("lines", case["expected"], found)
    for name, expected in case["totals"].items():
        if name not in ("list_net", "discount_net", "net", "tax", "gross"):
            raise Unsupported(f"total {name!r}")
        differences += _difference(f"total {name}", expected, getattr(quote, name))
    return differences


def allocation_differences(case: dict[str, Any]) -> list[str]:
    """Divide a basis by a rule and compare all rows, the platform's too."""
    rows = allocate(case["basis"], SplitRule.from_dict(case["rule"]))
    return _difference("rows", case["expected"], [[row.payee, row.amount] for row in rows])


def tiers_differences(case: dict[str, Any]) -> list[str]:
    """Divide a basis by marginal tiers, after what came before."""
    tiers = tuple(Tier(tier["upto"], tier["bps"]) for tier in case["tiers"])
    rule = SplitRule(shares=(Share(case["payee"], tiers=tiers),))
    rows = allocate(case["basis"], rule, prior={case["payee"]: case["prior"]})
    return _difference("rows", case["expected"], [[row.payee, row.amount] for row in rows])


def reversal_differences(case: dict[str, Any]) -> list[str]:
    """Reverse each cumulative amount in tick order."""
    differences = []
    for cumulative, expected in case["cumulative"].items():
        found = ticks_reversed(case["original"], int(cumulative))
        differences += _difference(f"at {cumulative}", expected, found)
    return differences


def _difference(place: str, expected: Any, found: Any) -> list[str]:
    return [] if expected == found else [f"{place}: expected {expected}, found {found}"]


def _cell(line: QuotedLine, column: str) -> object:
    if column not in QuotedLine.__slots__:
        raise Unsupported(f"column {column!r}")
    return getattr(line, column)


def _request(order: dict[str, Any]) -> PricingRequest:
    return PricingRequest(
        currency=order["currency"],
        lines=tuple(_entry(entry) for entry in order["lines"]),
        tax_behavior=TaxBehavior(order["tax"]),
        promotions=tuple(_promotion(promotion) for promotion in order.get("promos") or []),
        quantum=order.get("quantum") or 1,
    )


def _entry(entry: dict[str, Any]) -> PricedLine | PricedBundle:
    if "bundle" not in entry:
        return _line(entry, entry.get("rates") or [])
    # Rates may stand at the bundle or at its members.
    members = (_line(member, member.get("rates") or entry.get("rates") or []) for member in entry["bundle"])
    return PricedBundle(tuple(members), entry["price"])


def _line(entry: dict[str, Any], rates: list[dict[str, Any]]) -> PricedLine:
    return PricedLine(
        entry["line"],
        entry["list"],
        tuple(TaxRate(rate["jur"], rate["ppm"]) for rate in rates),
        quantity=entry.get("quantity", 1),
    )


def _promotion(promotion: dict[str, Any]) -> Promotion:
    scope = promotion.get("lines")
    lines = None if scope is None else frozenset(scope)
    if promotion["type"] == "percent":
        return PercentPromotion(promotion["bps"], max_discount=promotion.get("max"), lines=lines)
    if promotion["type"] == "fixed":
        return FixedPromotion(promotion["amount"], lines=lines)
    raise Unsupported(f"promotion of type {promotion['type']!r}")

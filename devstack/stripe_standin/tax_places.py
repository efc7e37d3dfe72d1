"""Where a customer is, and what the account collects there.

The head office is in the United Kingdom. Tax is collected where `_RATES` has rates, by country or state;
elsewhere none is due. A business abroad with a VAT number owes it itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from devstack.stripe_standin import shapes
from devstack.stripe_standin.errors import missing_parameter, refused
from devstack.stripe_standin.store import Object

_HEAD_OFFICE = "GB"
_VAT = "AT BE BG CY CZ DE DK EE ES FI FR GB GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
_WITH_VAT = frozenset(_VAT.split())
_VAT_IDS = ("eu_vat", "gb_vat")
_EU_VAT_ID = re.compile(r"[A-Z]{2}[A-Z0-9]{2,12}")


@dataclass(frozen=True)
class _Rate:
    """One rate: where it holds, and percent as Stripe writes it."""

    level: str
    name: str
    percent: str
    kind: str


_RATES: dict[tuple[str, str], tuple[_Rate, ...]] = {
    ("DE", ""): (_Rate("country", "Germany", "19.0", "vat"),),
    ("FR", ""): (_Rate("country", "France", "20.0", "vat"),),
    ("IE", ""): (_Rate("country", "Ireland", "23.0", "vat"),),
    ("GB", ""): (_Rate("country", "United Kingdom", "20.0", "vat"),),
    ("JP", ""): (_Rate("country", "Japan", "10.0", "jct"),),
    ("US", "NY"): (
        _Rate("state", "New York", "4.0", "sales_tax"),
        _Rate("city", "New York City", "4.5", "sales_tax"),
        _Rate("district", "Metropolitan Commuter Transportation District", "0.375", "sales_tax"),
    ),
    ("US", "WA"): (
        _Rate("state", "Washington", "6.5", "sales_tax"),
        _Rate("city", "Seattle", "3.85", "sales_tax"),
    ),
}


@dataclass(frozen=True)
class Place:
    """Where the customer is, and what is collected there."""

    country: str
    state: str
    reason: str
    rates: tuple[_Rate, ...]

    @classmethod
    def of(cls, details: Object) -> "Place":
        """By address, VAT numbers and override."""
        address, override = details["address"], details["taxability_override"]
        country, state = address["country"], (address["state"] or "").removeprefix(f"{address['country']}-")
        rates = _RATES.get((country, state), _RATES.get((country, ""), ()))
        business = any(tax_id["type"] in _VAT_IDS for tax_id in details["tax_ids"])
        abroad = country in _WITH_VAT and country != _HEAD_OFFICE
        if override == "customer_exempt":
            return cls(country, state, "customer_exempt", ())
        if override == "reverse_charge" or (business and abroad):
            return cls(country, state, "reverse_charge", ())
        return cls(country, state, "standard_rated" if rates else "not_collecting", rates)

    def breakdown(self, amount: int, *, inclusive: bool) -> list[Object]:
        """One row a rate, or one that says why there is none."""
        if not self.rates:
            return [self._row(_Rate("country", self.country, "0.0", "vat"), 0, 0, rated=False)]
        whole = sum((Decimal(rate.percent) for rate in self.rates), Decimal(0))
        taxable = amount
        if inclusive:
            taxable = int((amount * 100 / (100 + whole)).quantize(Decimal(1)))
        amounts = [_half_up(taxable * Decimal(rate.percent) / 100) for rate in self.rates]
        if inclusive:
            amounts[-1] += amount - taxable - sum(amounts)
        return [
            self._row(rate, part, taxable, rated=True) for rate, part in zip(self.rates, amounts, strict=True)
        ]

    def _row(self, rate: _Rate, amount: int, taxable: int, *, rated: bool) -> Object:
        return {
            "amount": amount,
            "jurisdiction": {
                "country": self.country,
                "display_name": rate.name,
                "level": rate.level,
                "state": self.state or None,
            },
            "sourcing": "destination",
            "tax_rate_details": (
                {
                    "display_name": rate.kind.replace("_", " ").title(),
                    "percentage_decimal": rate.percent,
                    "tax_type": rate.kind,
                }
                if rated
                else None
            ),
            "taxability_reason": self.reason,
            "taxable_amount": taxable,
        }


def _half_up(amount: Decimal) -> int:
    return int(amount + Decimal("0.5"))


def customer_details(given: Mapping[str, Any] | None) -> Object:
    """The customer as a calculation shows them; Stripe's 400s for what tax can't be calculated of."""
    if given is None or "address" not in given:
        raise missing_parameter("customer_details[address]")
    address = shapes.address(given["address"])
    if address is None or not address["country"]:
        raise missing_parameter("customer_details[address][country]")
    if address["country"] == "US" and not address["postal_code"]:
        raise refused(
            "The address is not sufficient to calculate tax: a postal code is needed.",
            "customer_tax_location_invalid",
            "customer_details[address]",
        )
    tax_ids = given.get("tax_ids", [])
    for index, tax_id in enumerate(tax_ids):
        if tax_id["type"] == "eu_vat" and not _EU_VAT_ID.fullmatch(tax_id["value"]):
            raise refused(
                "Invalid value for eu_vat.", "tax_id_invalid", f"customer_details[tax_ids][{index}][value]"
            )
    return {
        "address": address,
        "address_source": given.get("address_source", "billing"),
        "ip_address": given.get("ip_address"),
        "tax_ids": tax_ids,
        "taxability_override": given.get("taxability_override", "none"),
    }

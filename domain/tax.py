"""Looking tax rates up in a table of rates, and when the reverse charge shifts the tax to the buyer."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

PPM_WHOLE = 1_000_000

# Member states of the EU; Greece is EL in VAT numbers and GR in addresses.
_EU = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
EU_COUNTRIES = frozenset(_EU.split())
VAT_COUNTRIES = EU_COUNTRIES | {"GB"}
REVERSE_CHARGE_SUFFIX = "-RC"
"""Ends the jurisdiction of a tax that the buyer owes instead of the seller: `DE-RC`."""


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A rate of one jurisdiction, in parts per million of the net amount."""

    jurisdiction: str
    ppm: int


@dataclass(frozen=True, slots=True)
class TaxAmount:
    """Tax of one jurisdiction in minor units, with the rate it came from."""

    jurisdiction: str
    ppm: int
    amount: int


@dataclass(frozen=True, slots=True)
class TaxTableRow:
    """One row of the table: a rate that is valid on days within `[valid_from, valid_to)`.

    An empty `state` is the whole country; `tax_code` None holds for every code that has no row of its own.
    """

    country: str
    jurisdiction: str
    ppm: int
    valid_from: date
    valid_to: date | None = None
    state: str = ""
    tax_code: str | None = None

    def holds(self, country: str, state: str | None, on_date: date, tax_code: str) -> bool:
        """Whether the row speaks of this place, day and kind of goods."""
        return (
            self.country == country
            and self.state in ("", state or "")
            and self.tax_code in (None, tax_code)
            and self.valid_from <= on_date
            and (self.valid_to is None or on_date < self.valid_to)
        )


def rates_for(
    table_rows: Iterable[TaxTableRow],
    country: str,
    state: str | None,
    on_date: date,
    tax_code: str,
    *,
    reverse_charge: bool = False,
) -> list[TaxRate]:
    """The rates that apply, one a jurisdiction, the country's before the state's; empty where none does.

    `country` is ISO 3166-1 alpha-2, `state` the second part of ISO 3166-2. A row for the tax code goes
    before the general one of its jurisdiction, then the younger one. With `reverse_charge` one rate of zero
    in `<country>-RC` stands for the tax that the buyer owes.
    """
    if reverse_charge:
        return [TaxRate(f"{country}{REVERSE_CHARGE_SUFFIX}", 0)]
    holding = [row for row in table_rows if row.holds(country, state, on_date, tax_code)]
    holding.sort(
        key=lambda row: (row.state, row.jurisdiction, row.tax_code is None, -row.valid_from.toordinal())
    )
    best: dict[str, TaxRate] = {}
    for row in holding:
        best.setdefault(row.jurisdiction, TaxRate(row.jurisdiction, row.ppm))
    return list(best.values())


def reverse_charge_applies(seller_country: str, buyer_country: str, *, vat_id_valid: bool) -> bool:
    """Whether a business with a valid VAT number owes the tax of an electronic service itself.

    It does where the seller is not established in its country: in the EU by Council Directive 2006/112/EC,
    articles 44 and 196, whose seller may be in another member state or outside; in the United Kingdom by the
    VAT Act 1994, section 8.
    """
    return vat_id_valid and buyer_country in VAT_COUNTRIES and seller_country != buyer_country


def issues_invoices(buyer_country: str) -> bool:
    """Whether a sale to this country (ISO 3166-1 alpha-2) is documented by an invoice with VAT details.

    Elsewhere a receipt does.
    """
    return buyer_country in VAT_COUNTRIES

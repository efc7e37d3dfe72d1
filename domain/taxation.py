"""What was decided about a checkout's tax before its order is made: by our table, or by a calculator."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from domain.tax import TaxAmount


class TaxProvider(StrEnum):
    """Who calculates the tax."""

    TABLE = "table"  # our rates, one or more for each country and state
    STRIPE = "stripe"  # Stripe Tax, which is told of payment and refund too


@dataclass(frozen=True, slots=True)
class StatedTax:
    """The tax that a calculator states for one line, as it is.

    `taxable` is the amount that it was asked about, in minor units: what the line costs after discounts, with
    the tax in it where prices are inclusive. The line's tax is the sum of `taxes`.
    """

    line: str
    taxable: int
    taxes: tuple[TaxAmount, ...]

    @property
    def amount(self) -> int:
        """All tax of the line."""
        return sum(tax.amount for tax in self.taxes)


@dataclass(frozen=True, slots=True)
class VatCheck:
    """That a VAT number was found valid: by whom, when (RFC 3339), and under which reference of theirs."""

    registry: str
    checked_at: str
    consultation: str | None = None


@dataclass(frozen=True, slots=True)
class TaxDecision:
    """The tax of one checkout: nothing special unless it says so.

    `tax_id` is the buyer's VAT number in its plain form; with `reverse_charge` the buyer owes the tax. A
    calculator's result is `stated`, made under `calculation_id`; None leaves it to the table.
    """

    provider: TaxProvider = TaxProvider.TABLE
    tax_id: str | None = None
    reverse_charge: bool = False
    check: VatCheck | None = None
    calculation_id: str | None = None
    stated: tuple[StatedTax, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, read by `from_dict`."""
        return {
            "provider": str(self.provider),
            "tax_id": self.tax_id,
            "reverse_charge": self.reverse_charge,
            "check": None
            if self.check is None
            else {
                "registry": self.check.registry,
                "checked_at": self.check.checked_at,
                "consultation": self.check.consultation,
            },
            "calculation_id": self.calculation_id,
            "stated": None
            if self.stated is None
            else [
                {
                    "line": line.line,
                    "taxable": line.taxable,
                    "taxes": [
                        {"jurisdiction": tax.jurisdiction, "ppm": tax.ppm, "amount": tax.amount}
                        for tax in line.taxes
                    ],
                }
                for line in self.stated
            ],
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any] | None) -> "TaxDecision":
        """Read what `to_dict` wrote; nothing at all is the table's decision."""
        if not given:
            return cls()
        check, stated = given["check"], given["stated"]
        return cls(
            provider=TaxProvider(given["provider"]),
            tax_id=given["tax_id"],
            reverse_charge=given["reverse_charge"],
            check=None if check is None else VatCheck(**check),
            calculation_id=given["calculation_id"],
            stated=None if stated is None else tuple(_stated(line) for line in stated),
        )


def _stated(given: Mapping[str, Any]) -> StatedTax:
    return StatedTax(given["line"], given["taxable"], tuple(TaxAmount(**tax) for tax in given["taxes"]))

"""What a receipt, invoice or credit note says: frozen values that are stored as JSON and never change.

All amounts are positive integers of minor units, those of a credit note too.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from babel import Locale, UnknownLocaleError

from domain.currencies import UnknownCurrency, currency_of
from integrations.documents.decoding import InvalidDocument, decode, encode

KINDS = ("receipt", "invoice", "credit_note")
_COUNTRY = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True, slots=True)
class Party:
    """Seller or buyer, as the law wants them named."""

    name: str
    address_lines: tuple[str, ...]
    country: str
    vat_id: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class LineTax:
    """Tax of one jurisdiction on a line; the rate in parts per million of the net amount."""

    jurisdiction: str
    rate_ppm: int
    amount: int


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """One thing bought or credited: `unit_net * quantity - discount = net`, `net + taxes = gross`."""

    description: str
    quantity: int
    unit_net: int
    discount: int
    net: int
    taxes: tuple[LineTax, ...]
    gross: int


@dataclass(frozen=True, slots=True)
class TaxTotal:
    """All tax of one jurisdiction at one rate, and the net amount it was taken from."""

    jurisdiction: str
    rate_ppm: int
    taxable: int
    amount: int


@dataclass(frozen=True, slots=True)
class Totals:
    """`subtotal - discount = net`, `net + tax = total`; the subtotal is before discounts, without tax."""

    subtotal: int
    discount: int
    net: int
    tax: int
    total: int


@dataclass(frozen=True, slots=True)
class PaymentInfo:
    """When it was paid (or given back) and how: `Card, pi_123`."""

    paid_at: datetime
    method: str


@dataclass(frozen=True, slots=True)
class DocumentReference:
    """The document that a credit note corrects."""

    number: str
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class ReceiptDocument:
    """The whole content. Raises InvalidDocument when made from figures that don't add up."""

    kind: str
    number: str
    issued_at: datetime
    order_number: str
    seller: Party
    buyer: Party
    currency: str
    locale: str
    lines: tuple[DocumentLine, ...]
    totals: Totals
    tax_table: tuple[TaxTotal, ...]
    payment: PaymentInfo | None = None
    notes: tuple[str, ...] = ()
    reference: DocumentReference | None = None

    def __post_init__(self) -> None:
        _check_head(self)
        for index, line in enumerate(self.lines):
            _check_line(line, f"document.lines[{index}]", currency_of(self.currency).quantum)
        if self.totals != totals_of(self.lines):
            raise InvalidDocument(f"document.totals must be {totals_of(self.lines)}")
        if sorted(self.tax_table, key=_tax_key) != sorted(tax_table_of(self.lines), key=_tax_key):
            raise InvalidDocument(f"document.tax_table must be {tax_table_of(self.lines)}")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ReceiptDocument":
        """From the stored JSON object; raises InvalidDocument with the path of what is wrong."""
        return decode(cls, dict(value))

    def to_json(self) -> dict[str, Any]:
        """The JSON object to store."""
        return encode(self)


def totals_of(lines: Iterable[DocumentLine]) -> Totals:
    """The totals that the lines come to."""
    found = tuple(lines)
    discount, net = sum(line.discount for line in found), sum(line.net for line in found)
    total = sum(line.gross for line in found)
    return Totals(subtotal=net + discount, discount=discount, net=net, tax=total - net, total=total)


def tax_table_of(lines: Iterable[DocumentLine]) -> tuple[TaxTotal, ...]:
    """One row for each jurisdiction and rate, in the order in which the lines name them."""
    rows: dict[tuple[str, int], tuple[int, int]] = {}
    for line in lines:
        for tax in line.taxes:
            taxable, amount = rows.get((tax.jurisdiction, tax.rate_ppm), (0, 0))
            rows[tax.jurisdiction, tax.rate_ppm] = (taxable + line.net, amount + tax.amount)
    return tuple(TaxTotal(*key, *figures) for key, figures in rows.items())


def _tax_key(row: TaxTotal) -> tuple[str, int]:
    return row.jurisdiction, row.rate_ppm


def _check_head(document: ReceiptDocument) -> None:
    if document.kind not in KINDS:
        raise InvalidDocument(f"document.kind is one of {', '.join(KINDS)}, not {document.kind!r}")
    if (document.kind == "credit_note") != (document.reference is not None):
        raise InvalidDocument("document.reference is there exactly for a credit note")
    texts = {
        "number": document.number,
        "order_number": document.order_number,
        "seller.name": document.seller.name,
        "buyer.name": document.buyer.name,
    }
    for path, text in texts.items():
        if not text.strip():
            raise InvalidDocument(f"document.{path} is empty")
    for path, party in (("seller", document.seller), ("buyer", document.buyer)):
        if not _COUNTRY.fullmatch(party.country):
            raise InvalidDocument(f"document.{path}.country is no ISO 3166 code: {party.country!r}")
    if document.issued_at.tzinfo is None:
        raise InvalidDocument("document.issued_at has no time zone")
    if not document.lines:
        raise InvalidDocument("document.lines is empty")
    try:
        currency_of(document.currency)
        Locale.parse(document.locale.replace("-", "_"))
    except UnknownCurrency as error:
        raise InvalidDocument(f"document.currency is unknown: {document.currency!r}") from error
    except (UnknownLocaleError, ValueError, TypeError) as error:
        raise InvalidDocument(f"document.locale is unknown: {document.locale!r}") from error


def _check_line(line: DocumentLine, path: str, quantum: int) -> None:
    if not line.description.strip():
        raise InvalidDocument(f"{path}.description is empty")
    if line.quantity < 1:
        raise InvalidDocument(f"{path}.quantity is less than 1")
    amounts = (line.unit_net, line.discount, line.net, line.gross)
    if min(*amounts, *(min(tax.amount, tax.rate_ppm) for tax in line.taxes), 0) < 0:
        raise InvalidDocument(f"{path} has a negative amount")
    # A net unit price taken out of a gross one is rounded: each unit may be off by one step.
    if abs(line.unit_net * line.quantity - line.discount - line.net) > quantum * (line.quantity - 1):
        raise InvalidDocument(f"{path}: quantity times unit_net, less discount, is not net")
    if line.net + sum(tax.amount for tax in line.taxes) != line.gross:
        raise InvalidDocument(f"{path}: net and taxes don't add up to gross")

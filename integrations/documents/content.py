"""What a receipt, invoice or credit note says: frozen values that are stored as JSON and never change.

All amounts are integers of minor units and not negative, those of a credit note too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from babel import Locale, UnknownLocaleError

from integrations.documents.decoding import InvalidDocument, decode

KINDS = ("receipt", "invoice", "credit_note")
_COUNTRY = re.compile(r"[A-Z]{2}")
_MAX_EXPONENT = 4


@dataclass(frozen=True, slots=True)
class Party:
    """Seller or buyer as printed; the country as its code, unless the last line names it."""

    name: str
    lines: tuple[str, ...]
    vat_id: str | None = None
    country: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class LineTax:
    """Tax of one jurisdiction on a line; the rate in parts per million."""

    jurisdiction: str
    ppm: int
    amount: int


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """One thing bought or credited: `list_net - discount = net`, `net + tax = gross`.

    `list_net` is for the whole quantity. `unit_net` is the price of one, where it is known; `taxes`, where
    given, add up to `tax`. `reference` is the ordinal of the order line; it is not printed.
    """

    description: str
    quantity: int
    list_net: int
    discount: int
    net: int
    tax: int
    gross: int
    taxes: tuple[LineTax, ...] = ()
    unit_net: int | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class TaxRow:
    """All tax of one jurisdiction at one rate (parts per million), and the net amount it was taken from."""

    jurisdiction: str
    ppm: int
    taxable: int
    amount: int


@dataclass(frozen=True, slots=True)
class ReceiptDocument:
    """All that stands on the paper; `exponent` are the decimals of the currency.

    Times are RFC 3339. The number may be empty until the document is issued. `payment` is a sentence of its
    own, or with `paid_at` only the means of payment. `reference` is the document that it corrects: a credit
    note always names one, an invoice or receipt only when it takes a credit note back.
    """

    kind: str
    number: str
    issued_at: str
    order_number: str
    seller: Party
    buyer: Party
    currency: str
    exponent: int
    locale: str
    lines: tuple[DocumentLine, ...]
    taxes: tuple[TaxRow, ...]
    net: int
    tax: int
    total: int
    payment: str
    reference: str | None = None
    reference_issued_at: str | None = None
    paid_at: str | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, read by `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "ReceiptDocument":
        """Read stored content; raises InvalidDocument with the path of what is wrong."""
        document = decode(cls, dict(given))
        document.check()
        return document

    def check(self) -> None:
        """Raise InvalidDocument unless everything that the law asks for is there and the sums are right."""
        _check_head(self)
        for name, party in (("seller", self.seller), ("buyer", self.buyer)):
            _check_party(party, f"document.{name}")
        if not self.lines:
            raise InvalidDocument("document.lines is empty")
        for index, line in enumerate(self.lines):
            _check_line(line, f"document.lines[{index}]")
        for index, row in enumerate(self.taxes):
            _not_negative(f"document.taxes[{index}]", row.ppm, row.taxable, row.amount)
        _same("document.net", self.net, [line.net for line in self.lines])
        _same("document.tax", self.tax, [line.tax for line in self.lines])
        _same("document.tax", self.tax, [row.amount for row in self.taxes])
        _same("document.total", self.total, [self.net, self.tax])


def moment(text: str, path: str = "time") -> datetime:
    """A time of RFC 3339 in UTC; raises InvalidDocument for another."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidDocument(f"{path} is no time of RFC 3339: {text!r}") from error
    if found.tzinfo is None:
        raise InvalidDocument(f"{path} has no time zone: {text!r}")
    return found.astimezone(UTC)


def _check_head(document: ReceiptDocument) -> None:
    if document.kind not in KINDS:
        raise InvalidDocument(f"document.kind is one of {', '.join(KINDS)}, not {document.kind!r}")
    if document.kind == "credit_note" and document.reference is None:
        raise InvalidDocument("document.reference is missing: a credit note names what it corrects")
    if not document.order_number.strip():
        raise InvalidDocument("document.order_number is empty")
    if not 0 <= document.exponent <= _MAX_EXPONENT:
        raise InvalidDocument(f"document.exponent is not between 0 and {_MAX_EXPONENT}")
    for name in ("issued_at", "paid_at", "reference_issued_at"):
        text = getattr(document, name)
        if text is not None:
            moment(text, f"document.{name}")
    if not re.fullmatch(r"[A-Z]{3}", document.currency):
        raise InvalidDocument(f"document.currency is no ISO 4217 code: {document.currency!r}")
    try:
        Locale.parse(document.locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError) as error:
        raise InvalidDocument(f"document.locale is unknown: {document.locale!r}") from error


def _check_party(party: Party, path: str) -> None:
    if party.country is not None and not _COUNTRY.fullmatch(party.country):
        raise InvalidDocument(f"{path}.country is no ISO 3166 code: {party.country!r}")


def _check_line(line: DocumentLine, path: str) -> None:
    if not line.description.strip():
        raise InvalidDocument(f"{path}.description is empty")
    if line.quantity < 1:
        raise InvalidDocument(f"{path}.quantity is less than 1")
    _not_negative(path, line.list_net, line.discount, line.net, line.tax, line.gross, line.unit_net or 0)
    _same(f"{path}.list_net", line.list_net, [line.net, line.discount])
    _same(f"{path}.gross", line.gross, [line.net, line.tax])
    if line.taxes:
        _not_negative(path, *(part for tax in line.taxes for part in (tax.ppm, tax.amount)))
        _same(f"{path}.tax", line.tax, [tax.amount for tax in line.taxes])


def _not_negative(path: str, *amounts: int) -> None:
    if min(amounts) < 0:
        raise InvalidDocument(f"{path} has a negative amount")


def _same(path: str, stated: int, parts: Sequence[int]) -> None:
    if stated != sum(parts):
        raise InvalidDocument(f"{path} is {stated}, but its parts come to {sum(parts)}")

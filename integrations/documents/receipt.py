"""Receipts and credit notes: immutable JSON in, the same PDF out every time."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from babel.dates import format_date
from babel.numbers import format_currency, format_decimal
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from domain.errors import InvalidInput

_FONTS = Path(__file__).parent / "fonts"
_PPM_PERCENT = 10_000
_GREY = 110
_LINE_GREY = 205
_TITLES = {"receipt": "Receipt", "credit_note": "Credit note"}


@dataclass(frozen=True, slots=True)
class Party:
    """Seller or buyer as printed."""

    name: str
    lines: tuple[str, ...]
    vat_id: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """One line, amounts in minor units."""

    description: str
    quantity: int
    list_net: int
    discount: int
    net: int
    tax: int
    gross: int


@dataclass(frozen=True, slots=True)
class TaxRow:
    """Tax by jurisdiction and rate: taxable amount and tax, in minor units; the rate in parts per million."""

    jurisdiction: str
    ppm: int
    taxable: int
    amount: int


@dataclass(frozen=True, slots=True)
class ReceiptDocument:
    """All that stands on the paper; `exponent` are the decimals of the currency."""

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

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, read by `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "ReceiptDocument":
        """Read stored content; InvalidInput when it is not a document."""
        try:
            values = dict(given)
            values["seller"] = _party(given["seller"])
            values["buyer"] = _party(given["buyer"])
            values["lines"] = tuple(DocumentLine(**line) for line in given["lines"])
            values["taxes"] = tuple(TaxRow(**tax) for tax in given["taxes"])
            document = cls(**values)
            datetime.fromisoformat(document.issued_at)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"not a document: {error}", code="invalid_document") from error
        if document.kind not in _TITLES:
            raise InvalidInput(f"no such kind of document: {document.kind}", code="invalid_document")
        return document


def _party(given: Mapping[str, Any]) -> Party:
    return Party(given["name"], tuple(given["lines"]), given.get("vat_id"))


class _Paper(FPDF):
    """A4 with our typeface, and page numbers below."""

    def __init__(self, document: ReceiptDocument) -> None:
        super().__init__(format="A4")
        self.document = document
        issued = datetime.fromisoformat(document.issued_at)
        self.set_creation_date(issued.astimezone(UTC))
        self.set_title(f"{_TITLES[document.kind]} {document.number}")
        self.set_author(document.seller.name)
        self.set_margins(20, 20, 20)
        self.set_auto_page_break(auto=True, margin=25)
        self.add_font("body", "", _FONTS / "DejaVuSans.ttf")
        self.add_font("body", "B", _FONTS / "DejaVuSans-Bold.ttf")

    def file_id(self) -> str:
        """The same document has the same id: the PDF is the same, byte for byte."""
        return self.document.number

    def footer(self) -> None:
        """Number of the document and of the page."""
        self.set_y(-18)
        self.set_font("body", size=7.5)
        self.set_text_color(_GREY)
        self.cell(0, 4, f"{self.document.number}  ·  page {self.page_no()} of {{nb}}", align="C")

    def money(self, amount: int) -> str:
        """An amount as the document's locale writes it."""
        value = Decimal(amount).scaleb(-self.document.exponent)
        return str(
            format_currency(
                value, self.document.currency, locale=self.document.locale, currency_digits=True
            )
        )


def render_receipt_pdf(document: ReceiptDocument) -> bytes:
    """The PDF of a document; the same bytes for the same document."""
    paper = _Paper(document)
    paper.add_page()
    _head(paper)
    _parties(paper)
    _lines(paper)
    _totals(paper)
    _taxes(paper)
    _closing(paper)
    return bytes(paper.output())


def _date(paper: _Paper) -> str:
    issued = datetime.fromisoformat(paper.document.issued_at)
    return str(format_date(issued, format="long", locale=paper.document.locale))


def _head(paper: _Paper) -> None:
    document = paper.document
    paper.set_text_color(20)
    paper.set_font("body", "B", 20)
    paper.cell(0, 10, _TITLES[document.kind], new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.set_font("body", size=9)
    paper.set_text_color(_GREY)
    facts = [f"No. {document.number}", _date(paper), f"Order {document.order_number}"]
    if document.reference is not None:
        facts.append(f"refers to {document.reference}")
    paper.cell(0, 6, "   ·   ".join(facts), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.ln(8)


def _parties(paper: _Paper) -> None:
    top = paper.get_y()
    bottom = top
    for left, label, party in ((20, "From", paper.document.seller), (110, "To", paper.document.buyer)):
        paper.set_xy(left, top)
        paper.set_font("body", size=7.5)
        paper.set_text_color(_GREY)
        paper.cell(80, 5, label.upper(), new_x=XPos.LEFT, new_y=YPos.NEXT)
        paper.set_text_color(20)
        paper.set_font("body", "B", 9.5)
        paper.multi_cell(80, 5, party.name, align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)
        paper.set_font("body", size=9)
        for line in [*party.lines, *([f"VAT {party.vat_id}"] if party.vat_id else [])]:
            paper.multi_cell(80, 5, line, align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)
        bottom = max(bottom, paper.get_y())
    paper.set_y(bottom + 8)


def _lines(paper: _Paper) -> None:
    paper.set_draw_color(_LINE_GREY)
    paper.set_font("body", size=8.5)
    with paper.table(
        col_widths=(70, 12, 29, 27, 32),
        text_align=("LEFT", "RIGHT", "RIGHT", "RIGHT", "RIGHT"),
        borders_layout="HORIZONTAL_LINES",
        line_height=6.5,
        padding=(1, 0, 1, 1),
    ) as table:
        heading = table.row()
        for text in ("Description", "Qty", "Net", "Tax", "Amount"):
            heading.cell(text)
        for line in paper.document.lines:
            row = table.row()
            description = line.description
            if line.discount:
                description += f"\nlist {paper.money(line.list_net)}, discount {paper.money(line.discount)}"
            row.cell(description)
            row.cell(str(line.quantity))
            for amount in (line.net, line.tax, line.gross):
                row.cell(paper.money(amount))
    paper.ln(5)


def _totals(paper: _Paper) -> None:
    document = paper.document
    for label, amount, bold in (
        ("Net", document.net, False),
        ("Tax", document.tax, False),
        ("Total", document.total, True),
    ):
        paper.set_x(110)
        paper.set_font("body", "B" if bold else "", 11 if bold else 9)
        paper.set_text_color(20)
        paper.cell(40, 7 if bold else 6, label)
        paper.cell(
            40, 7 if bold else 6, paper.money(amount), align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT
        )
    paper.ln(6)


def _taxes(paper: _Paper) -> None:
    if not paper.document.taxes:
        return
    paper.set_font("body", size=8)
    with paper.table(
        width=100,
        align="LEFT",
        col_widths=(30, 20, 25, 25),
        text_align=("LEFT", "RIGHT", "RIGHT", "RIGHT"),
        borders_layout="HORIZONTAL_LINES",
        line_height=5.5,
        padding=(1, 0, 1, 1),
    ) as table:
        heading = table.row()
        for text in ("Tax", "Rate", "Taxable", "Tax"):
            heading.cell(text)
        for tax in paper.document.taxes:
            rate = format_decimal(Decimal(tax.ppm) / _PPM_PERCENT, locale=paper.document.locale)
            row = table.row()
            for text in (tax.jurisdiction, f"{rate} %", paper.money(tax.taxable), paper.money(tax.amount)):
                row.cell(text)
    paper.ln(6)


def _closing(paper: _Paper) -> None:
    paper.set_font("body", size=8.5)
    paper.set_text_color(_GREY)
    paper.multi_cell(0, 5, paper.document.payment, align="L")

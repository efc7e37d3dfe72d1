"""Documents for the tests, from a plain invoice to the odd ones."""

from collections.abc import Sequence
from typing import Any

from domain.currencies import currency_of
from integrations.documents.receipt import DocumentLine, LineTax, Party, ReceiptDocument, TaxRow

SELLER = Party("Commerce Academy Ltd", ("1 Learning Street", "London EC1A 1AA"), "GB123456789", "GB")
BUYER = Party("Ada Lovelace", ("12 St James's Square", "London SW1Y 4JH", "GB"), email="ada@example.com")
ISSUED = "2026-03-01T09:30:00Z"
UK_VAT = (("GB", 200_000),)


def line(
    description: str,
    unit_net: int,
    *,
    quantity: int = 1,
    discount: int = 0,
    taxes: Sequence[tuple[str, int]] = (),
) -> DocumentLine:
    """A line whose taxes are (jurisdiction, rate in ppm) of its net, half up."""
    list_net = unit_net * quantity
    net = list_net - discount
    rows = tuple(LineTax(name, ppm, (2 * net * ppm + 1_000_000) // 2_000_000) for name, ppm in taxes)
    tax = sum(row.amount for row in rows)
    return DocumentLine(description, quantity, list_net, discount, net, tax, net + tax, rows)


def document(*lines: DocumentLine, **changes: Any) -> ReceiptDocument:
    """A document of these lines; a credit note corrects the invoice before."""
    rows: dict[tuple[str, int], tuple[int, int]] = {}
    for entry in lines:
        for tax in entry.taxes:
            taxable, amount = rows.get((tax.jurisdiction, tax.ppm), (0, 0))
            rows[tax.jurisdiction, tax.ppm] = (taxable + entry.net, amount + tax.amount)
    currency = changes.get("currency", "GBP")
    values: dict[str, Any] = {
        "kind": "invoice",
        "number": "R-GB-2026-000123",
        "issued_at": ISSUED,
        "order_number": "C-2026-000987",
        "seller": SELLER,
        "buyer": BUYER,
        "currency": currency,
        "exponent": currency_of(currency).exponent,
        "locale": "en_GB",
        "lines": lines,
        "taxes": tuple(TaxRow(*key, *figures) for key, figures in rows.items()),
        "net": sum(entry.net for entry in lines),
        "tax": sum(entry.tax for entry in lines),
        "total": sum(entry.gross for entry in lines),
        "payment": "card, pi_3PqR7sT2uVwXyZ",
        "paid_at": ISSUED,
    }
    if changes.get("kind") == "credit_note":
        values |= {"reference": "R-GB-2026-000122", "reference_issued_at": ISSUED}
    return ReceiptDocument(**(values | changes))


def plain() -> ReceiptDocument:
    """An invoice of two courses, one with a discount."""
    return document(
        line("Foundations of Distributed Systems", 4900, discount=490, taxes=UK_VAT),
        line("Seminar: Writing for Engineers (three seats)", 12_000, quantity=3, taxes=UK_VAT),
    )

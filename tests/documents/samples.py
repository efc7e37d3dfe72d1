"""Documents for the tests, from a plain receipt to the odd ones."""

from collections.abc import Sequence
from datetime import UTC, datetime

from integrations.documents.content import (
    DocumentLine,
    DocumentReference,
    LineTax,
    Party,
    PaymentInfo,
    ReceiptDocument,
    tax_table_of,
    totals_of,
)

SELLER = Party("Commerce Academy Ltd", ("1 Learning Street", "London EC1A 1AA"), "GB", "GB123456789")
BUYER = Party("Ada Lovelace", ("12 St James's Square", "London SW1Y 4JH"), "GB", email="ada@example.com")
ISSUED = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def line(
    description: str,
    unit_net: int,
    *,
    quantity: int = 1,
    discount: int = 0,
    taxes: Sequence[tuple[str, int]] = (),
) -> DocumentLine:
    """A line whose taxes are (jurisdiction, rate in ppm) of its net, half up."""
    net = unit_net * quantity - discount
    rows = tuple(LineTax(name, ppm, (2 * net * ppm + 1_000_000) // 2_000_000) for name, ppm in taxes)
    gross = net + sum(row.amount for row in rows)
    return DocumentLine(description, quantity, unit_net, discount, net, rows, gross)


def document(
    *lines: DocumentLine,
    kind: str = "invoice",
    number: str = "R-GB-2026-000123",
    currency: str = "GBP",
    locale: str = "en_GB",
    seller: Party = SELLER,
    buyer: Party = BUYER,
    notes: tuple[str, ...] = (),
) -> ReceiptDocument:
    """A document of these lines; a credit note corrects the invoice before."""
    reference = DocumentReference("R-GB-2026-000122", ISSUED) if kind == "credit_note" else None
    return ReceiptDocument(
        kind=kind,
        number=number,
        issued_at=ISSUED,
        order_number="C-2026-000987",
        seller=seller,
        buyer=buyer,
        currency=currency,
        locale=locale,
        lines=lines,
        totals=totals_of(lines),
        tax_table=tax_table_of(lines),
        payment=PaymentInfo(ISSUED, "card, pi_3PqR7sT2uVwXyZ"),
        notes=notes,
        reference=reference,
    )


UK_VAT = (("GB", 200_000),)


def plain() -> ReceiptDocument:
    """An invoice of two courses, one with a discount."""
    return document(
        line("Foundations of Distributed Systems", 4900, discount=490, taxes=UK_VAT),
        line("Seminar: Writing for Engineers (three seats)", 12_000, quantity=3, taxes=UK_VAT),
    )

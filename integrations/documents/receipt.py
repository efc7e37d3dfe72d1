"""Receipts, invoices and credit notes: immutable JSON in, the same PDF out every time."""

from importlib.metadata import version

from integrations.documents.content import DocumentLine, LineTax, Party, ReceiptDocument, TaxRow
from integrations.documents.decoding import InvalidDocument

__all__ = [
    "RENDERING",
    "DocumentLine",
    "InvalidDocument",
    "LineTax",
    "Party",
    "ReceiptDocument",
    "TaxRow",
    "render_receipt_pdf",
]

# With a change of how documents look, so that no cache takes the old file for the new one.
_LAYOUT = 2
RENDERING = f"{_LAYOUT}-{version('fpdf2')}"
"""Which files two renderings of the same content have in common: part of their ETag."""


def render_receipt_pdf(document: ReceiptDocument) -> bytes:
    """The document as a PDF: the same bytes for the same content, whenever it is asked for.

    Raises InvalidDocument for content that breaks its rules, or has no number yet.
    """
    # Typesetting takes longer to load than the rest of the gateway's clients: with the first document.
    from integrations.documents.rendering import render  # noqa: PLC0415

    return render(document)

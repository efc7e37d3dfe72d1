"""Receipts, invoices and credit notes: immutable JSON in, the same PDF out every time."""

from integrations.documents.content import DocumentLine, LineTax, Party, ReceiptDocument, TaxRow
from integrations.documents.decoding import InvalidDocument
from integrations.documents.rendering import RENDERING, render_receipt_pdf

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

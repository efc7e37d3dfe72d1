"""Receipts, invoices and credit notes: their stored content, and the PDF made of it."""

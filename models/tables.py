"""All tables in one place, for migrations and their test."""

from sqlmodel import SQLModel

from models import access, bookkeeping, books, catalog, credit, messages, payees, people, sales

metadata = SQLModel.metadata

__all__ = [
    "access",
    "bookkeeping",
    "books",
    "catalog",
    "credit",
    "messages",
    "metadata",
    "payees",
    "people",
    "sales",
]

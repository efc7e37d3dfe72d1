"""All tables in one place, for migrations and their test."""

from sqlmodel import SQLModel

from models import (
    access,
    audit,
    bookkeeping,
    books,
    catalog,
    credit,
    disputes,
    messages,
    payees,
    people,
    reconciliation,
    resolutions,
    sales,
    tasks,
)

metadata = SQLModel.metadata

__all__ = [
    "access",
    "audit",
    "bookkeeping",
    "books",
    "catalog",
    "credit",
    "disputes",
    "messages",
    "metadata",
    "payees",
    "people",
    "reconciliation",
    "resolutions",
    "sales",
    "tasks",
]

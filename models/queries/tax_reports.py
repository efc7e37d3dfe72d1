"""Which documents a tax calculator still has to be told of, and what it answered."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from models.database import Session


@dataclass(frozen=True, slots=True)
class TaxReportRow:
    """One report. `lines` are a sale's line items at the calculator by the ordinal of the order line."""

    document_id: str
    order_id: str
    provider_id: str | None
    lines: dict[str, Any] | None
    failure: str | None


_SELECT = "SELECT document_id, order_id, provider_id, lines, failure FROM tax_report "


async def get(session: Session, document_id: str) -> TaxReportRow | None:
    """The report of a document; None when nobody has to be told of it."""
    return await _one(session, "WHERE document_id = :id", document_id)


async def of_sale(session: Session, order_id: str) -> TaxReportRow | None:
    """The report of an order's invoice or receipt."""
    where = (
        "WHERE order_id = :id AND document_id IN "
        "(SELECT id FROM document WHERE kind IN ('invoice', 'receipt') AND order_id = :id "
        "AND refund_id IS NULL)"
    )
    return await _one(session, where, order_id)


async def _one(session: Session, where: str, value: str) -> TaxReportRow | None:
    row = (await session.execute(text(_SELECT + where), {"id": value})).one_or_none()
    if row is None:
        return None
    return TaxReportRow(str(row.document_id), str(row.order_id), row.provider_id, row.lines, row.failure)


async def set_reported(
    session: Session, document_id: str, provider_id: str, lines: dict[str, Any] | None = None
) -> None:
    """The calculator has taken it."""
    await session.execute(
        text(
            "UPDATE tax_report SET provider_id = :provider_id, lines = CAST(:lines AS jsonb), "
            "reported_at = now() WHERE document_id = :id"
        ),
        {
            "id": document_id,
            "provider_id": provider_id,
            "lines": None if lines is None else json.dumps(lines),
        },
    )


async def set_failed(session: Session, document_id: str, failure: str) -> None:
    """The calculator refuses it for good."""
    await session.execute(
        text("UPDATE tax_report SET failure = :failure WHERE document_id = :id"),
        {"id": document_id, "failure": failure},
    )

"""Receipts and credit notes: gapless numbers, immutable JSON."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import text

from models.database import Session

ENTITY = "main"
_PREFIX = {"receipt": "R", "credit_note": "CN"}


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """An issued document: its number and its immutable content."""

    number: str
    kind: str
    body: dict[str, Any]
    sha256: str


async def issue(
    session: Session, *, kind: str, country: str, order_id: str, refund_id: str | None, body: dict[str, Any]
) -> str:
    """Issue the document once and return its number.

    The counter row stays locked until commit: call this last in the transaction, so that numbers are
    gapless and nobody waits long.
    """
    existing = await of_order(session, order_id, kind, refund_id)
    if existing is not None:
        return existing.number
    today = datetime.now(UTC).date()
    serial = int(
        (
            await session.execute(
                text(
                    "INSERT INTO document_counter (entity, country, kind, fiscal_year, last_serial) "
                    "VALUES (:entity, :country, :kind, :year, 1) "
                    "ON CONFLICT (entity, country, kind, fiscal_year) "
                    "DO UPDATE SET last_serial = document_counter.last_serial + 1 RETURNING last_serial"
                ),
                {"entity": ENTITY, "country": country, "kind": kind, "year": today.year},
            )
        ).scalar_one()
    )
    number = f"{_PREFIX[kind]}-{country}-{today.year}-{serial:06d}"
    await _insert(session, kind, country, order_id, refund_id, serial, number, today, body)
    return number


async def _insert(
    session: Session,
    kind: str,
    country: str,
    order_id: str,
    refund_id: str | None,
    serial: int,
    number: str,
    today: date,
    body: dict[str, Any],
) -> None:
    complete = json.dumps({**body, "number": number}, sort_keys=True, separators=(",", ":"))
    await session.execute(
        text(
            "INSERT INTO document (entity, country, kind, fiscal_year, serial, number, order_id, "
            "refund_id, issued_on, body, sha256) VALUES (:entity, :country, :kind, :year, :serial, "
            ":number, :order_id, CAST(:refund_id AS uuid), :today, CAST(:body AS jsonb), :sha256)"
        ),
        {
            "entity": ENTITY,
            "country": country,
            "kind": kind,
            "year": today.year,
            "serial": serial,
            "number": number,
            "order_id": order_id,
            "refund_id": refund_id,
            "today": today,
            "body": complete,
            "sha256": hashlib.sha256(complete.encode()).hexdigest(),
        },
    )


async def of_order(
    session: Session, order_id: str, kind: str, refund_id: str | None = None
) -> DocumentRow | None:
    """The order's receipt, or the credit note of one of its refunds."""
    row = (
        await session.execute(
            text(
                "SELECT * FROM document WHERE order_id = :order_id AND kind = :kind "
                "AND refund_id IS NOT DISTINCT FROM CAST(:refund_id AS uuid)"
            ),
            {"order_id": order_id, "kind": kind, "refund_id": refund_id},
        )
    ).one_or_none()
    return None if row is None else DocumentRow(row.number, row.kind, row.body, row.sha256)

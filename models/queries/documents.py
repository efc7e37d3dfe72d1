"""Invoices, receipts and credit notes: gapless numbers, immutable JSON."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from models.database import Session

ENTITY = "main"
SALE_KINDS = ("invoice", "receipt")
_PREFIX = {"invoice": "INV", "receipt": "R", "credit_note": "CN"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A document that is to be issued; its body has an empty `number`.

    A document of the sale names neither refund nor dispute, nor does the credit note of a payment that the
    bank returned. `country` is where the sale is taxed: each has series of its own. The fiscal year is the
    calendar year of the body's `issued_at`, in UTC.
    """

    kind: str
    country: str
    order_id: str
    body: dict[str, Any]
    refund_id: str | None = None
    dispute_id: str | None = None

    @property
    def series(self) -> tuple[str, str]:
        """What decides the counter, besides the year."""
        return self.country, self.kind


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """An issued document: its number and its immutable content, whose `number` is filled in."""

    id: str
    number: str
    kind: str
    country: str
    order_id: str
    refund_id: str | None
    dispute_id: str | None
    body: dict[str, Any]
    sha256: str
    user_id: str

    @property
    def corrects(self) -> str | None:
        """The number of the document that it corrects; None for the document of the sale."""
        number: str | None = self.body["reference"]
        return number

    @property
    def is_unchanged(self) -> bool:
        """Whether the content still has the hash that it was issued with."""
        return hashlib.sha256(canonical(self.body).encode()).hexdigest() == self.sha256


def canonical(body: Mapping[str, Any]) -> str:
    """The text that is hashed: sorted names, no spaces, ASCII."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


# One statement, so that the counter's row is locked for no longer than the commit takes. A document that
# is there already takes no number; two at once meet at the unique key, and the second takes none either.
_ISSUE = """
WITH given AS (
    SELECT CAST(:entity AS text) AS entity, CAST(:country AS text) AS country, CAST(:kind AS text) AS kind,
        CAST(:issued_on AS date) AS issued_on, CAST(:year AS integer) AS fiscal_year,
        CAST(:order_id AS uuid) AS order_id, CAST(:refund_id AS uuid) AS refund_id,
        CAST(:dispute_id AS uuid) AS dispute_id
), next AS (
    INSERT INTO document_counter (entity, country, kind, fiscal_year, last_serial)
    SELECT entity, country, kind, fiscal_year, 1 FROM given WHERE NOT EXISTS (
        SELECT FROM document d WHERE d.kind = given.kind AND d.order_id = given.order_id
        AND d.refund_id IS NOT DISTINCT FROM given.refund_id
        AND d.dispute_id IS NOT DISTINCT FROM given.dispute_id
    )
    ON CONFLICT (entity, country, kind, fiscal_year)
    DO UPDATE SET last_serial = document_counter.last_serial + 1
    RETURNING last_serial AS serial
), numbered AS (
    SELECT given.*, serial, CAST(:prefix AS text) || '-' || country || '-' || fiscal_year || '-'
        || lpad(serial::text, greatest(6, length(serial::text)), '0') AS number
    FROM given, next
), worded AS (
    SELECT numbered.*, CAST(:before AS text) || number || CAST(:after AS text) AS body FROM numbered
), issued AS (
    INSERT INTO document (entity, country, kind, fiscal_year, serial, number, order_id, refund_id, dispute_id,
                          issued_on, body, sha256)
    SELECT entity, country, kind, fiscal_year, serial, number, order_id, refund_id, dispute_id, issued_on,
        CAST(body AS jsonb), encode(sha256(convert_to(body, 'UTF8')), 'hex')
    FROM worded RETURNING id, order_id, number
), report AS (
    INSERT INTO tax_report (document_id, order_id)
    SELECT issued.id, o.id FROM issued JOIN orders o ON o.id = issued.order_id
    WHERE o.taxation->>'calculation_id' IS NOT NULL RETURNING document_id
)
SELECT issued.number, report.document_id AS report FROM issued LEFT JOIN report ON true
"""


@dataclass(frozen=True, slots=True)
class Issued:
    """The number of a new document; `report` is its id when a tax calculator has to be told of it."""

    number: str
    report: str | None


async def issue(session: Session, draft: Draft) -> Issued | None:
    """Issue the document under the next number, unless it was issued before.

    The counter's row stays locked until commit: let this be the last statement of the transaction, so that
    numbers are gapless and nobody waits long.
    """
    issued_on = datetime.fromisoformat(draft.body["issued_at"]).date()
    before, after = canonical({**draft.body, "number": ""}).split('"number":""')
    found = await session.execute(
        text(_ISSUE),
        {
            "entity": ENTITY,
            "country": draft.country,
            "kind": draft.kind,
            "year": issued_on.year,
            "order_id": draft.order_id,
            "refund_id": draft.refund_id,
            "dispute_id": draft.dispute_id,
            "prefix": _PREFIX[draft.kind],
            "before": f'{before}"number":"',
            "after": f'"{after}',
            "issued_on": issued_on,
        },
    )
    row = found.one_or_none()
    if row is None:
        return None
    return Issued(row.number, None if row.report is None else str(row.report))


_SELECT = "SELECT d.*, o.user_id FROM document d JOIN orders o ON o.id = d.order_id "


def _row(row: Row[Any]) -> DocumentRow:
    return DocumentRow(
        id=str(row.id),
        number=row.number,
        kind=row.kind,
        country=row.country,
        order_id=str(row.order_id),
        refund_id=None if row.refund_id is None else str(row.refund_id),
        dispute_id=None if row.dispute_id is None else str(row.dispute_id),
        body=row.body,
        sha256=row.sha256,
        user_id=str(row.user_id),
    )


async def get(session: Session, document_id: str) -> DocumentRow | None:
    """One document."""
    row = (await session.execute(text(_SELECT + "WHERE d.id = :id"), {"id": document_id})).one_or_none()
    return None if row is None else _row(row)


async def of_order(session: Session, order_id: str) -> list[DocumentRow]:
    """All documents of an order, oldest first."""
    rows = await session.execute(text(_SELECT + "WHERE d.order_id = :id ORDER BY d.id"), {"id": order_id})
    return [_row(row) for row in rows]


async def of_sale(session: Session, order_id: str) -> DocumentRow | None:
    """The order's invoice or receipt."""
    row = (
        await session.execute(
            text(_SELECT + "WHERE d.order_id = :id AND d.kind = ANY(:kinds) AND d.refund_id IS NULL"),
            {"id": order_id, "kinds": list(SALE_KINDS)},
        )
    ).one_or_none()
    return None if row is None else _row(row)


async def credit_note_of(session: Session, refund_id: str) -> DocumentRow | None:
    """The credit note of a refund."""
    query = text(_SELECT + "WHERE d.refund_id = :id AND d.kind = 'credit_note'")
    row = (await session.execute(query, {"id": refund_id})).one_or_none()
    return None if row is None else _row(row)


async def changed(session: Session) -> AsyncIterator[DocumentRow]:
    """Every document whose content has not the hash that it was issued with: somebody changed it."""
    rows = await session.stream(text(_SELECT + "ORDER BY d.id"))
    async for row in rows:
        document = _row(row)
        if not document.is_unchanged:
            yield document

"""Affiliates: who is paid for bringing sales."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.errors import Conflict
from models.database import Session


@dataclass(frozen=True, slots=True)
class AffiliateRow:
    """One affiliate; front ends know the code, the ledger the payee."""

    id: str
    code: str
    payee: str
    active: bool
    created_at: datetime


def _affiliate(row: Row[Any]) -> AffiliateRow:
    return AffiliateRow(str(row.id), row.code, row.payee_ref, row.active, row.created_at)


async def insert(session: Session, affiliate_id: str, *, code: str, payee: str) -> None:
    """Add an affiliate; Conflict when the code is taken."""
    made = (
        await session.execute(
            text(
                "INSERT INTO affiliate (id, code, payee_ref) VALUES (:id, :code, :payee) "
                "ON CONFLICT DO NOTHING RETURNING id"
            ),
            {"id": affiliate_id, "code": code, "payee": payee},
        )
    ).one_or_none()
    if made is None and await get(session, affiliate_id) is None:
        raise Conflict("another affiliate has this code", code="code_taken")


async def set_active(session: Session, affiliate_id: str, *, active: bool) -> None:
    """Whether new sales may name the affiliate; sales that did keep their snapshots."""
    await session.execute(
        text("UPDATE affiliate SET active = :active WHERE id = :id"), {"id": affiliate_id, "active": active}
    )


async def get(session: Session, affiliate_id: str, *, lock: bool = False) -> AffiliateRow | None:
    """One affiliate; locked for a change."""
    statement = "SELECT * FROM affiliate WHERE id = :id" + (" FOR UPDATE" if lock else "")
    row = (await session.execute(text(statement), {"id": affiliate_id})).one_or_none()
    return None if row is None else _affiliate(row)


async def by_code(session: Session, code: str) -> AffiliateRow | None:
    """One affiliate by its code."""
    row = (
        await session.execute(text("SELECT * FROM affiliate WHERE code = :code"), {"code": code})
    ).one_or_none()
    return None if row is None else _affiliate(row)


async def page(session: Session, *, before: str | None, limit: int) -> list[AffiliateRow]:
    """Newest first, keyset."""
    rows = await session.execute(
        text(
            "SELECT * FROM affiliate WHERE CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid) "
            "ORDER BY id DESC LIMIT :limit"
        ),
        {"before": before, "limit": limit},
    )
    return [_affiliate(row) for row in rows]

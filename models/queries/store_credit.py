"""Store credit: what a user has by the ledger, less what open orders reserve; and who was given it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from models.database import Session


async def lock(session: Session, user_id: str) -> None:
    """Have nobody else reserve this user's credit until the commit.

    Taken before seats and promotions. The row itself does not change: orders can still be made for the user.
    """
    await session.execute(
        text("SELECT id FROM commerce_user WHERE id = :id FOR NO KEY UPDATE"), {"id": user_id}
    )


@dataclass(frozen=True, slots=True)
class CreditBalance:
    """A user's credit in one currency, minor units; `reserved` pays for orders whose payment is open."""

    currency: str
    balance: int
    reserved: int

    @property
    def available(self) -> int:
        """What a new order may use."""
        return self.balance - self.reserved


async def balances(session: Session, user_id: str) -> list[CreditBalance]:
    """By currency. One statement: an order that is being paid counts once, as reserved or as spent."""
    rows = await session.execute(
        text(
            "SELECT currency, sum(balance) AS balance, sum(reserved) AS reserved FROM ("
            "SELECT currency, -sum(amount) AS balance, 0 AS reserved FROM posting "
            "WHERE account = '2330' AND sub = :user_id GROUP BY 1 UNION ALL "
            "SELECT currency, 0, sum(store_credit) FROM orders WHERE user_id = CAST(:user_id AS uuid) "
            "AND store_credit > 0 AND payment_state IN ('pending', 'processing') GROUP BY 1) c "
            "GROUP BY 1 ORDER BY 1"
        ),
        {"user_id": user_id},
    )
    return [CreditBalance(row.currency, int(row.balance), int(row.reserved)) for row in rows]


async def available(session: Session, user_id: str, currency: str) -> int:
    """What a new order in this currency may use, minor units; hold the lock to rely on it."""
    return next((b.available for b in await balances(session, user_id) if b.currency == currency), 0)


@dataclass(frozen=True, slots=True)
class GrantRow:
    """Credit that was given; amount in minor units."""

    id: str
    user_id: str
    order_id: str | None
    currency: str
    amount: int
    reason: str
    requested_by: str
    created_at: datetime


def _grant(row: Row[Any]) -> GrantRow:
    return GrantRow(
        str(row.id),
        str(row.user_id),
        None if row.order_id is None else str(row.order_id),
        row.currency,
        row.amount,
        row.reason,
        str(row.requested_by),
        row.created_at,
    )


async def insert_grant(session: Session, grant: dict[str, Any]) -> None:
    """Keep who was given credit, and why; the keys are the columns."""
    await session.execute(
        text(
            "INSERT INTO store_credit_grant (id, user_id, order_id, currency, amount, reason, requested_by) "
            "VALUES (:id, :user_id, CAST(:order_id AS uuid), :currency, :amount, :reason, :requested_by)"
        ),
        grant,
    )


async def grant(session: Session, grant_id: str) -> GrantRow | None:
    """One grant."""
    row = (
        await session.execute(text("SELECT * FROM store_credit_grant WHERE id = :id"), {"id": grant_id})
    ).one_or_none()
    return None if row is None else _grant(row)


async def grants_of_order(session: Session, order_id: str) -> list[GrantRow]:
    """What was given for an order, oldest first."""
    rows = await session.execute(
        text("SELECT * FROM store_credit_grant WHERE order_id = :id ORDER BY id"), {"id": order_id}
    )
    return [_grant(row) for row in rows]


@dataclass(frozen=True, slots=True)
class CreditEntry:
    """A change of a user's credit; `amount` in minor units, positive when it grew."""

    id: str
    at: datetime
    kind: str
    currency: str
    amount: int
    order_id: str | None


async def entries(session: Session, user_id: str, *, before: str | None, limit: int) -> list[CreditEntry]:
    """Every change of the balance, from the ledger; newest first, keyset."""
    rows = await session.execute(
        text(
            "SELECT e.id, e.recorded_at, e.kind, p.currency, -p.amount AS amount, "
            "e.order_id "
            "FROM posting p JOIN journal_entry e ON e.id = p.entry_id "
            "WHERE p.account = '2330' AND p.sub = :user_id "
            "AND (CAST(:before AS uuid) IS NULL OR e.id < CAST(:before AS uuid)) "
            "ORDER BY e.id DESC LIMIT :limit"
        ),
        {"user_id": user_id, "before": before, "limit": limit},
    )
    return [
        CreditEntry(
            str(row.id),
            row.recorded_at,
            row.kind,
            row.currency,
            int(row.amount),
            None if row.order_id is None else str(row.order_id),
        )
        for row in rows
    ]

"""Payments, one per payment intent."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from models.database import Session


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """One payment intent of an order."""

    id: str
    order_id: str
    user_id: str
    attempt: int
    intent_id: str | None
    status: str
    amount: int
    currency: str
    charge_id: str | None
    applied: bool
    failure_code: str | None
    failure_message: str | None
    created_at: datetime
    succeeded_at: datetime | None


# The status of a payment that succeeded and was returned by the bank; all others are the processor's.
FAILED_LATE = "failed"

_SELECT = "SELECT p.*, o.user_id FROM payment p JOIN orders o ON o.id = p.order_id "


def _payment(row: Row[Any]) -> PaymentRow:
    return PaymentRow(
        id=str(row.id),
        order_id=str(row.order_id),
        user_id=str(row.user_id),
        attempt=row.attempt,
        intent_id=row.intent_id,
        status=row.status,
        amount=row.amount,
        currency=row.currency,
        charge_id=row.charge_id,
        applied=row.applied,
        failure_code=row.failure_code,
        failure_message=row.failure_message,
        created_at=row.created_at,
        succeeded_at=row.succeeded_at,
    )


async def begin_attempt(session: Session, order_id: str, amount: int, currency: str) -> PaymentRow:
    """The payment to make an intent for: the open one, or a new attempt, counted before the call."""
    await session.execute(
        text(
            "INSERT INTO payment (order_id, attempt, status, amount, currency) "
            "VALUES (:order_id, 1, 'creating', :amount, :currency) ON CONFLICT DO NOTHING"
        ),
        {"order_id": order_id, "amount": amount, "currency": currency},
    )
    await session.execute(
        text("UPDATE orders SET intent_attempts = greatest(intent_attempts, 1) WHERE id = :id"),
        {"id": order_id},
    )
    row = (
        await session.execute(
            text(_SELECT + "WHERE p.order_id = :id ORDER BY p.attempt DESC LIMIT 1"), {"id": order_id}
        )
    ).one()
    return _payment(row)


async def set_intent(session: Session, payment_id: str, intent_id: str, status: str) -> None:
    """Attach the intent that the processor made; a webhook may have been quicker."""
    await session.execute(
        text(
            "UPDATE payment SET intent_id = :intent, "
            "status = CASE WHEN status = 'creating' THEN :status ELSE status END WHERE id = :id"
        ),
        {"id": payment_id, "intent": intent_id, "status": status},
    )


async def of_intent(
    session: Session, order_id: str, intent_id: str, amount: int, currency: str
) -> PaymentRow:
    """The payment of this intent, locked. An intent that we never heard of gets a row of its own, unless
    the one being created is still without an intent: then that is the one."""
    await session.execute(
        text(
            "UPDATE payment SET intent_id = :intent WHERE order_id = :order_id AND intent_id IS NULL "
            "AND NOT EXISTS (SELECT FROM payment WHERE intent_id = :intent)"
        ),
        {"intent": intent_id, "order_id": order_id},
    )
    await session.execute(
        text(
            "INSERT INTO payment (order_id, attempt, intent_id, status, amount, currency) "
            "SELECT :order_id, coalesce(max(attempt), 0) + 1, CAST(:intent AS varchar), 'created', "
            "CAST(:amount AS bigint), CAST(:currency AS varchar) "
            "FROM payment WHERE order_id = :order_id ON CONFLICT (intent_id) DO NOTHING"
        ),
        {"order_id": order_id, "intent": intent_id, "amount": amount, "currency": currency},
    )
    row = (
        await session.execute(
            text(_SELECT + "WHERE p.intent_id = :intent FOR UPDATE OF p"), {"intent": intent_id}
        )
    ).one()
    return _payment(row)


async def set_status(
    session: Session, payment_id: str, status: str, *, failure_code: str | None, failure_message: str | None
) -> None:
    """Follow the processor, never backwards from succeeded."""
    await session.execute(
        text(
            "UPDATE payment SET status = :status, failure_code = :code, failure_message = :message "
            "WHERE id = :id AND status NOT IN ('succeeded', 'failed')"
        ),
        {"id": payment_id, "status": status, "code": failure_code, "message": failure_message},
    )


async def set_succeeded(
    session: Session, payment_id: str, *, charge_id: str | None, amount: int, currency: str, applied: bool
) -> None:
    """The processor has the money. `applied`: it pays for the order; at most one payment does."""
    await session.execute(
        text(
            "UPDATE payment SET status = 'succeeded', charge_id = :charge, amount = :amount, "
            "currency = :currency, applied = :applied, succeeded_at = now(), failure_code = NULL, "
            "failure_message = NULL WHERE id = :id"
        ),
        {
            "id": payment_id,
            "charge": charge_id,
            "amount": amount,
            "currency": currency,
            "applied": applied,
        },
    )


async def set_failed_late(
    session: Session, payment_id: str, *, failure_code: str | None, failure_message: str | None
) -> None:
    """The bank returned a payment that had succeeded; what it paid for is known by it still."""
    await session.execute(
        text(
            "UPDATE payment SET status = 'failed', failure_code = :code, failure_message = :message "
            "WHERE id = :id"
        ),
        {"id": payment_id, "code": failure_code, "message": failure_message},
    )


async def of_order(session: Session, order_id: str) -> list[PaymentRow]:
    """All payments of an order, oldest first."""
    rows = await session.execute(
        text(_SELECT + "WHERE p.order_id = :id ORDER BY p.attempt"), {"id": order_id}
    )
    return [_payment(row) for row in rows]


async def by_intent(session: Session, intent_id: str) -> PaymentRow | None:
    """The payment of this intent; None for an intent that is not ours."""
    row = (await session.execute(text(_SELECT + "WHERE p.intent_id = :id"), {"id": intent_id})).one_or_none()
    return None if row is None else _payment(row)


async def get(session: Session, payment_id: str) -> PaymentRow | None:
    """One payment."""
    row = (await session.execute(text(_SELECT + "WHERE p.id = :id"), {"id": payment_id})).one_or_none()
    return None if row is None else _payment(row)


async def page(session: Session, *, user_id: str | None, before: str | None, limit: int) -> list[PaymentRow]:
    """Newest first, keyset."""
    rows = await session.execute(
        text(
            _SELECT + "WHERE (CAST(:user_id AS uuid) IS NULL OR o.user_id = CAST(:user_id AS uuid)) "
            "AND (CAST(:before AS uuid) IS NULL OR p.id < CAST(:before AS uuid)) "
            "ORDER BY p.id DESC LIMIT :limit"
        ),
        {"user_id": user_id, "before": before, "limit": limit},
    )
    return [_payment(row) for row in rows]


async def succeeded_intents(session: Session) -> dict[str, tuple[int, str]]:
    """Intents that we hold to have succeeded, with amount and currency."""
    rows = await session.execute(
        text("SELECT intent_id, amount, currency FROM payment WHERE status = 'succeeded'")
    )
    return {row.intent_id: (row.amount, row.currency) for row in rows}


async def returned_intents(session: Session) -> set[str]:
    """Intents whose money the bank took back: the cash tells of them, whatever the processor calls them."""
    rows = await session.execute(text("SELECT intent_id FROM payment WHERE status = 'failed'"))
    return {row.intent_id for row in rows}


async def our_intents(session: Session) -> set[str]:
    """Ids of all our intents at the processor."""
    rows = await session.execute(text("SELECT intent_id FROM payment"))
    return {row.intent_id for row in rows}

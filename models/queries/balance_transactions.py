"""The processor's balance transactions, and the journal entry that stands for each of their parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text

from domain.accounts import Account
from domain.reconciliation import BalanceTransaction, Part, Standing
from models.database import Session
from models.queries.ledger import ENTITY

_COLUMNS = (
    "id, reporting_category, amount, fee, net, currency, source, source_amount, source_currency, "
    "intent_id, refund_id, order_id, standing, available_on, created_at"
)
_NEWEST_SEEN = ", ".join(
    f"{name} = excluded.{name}" for name in _COLUMNS.split(", ") if name not in ("id", "order_id")
)


def _transaction(row: Row[Any]) -> BalanceTransaction:
    return BalanceTransaction(
        id=row.id,
        amount=row.amount,
        fee=row.fee,
        net=row.net,
        currency=row.currency,
        reporting_category=row.reporting_category,
        source=row.source,
        created=row.created_at,
        available_on=row.available_on,
        source_amount=row.source_amount,
        source_currency=row.source_currency,
        intent_id=row.intent_id,
        order_id=None if row.order_id is None else str(row.order_id),
        refund_id=row.refund_id,
    )


async def store(session: Session, given: BalanceTransaction, standing: Standing) -> None:
    """Keep a balance transaction as the processor tells it, and lock its row."""
    await session.execute(
        text(
            f"INSERT INTO balance_transaction ({_COLUMNS}) VALUES (:id, :reporting_category, :amount, :fee, "
            ":net, :currency, :source, :source_amount, :source_currency, :intent_id, :refund_id, "
            "CAST(:order_id AS uuid), :standing, :available_on, :created_at) ON CONFLICT (id) DO UPDATE "
            f"SET {_NEWEST_SEEN}, order_id = coalesce(excluded.order_id, balance_transaction.order_id)"
        ),
        {
            "id": given.id,
            "reporting_category": given.reporting_category,
            "amount": given.amount,
            "fee": given.fee,
            "net": given.net,
            "currency": given.currency,
            "source": given.source,
            "source_amount": given.source_amount,
            "source_currency": given.source_currency,
            "intent_id": given.intent_id,
            "refund_id": given.refund_id,
            "order_id": given.order_id,
            "standing": standing,
            "available_on": given.available_on,
            "created_at": given.created,
        },
    )


async def get(session: Session, transaction_id: str) -> BalanceTransaction | None:
    """One, as the processor told it."""
    row = (
        await session.execute(
            text("SELECT * FROM balance_transaction WHERE id = :id"), {"id": transaction_id}
        )
    ).one_or_none()
    return None if row is None else _transaction(row)


async def order_exists(session: Session, order_id: str) -> bool:
    """Whether the order that a transaction names is here."""
    found = await session.execute(
        text("SELECT EXISTS (SELECT FROM orders WHERE id = CAST(:id AS uuid))"), {"id": order_id}
    )
    return bool(found.scalar_one())


@dataclass(frozen=True, slots=True)
class IntentUse:
    """What became of a payment intent: `applied` pays for its order, else its money was set apart."""

    order_id: str
    applied: bool


async def use_of_intent(session: Session, intent_id: str | None) -> IntentUse | None:
    """None while no payment has succeeded under it."""
    row = (
        await session.execute(
            text(
                "SELECT order_id, applied FROM payment WHERE intent_id = :intent "
                "AND status IN ('succeeded', 'failed')"
            ),
            {"intent": intent_id},
        )
    ).one_or_none()
    return None if row is None else IntentUse(str(row.order_id), row.applied)


async def refund_of(session: Session, provider_id: str | None, refund_id: str | None) -> str | None:
    """Our refund, by the processor's id, or by the id in its metadata; None when there is none."""
    found = await session.execute(
        text(
            "SELECT id FROM refund WHERE provider_refund_id = :provider_id OR id::text = :refund_id "
            "ORDER BY (provider_refund_id = :provider_id) DESC NULLS LAST LIMIT 1"
        ),
        {"provider_id": provider_id, "refund_id": refund_id},
    )
    value = found.scalar_one_or_none()
    return None if value is None else str(value)


async def entry_for(session: Session, transaction_id: str, part: Part, keys: Sequence[str]) -> str | None:
    """The entry of this part: the one matched before, else the first under `keys` that stands for nothing
    else. It is matched with the part from now on."""
    matched = await session.execute(
        text("SELECT entry_id FROM balance_match WHERE transaction_id = :id AND part = :part"),
        {"id": transaction_id, "part": part},
    )
    known = matched.scalar_one_or_none()
    if known is not None:
        return str(known)
    taken = await session.execute(
        text(
            "INSERT INTO balance_match (transaction_id, part, entry_id) "
            "SELECT :id, :part, e.id FROM journal_entry e "
            "WHERE e.entity = :entity AND e.event_key = ANY(:keys) "
            "AND NOT EXISTS (SELECT FROM balance_match m WHERE m.entry_id = e.id) "
            "ORDER BY array_position(CAST(:keys AS text[]), e.event_key::text) LIMIT 1 "
            "ON CONFLICT DO NOTHING RETURNING entry_id"
        ),
        {"id": transaction_id, "part": part, "entity": ENTITY, "keys": list(keys)},
    )
    value = taken.scalar_one_or_none()
    return None if value is None else str(value)


async def cash_of(session: Session, entry_id: str) -> dict[str, int]:
    """What an entry moves on 1010, minor units by currency."""
    rows = await session.execute(
        text(
            "SELECT currency, sum(amount) AS amount FROM posting "
            "WHERE entry_id = CAST(:id AS uuid) AND account = :cash GROUP BY currency"
        ),
        {"id": entry_id, "cash": Account.PROCESSOR_CLEARING},
    )
    return {row.currency: int(row.amount) for row in rows}

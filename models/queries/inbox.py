"""The inbox: verified inbound events, stored before anything acts on them."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.messages import PaymentEvent, StoredEvent
from models.database import Session

STRIPE = "stripe"
LMS = "lms"
PAYOUT = "payout"
# Cursors of the processor's list: read when it is new, and once more for what appears in it late.
READ_SOON = STRIPE
READ_LATE = "stripe/late"


def _event(row: Row[Any]) -> StoredEvent:
    order_id = None if row.order_id is None else str(row.order_id)
    return StoredEvent(
        str(row.id), row.source, row.type, order_id, row.payload, dispatched=row.dispatched_at is not None
    )


def _named_order(subject: dict[str, Any]) -> str | None:
    metadata = subject.get("metadata")
    order_id = metadata.get("order_id") if isinstance(metadata, dict) else None
    try:
        return str(UUID(order_id)) if isinstance(order_id, str) else None
    except ValueError:
        return None


async def resolve_order(session: Session, subject: dict[str, Any]) -> str | None:
    """The order that a Stripe object is about: by its metadata, or else by its payment intent, for what was
    made in the processor's dashboard and for disputes.

    None for a foreign object: others may share the account, and give their objects metadata like ours.
    """
    intent = subject.get("payment_intent")
    intent_id = intent.get("id") if isinstance(intent, dict) else intent
    found = await session.execute(
        text(
            "SELECT id FROM orders WHERE id = CAST(:named AS uuid) UNION ALL "
            "SELECT order_id FROM payment WHERE CAST(:named AS uuid) IS NULL AND intent_id = :intent"
        ),
        {"named": _named_order(subject), "intent": intent_id if isinstance(intent_id, str) else None},
    )
    row = found.first()
    return None if row is None else str(row.id)


async def store(session: Session, source: str, event: dict[str, Any], order_id: str | None) -> StoredEvent:
    """Insert if new, and return the row either way (`dispatched` tells whether it was acted on)."""
    identity = {"source": source, "event_id": str(event["id"])}
    inserted = await session.execute(
        text(
            "INSERT INTO inbound_event (source, event_id, type, payload, order_id) "
            "VALUES (:source, :event_id, :type, CAST(:payload AS jsonb), CAST(:order_id AS uuid)) "
            "ON CONFLICT (source, event_id) DO NOTHING RETURNING *"
        ),
        {**identity, "type": str(event["type"]), "payload": json.dumps(event), "order_id": order_id},
    )
    row = inserted.one_or_none()
    if row is None:
        known_before = await session.execute(
            text("SELECT * FROM inbound_event WHERE source = :source AND event_id = :event_id"), identity
        )
        row = known_before.one()
    return _event(row)


async def mark_dispatched(session: Session, inbox_id: str, outcome: str) -> None:
    """Remember that the event reached its workflow, and which."""
    await session.execute(
        text("UPDATE inbound_event SET dispatched_at = now(), outcome = :outcome WHERE id = :id"),
        {"id": inbox_id, "outcome": outcome},
    )


async def payload(session: Session, inbox_id: str) -> dict[str, Any]:
    """The event as it came."""
    value = (
        await session.execute(text("SELECT payload FROM inbound_event WHERE id = :id"), {"id": inbox_id})
    ).scalar_one()
    return dict(value)


async def leftovers(
    session: Session, after: StoredEvent | None = None, limit: int = 200
) -> list[StoredEvent]:
    """The next events that were stored but never dispatched, in order of arrival."""
    rows = await session.execute(
        text(
            "SELECT * FROM inbound_event WHERE dispatched_at IS NULL "
            "AND received_at < now() - interval '2 seconds' AND (CAST(:after AS uuid) IS NULL "
            "OR (received_at, id) > (SELECT e.received_at, e.id FROM inbound_event e WHERE e.id = :after)) "
            "ORDER BY received_at, id LIMIT :limit"
        ),
        {"after": None if after is None else after.inbox_id, "limit": limit},
    )
    return [_event(row) for row in rows]


async def read_until(session: Session, cursor: str) -> datetime | None:
    """How far a source's own list of events has been read."""
    return (
        await session.execute(
            text("SELECT read_until FROM inbox_cursor WHERE source = :source"), {"source": cursor}
        )
    ).scalar_one_or_none()


async def set_read_until(session: Session, cursor: str, until: datetime) -> None:
    """Move the cursor of a source's own list on; never back."""
    await session.execute(
        text(
            "INSERT INTO inbox_cursor (source, read_until) VALUES (:source, :until) ON CONFLICT (source) "
            "DO UPDATE SET read_until = greatest(inbox_cursor.read_until, excluded.read_until)"
        ),
        {"source": cursor, "until": until},
    )


async def known(session: Session, source: str, event_ids: Sequence[str]) -> set[str]:
    """Those of the events that were stored already."""
    rows = await session.execute(
        text("SELECT event_id FROM inbound_event WHERE source = :source AND event_id = ANY(:ids)"),
        {"source": source, "ids": list(event_ids)},
    )
    return {row.event_id for row in rows}


async def is_dispatched(session: Session, inbox_id: str) -> bool:
    """Whether somebody has sent the event to its workflow, perhaps since it was read."""
    found = await session.execute(
        text("SELECT dispatched_at IS NOT NULL FROM inbound_event WHERE id = :id"), {"id": inbox_id}
    )
    return bool(found.scalar_one())


async def succeeded_intent(session: Session, intent_id: str) -> dict[str, Any] | None:
    """The payment intent of a stored `payment_intent.succeeded`."""
    value = (
        await session.execute(
            text(
                "SELECT payload->'data'->'object' FROM inbound_event WHERE source = 'stripe' "
                "AND type = 'payment_intent.succeeded' AND payload->'data'->'object'->>'id' = :id "
                "ORDER BY received_at LIMIT 1"
            ),
            {"id": intent_id},
        )
    ).scalar_one_or_none()
    return None if value is None else dict(value)


async def seconds_since_decline(session: Session, user_id: str, nth_last: int) -> float | None:
    """How long ago the nth last payment of a user was declined; None when it never came to that."""
    found = await session.execute(
        text(
            "SELECT extract(epoch FROM now() - e.received_at) FROM inbound_event e "
            "JOIN orders o ON o.id = e.order_id WHERE o.user_id = :user AND e.source = 'stripe' "
            "AND e.type = 'payment_intent.payment_failed' ORDER BY e.received_at DESC OFFSET :n LIMIT 1"
        ),
        {"user": user_id, "n": nth_last - 1},
    )
    seconds = found.scalar_one_or_none()
    return None if seconds is None else float(seconds)


async def unapplied_successes(session: Session, order_id: str) -> list[PaymentEvent]:
    """Stored successes of the order's intents that no payment row has taken in."""
    rows = await session.execute(
        text(
            "SELECT e.id, e.payload->'data'->'object'->>'id' AS intent_id FROM inbound_event e "
            "WHERE e.order_id = :id AND e.source = 'stripe' AND e.type = 'payment_intent.succeeded' "
            "AND NOT EXISTS (SELECT FROM payment p WHERE p.status IN ('succeeded', 'failed') "
            "AND p.intent_id = e.payload->'data'->'object'->>'id') ORDER BY e.received_at"
        ),
        {"id": order_id},
    )
    return [PaymentEvent(str(row.id), "payment_intent.succeeded", row.intent_id) for row in rows]

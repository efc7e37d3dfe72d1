"""What is kept for a time only. Each statement takes a batch of the oldest and says how many that were."""

from sqlalchemy import text

from models.database import Session
from models.queries.idempotency import KEPT_HOURS

BATCH = 1000

# Of an event's object what identifies it, its money and its state: enough to recover from, and to look up.
# Names, addresses, cards, evidence and what others put into their metadata go.
_KEPT_OF_OBJECT = [
    *("id", "object", "status", "reason", "created", "livemode"),
    *("amount", "amount_received", "amount_refunded", "currency"),
    *("payment_intent", "charge", "latest_charge", "balance_transaction", "failure_balance_transaction"),
]
_KEPT_OF_METADATA = ["order_id", "refund_id"]
_KEPT_OF_DATA = [
    "payout_id",
    "payee_ref",
    "currency",
    "amount",
    "user_id",
    "course_id",
    "completed_at",
    "revoked_at",
]


async def purge_answers(session: Session) -> int:
    """Delete idempotency keys whose time is over, but for those that a request holds now."""
    done = await session.execute(
        text(
            "DELETE FROM idempotency_record WHERE (caller, key) IN (SELECT caller, key "
            "FROM idempotency_record WHERE created_at < now() - make_interval(hours => :hours) "
            "ORDER BY created_at LIMIT :batch FOR UPDATE SKIP LOCKED) RETURNING key"
        ),
        {"hours": KEPT_HOURS, "batch": BATCH},
    )
    return len(done.all())


async def purge_attempts(session: Session, days: int) -> int:
    """Delete the log of attempts at deliveries, and the answers that their deliveries remember.

    The last attempt that a receiver took stays: by it we know since when it takes nothing.
    """
    done = await session.execute(
        text(
            "WITH gone AS (DELETE FROM webhook_attempt WHERE id IN (SELECT a.id FROM webhook_attempt a "
            "WHERE a.created_at < now() - make_interval(days => :days) AND (a.outcome <> 'delivered' "
            "OR EXISTS (SELECT FROM webhook_attempt later WHERE later.endpoint_id = a.endpoint_id "
            "AND later.outcome = 'delivered' AND later.created_at > a.created_at)) "
            "ORDER BY a.created_at LIMIT :batch) RETURNING delivery_id), "
            "forgotten AS (UPDATE webhook_delivery SET last_response = NULL WHERE id IN "
            "(SELECT delivery_id FROM gone) AND created_at < now() - make_interval(days => :days)) "
            "SELECT count(*) FROM gone"
        ),
        {"days": days, "batch": BATCH},
    )
    return int(done.scalar_one())


_REDUCED = (
    "UPDATE inbound_event SET purged_at = now(), payload = jsonb_strip_nulls(jsonb_build_object("
    "'id', payload->'id', 'type', payload->'type', 'created', payload->'created', 'data', "
    "CASE WHEN source = 'stripe' THEN jsonb_build_object('object', "
    "(SELECT coalesce(jsonb_object_agg(key, CASE WHEN jsonb_typeof(value) = 'object' "
    "THEN jsonb_build_object('id', value->'id') ELSE value END), '{}') "
    "FROM jsonb_each(payload#>'{data,object}') WHERE key = ANY(:of_object)) || "
    "jsonb_build_object('metadata', (SELECT coalesce(jsonb_object_agg(key, value), '{}') "
    "FROM jsonb_each(CASE jsonb_typeof(payload#>'{data,object,metadata}') WHEN 'object' "
    "THEN payload#>'{data,object,metadata}' ELSE '{}' END) WHERE key = ANY(:of_metadata)))) "
    "ELSE (SELECT coalesce(jsonb_object_agg(key, value), '{}') "
    "FROM jsonb_each(CASE jsonb_typeof(payload->'data') WHEN 'object' THEN payload->'data' "
    "ELSE '{}' END) WHERE key = ANY(:of_data)) END)) "
)
_KEPT = {"of_object": _KEPT_OF_OBJECT, "of_metadata": _KEPT_OF_METADATA, "of_data": _KEPT_OF_DATA}


async def purge_events_of(session: Session, users: list[str]) -> None:
    """Reduce the bodies of all dispatched events about persons and their orders."""
    await session.execute(
        text(
            f"{_REDUCED} WHERE purged_at IS NULL AND dispatched_at IS NOT NULL AND (order_id IN "
            "(SELECT id FROM orders WHERE user_id = ANY(CAST(:users AS uuid[]))) OR (source = 'lms' AND "
            "payload #>> '{data,user_id}' IN (SELECT lms_user_id FROM commerce_user "
            "WHERE id = ANY(CAST(:users AS uuid[])))))"
        ),
        {"users": users, **_KEPT},
    )


async def purge_inbox(session: Session, days: int) -> int:
    """Reduce the bodies of dispatched events to the facts that may still be asked for. The rows stay: by
    them an event that comes once more is known."""
    done = await session.execute(
        text(
            f"{_REDUCED} "
            "WHERE id IN (SELECT id FROM inbound_event WHERE purged_at IS NULL AND dispatched_at IS NOT NULL "
            "AND received_at < now() - make_interval(days => :days) "
            "ORDER BY received_at LIMIT :batch FOR UPDATE SKIP LOCKED) RETURNING id"
        ),
        {
            "days": days,
            "batch": BATCH,
            **_KEPT,
        },
    )
    return len(done.all())


async def purge_audit(session: Session, days: int) -> int:
    """End entries of the audit log; the database keeps those of the last year whatever is asked."""
    done = await session.execute(
        text("SELECT purge_audit(make_interval(days => :days), :batch)"), {"days": days, "batch": BATCH}
    )
    return int(done.scalar_one())

"""Deliveries of events to receivers: what is next, what came of it, what is sent again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from models.database import Session
from models.queries.outbox import Wake


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """The oldest event that an endpoint has not got yet in one stream."""

    delivery_id: str
    event_id: str
    type: str
    stream: str
    stream_seq: int
    created_at: str
    data: dict[str, Any]
    request_id: str | None
    attempts: int
    url: str
    secret_sealed: bytes
    active_since: datetime


async def next_pending(session: Session, endpoint_id: str, stream: str) -> PendingDelivery | None:
    """The next pending delivery in order of the stream; None when there is none or the endpoint is off."""
    row = (
        await session.execute(
            text(
                "SELECT d.id, d.event_id, e.type, e.stream, e.stream_seq, "
                'to_char(e.created_at, \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\') AS created_at, '
                "e.data, e.request_id, d.attempts, w.url, w.secret_sealed, w.active_since "
                "FROM webhook_delivery d JOIN outbound_event e ON e.id = d.event_id "
                "JOIN webhook_endpoint w ON w.id = d.endpoint_id "
                "WHERE d.endpoint_id = :endpoint AND e.stream = :stream AND d.status = 'pending' "
                "AND w.active ORDER BY e.stream_seq LIMIT 1"
            ),
            {"endpoint": endpoint_id, "stream": stream},
        )
    ).one_or_none()
    if row is None:
        return None
    return PendingDelivery(
        str(row.id),
        str(row.event_id),
        row.type,
        row.stream,
        row.stream_seq,
        row.created_at,
        row.data,
        row.request_id,
        row.attempts,
        row.url,
        bytes(row.secret_sealed),
        row.active_since,
    )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request and its answer; `outcome` is delivered, retry or failed (given up)."""

    attempt: int
    outcome: str
    url: str
    request_headers: dict[str, str]
    request_body: str
    status_code: int | None
    response_headers: dict[str, str]
    response_body: str
    error: str | None
    duration_ms: int


async def record_attempt(
    session: Session,
    delivery_id: str,
    endpoint_id: str,
    tried: Attempt,
    *,
    pause_seconds: float | None,
) -> None:
    """Keep one attempt, and what it means for the delivery; `attempt` counts from 1."""
    await session.execute(
        text(
            "UPDATE webhook_delivery SET attempts = :attempt, "
            "status = CASE CAST(:outcome AS varchar) WHEN 'retry' THEN 'pending' "
            "ELSE CAST(:outcome AS varchar) END, "
            "last_status_code = :status_code, last_error = :error, last_response = :response, "
            "first_attempt_at = coalesce(first_attempt_at, now()), "
            "next_attempt_at = now() + make_interval(secs => CAST(:pause AS double precision)), "
            "delivered_at = CASE WHEN CAST(:outcome AS varchar) = 'delivered' THEN now() END "
            "WHERE id = :id AND status = 'pending'"
        ),
        {
            "id": delivery_id,
            "attempt": tried.attempt,
            "outcome": tried.outcome,
            "status_code": tried.status_code,
            "error": tried.error,
            "response": tried.response_body,
            "pause": pause_seconds,
        },
    )
    await session.execute(
        text(
            "INSERT INTO webhook_attempt (delivery_id, endpoint_id, attempt, outcome, url, request_headers, "
            "request_body, status_code, response_headers, response_body, error, duration_ms) VALUES "
            "(:delivery, :endpoint, :attempt, :outcome, :url, CAST(:sent AS jsonb), :body, :status_code, "
            "CAST(:received AS jsonb), :response, :error, :duration)"
        ),
        {
            "delivery": delivery_id,
            "endpoint": endpoint_id,
            "attempt": tried.attempt,
            "outcome": tried.outcome,
            "url": tried.url,
            "sent": json.dumps(tried.request_headers),
            "body": tried.request_body,
            "status_code": tried.status_code,
            "received": json.dumps(tried.response_headers),
            "response": tried.response_body,
            "error": tried.error,
            "duration": tried.duration_ms,
        },
    )


async def given_up_without_success(session: Session, endpoint_id: str) -> int:
    """How many events went through all their attempts while the endpoint took nothing at all.

    Locks the endpoint, so that two streams that give up at once see each other.
    """
    await session.execute(
        text("SELECT id FROM webhook_endpoint WHERE id = :endpoint FOR UPDATE"), {"endpoint": endpoint_id}
    )
    found = await session.execute(
        text(
            "SELECT count(*) FROM webhook_delivery d JOIN webhook_endpoint w ON w.id = d.endpoint_id "
            "WHERE d.endpoint_id = :endpoint AND d.status = 'failed' "
            "AND d.first_attempt_at > greatest(w.active_since, (SELECT max(a.created_at) "
            "FROM webhook_attempt a WHERE a.endpoint_id = :endpoint AND a.outcome = 'delivered'))"
        ),
        {"endpoint": endpoint_id},
    )
    return int(found.scalar_one())


async def unfinished(session: Session) -> list[Wake]:
    """Every (endpoint, stream) that has something to send by now, for the sweep: the events behind one that
    waits for its next attempt wait with it."""
    rows = await session.execute(
        text(
            "SELECT endpoint_id, stream FROM (SELECT DISTINCT ON (d.endpoint_id, e.stream) "
            "d.endpoint_id, e.stream, d.next_attempt_at, d.created_at FROM webhook_delivery d "
            "JOIN outbound_event e ON e.id = d.event_id JOIN webhook_endpoint w ON w.id = d.endpoint_id "
            "WHERE d.status = 'pending' AND w.active "
            "ORDER BY d.endpoint_id, e.stream, e.stream_seq) AS head "
            "WHERE greatest(created_at, next_attempt_at) < now() - interval '5 seconds'"
        )
    )
    return [Wake(str(row.endpoint_id), row.stream) for row in rows]


# --- the log ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One event for one endpoint, with the outcome of the last attempt."""

    id: str
    endpoint_id: str
    event_id: str
    type: str
    stream: str
    stream_seq: int
    status: str
    attempts: int
    last_status_code: int | None
    last_error: str | None
    last_response: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None


_DELIVERIES = (
    "SELECT d.*, e.type, e.stream, e.stream_seq FROM webhook_delivery d "
    "JOIN outbound_event e ON e.id = d.event_id "
)


def _delivery(row: Row[Any]) -> DeliveryRow:
    return DeliveryRow(
        str(row.id),
        str(row.endpoint_id),
        str(row.event_id),
        row.type,
        row.stream,
        row.stream_seq,
        row.status,
        row.attempts,
        row.last_status_code,
        row.last_error,
        row.last_response,
        row.next_attempt_at,
        row.created_at,
        row.delivered_at,
    )


async def page(
    session: Session, endpoint_id: str, *, status: str | None, before: str | None, limit: int
) -> list[DeliveryRow]:
    """The log of an endpoint, newest first, keyset."""
    rows = await session.execute(
        text(
            _DELIVERIES + "WHERE d.endpoint_id = :endpoint "
            "AND (CAST(:status AS varchar) IS NULL OR d.status = CAST(:status AS varchar)) "
            "AND (CAST(:before AS uuid) IS NULL OR d.id < CAST(:before AS uuid)) "
            "ORDER BY d.id DESC LIMIT :limit"
        ),
        {"endpoint": endpoint_id, "status": status, "before": before, "limit": limit},
    )
    return [_delivery(row) for row in rows]


async def get(session: Session, delivery_id: str) -> DeliveryRow | None:
    """One delivery."""
    row = (await session.execute(text(_DELIVERIES + "WHERE d.id = :id"), {"id": delivery_id})).one_or_none()
    return None if row is None else _delivery(row)


async def attempts(session: Session, delivery_id: str) -> list[tuple[datetime, Attempt]]:
    """Every attempt with its time, oldest first; those of the last hundred."""
    rows = await session.execute(
        text("SELECT * FROM webhook_attempt WHERE delivery_id = :id ORDER BY id DESC LIMIT 100"),
        {"id": delivery_id},
    )
    found = [
        (
            row.created_at,
            Attempt(
                row.attempt,
                row.outcome,
                row.url,
                row.request_headers,
                row.request_body,
                row.status_code,
                row.response_headers,
                row.response_body,
                row.error,
                row.duration_ms,
            ),
        )
        for row in rows
    ]
    return found[::-1]


# --- sending again -----------------------------------------------------------------------------------

_AGAIN = "status = 'pending', first_attempt_at = NULL, next_attempt_at = NULL, delivered_at = NULL"


async def redeliver(session: Session, delivery_id: str) -> None:
    """Have one event sent again, with a whole schedule of attempts unless one is under way."""
    await session.execute(
        text(f"UPDATE webhook_delivery SET {_AGAIN}, attempts = 0 WHERE id = :id AND status <> 'pending'"),
        {"id": delivery_id},
    )


_WANTED = (
    "e.created_at >= :since AND (w.event_types = '{}' OR e.type = ANY(w.event_types)) "
    "AND (NOT :only_undelivered OR NOT EXISTS (SELECT FROM webhook_delivery d "
    "WHERE d.endpoint_id = w.id AND d.event_id = e.id AND d.status = 'delivered'))"
)
_REPLAYED = f"FROM outbound_event e JOIN webhook_endpoint w ON w.id = :endpoint WHERE {_WANTED} "


async def count_to_replay(
    session: Session, endpoint_id: str, since: datetime, *, only_undelivered: bool
) -> int:
    """How many events a replay would send."""
    found = await session.execute(
        text(f"SELECT count(*) {_REPLAYED}"),
        {"endpoint": endpoint_id, "since": since, "only_undelivered": only_undelivered},
    )
    return int(found.scalar_one())


async def streams_to_replay(
    session: Session, endpoint_id: str, since: datetime, *, only_undelivered: bool, after: str, limit: int
) -> list[str]:
    """The next streams, by name, that have events to send again."""
    rows = await session.execute(
        text(f"SELECT DISTINCT e.stream {_REPLAYED} AND e.stream > :after ORDER BY e.stream LIMIT :limit"),
        {
            "endpoint": endpoint_id,
            "since": since,
            "only_undelivered": only_undelivered,
            "after": after,
            "limit": limit,
        },
    )
    return [row.stream for row in rows]


async def replay(
    session: Session, endpoint_id: str, since: datetime, *, only_undelivered: bool, streams: Sequence[str]
) -> int:
    """Make the events of these streams pending again, also those that the endpoint never had."""
    made = await session.execute(
        text(
            f"INSERT INTO webhook_delivery (endpoint_id, event_id) SELECT w.id, e.id {_REPLAYED} "
            "AND e.stream = ANY(:streams) ORDER BY e.stream, e.stream_seq "
            f"ON CONFLICT (endpoint_id, event_id) DO UPDATE SET {_AGAIN}, attempts = 0 RETURNING id"
        ),
        {
            "endpoint": endpoint_id,
            "since": since,
            "only_undelivered": only_undelivered,
            "streams": list(streams),
        },
    )
    return len(made.all())


async def pending_streams(session: Session, endpoint_id: str, *, after: str, limit: int) -> list[str]:
    """The next streams, by name, that wait for this endpoint."""
    rows = await session.execute(
        text(
            "SELECT DISTINCT e.stream FROM webhook_delivery d JOIN outbound_event e ON e.id = d.event_id "
            "WHERE d.endpoint_id = :endpoint AND d.status = 'pending' AND e.stream > :after "
            "ORDER BY e.stream LIMIT :limit"
        ),
        {"endpoint": endpoint_id, "after": after, "limit": limit},
    )
    return [row.stream for row in rows]


async def restart_schedules(session: Session, endpoint_id: str, streams: Sequence[str]) -> int:
    """Give what is pending in these streams all its attempts again."""
    done = await session.execute(
        text(
            "UPDATE webhook_delivery d SET attempts = 0, first_attempt_at = NULL, next_attempt_at = NULL "
            "FROM outbound_event e WHERE e.id = d.event_id AND d.endpoint_id = :endpoint "
            "AND d.status = 'pending' AND e.stream = ANY(:streams) RETURNING d.id"
        ),
        {"endpoint": endpoint_id, "streams": list(streams)},
    )
    return len(done.all())

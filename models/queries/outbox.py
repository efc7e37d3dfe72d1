"""The outbox: events are written in the transaction of the fact, numbered without gap in their stream."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from domain.event_types import EventType
from models.database import Session

_TYPES = frozenset(EventType)


@dataclass(frozen=True, slots=True)
class Publication:
    """An event to publish; `event_key` names the business fact, so that it is published once."""

    event_key: str
    type: str
    stream: str
    data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A type that no endpoint can ask for would reach those only that want everything.
        if self.type not in _TYPES:
            raise ValueError(f"{self.type} is not in domain.event_types")


@dataclass(frozen=True, slots=True)
class Wake:
    """A delivery that has something to do."""

    endpoint_id: str
    stream: str


async def publish(
    session: Session, publications: Iterable[Publication], *, request_id: str = ""
) -> list[Wake]:
    """Write the events and their deliveries; streams are locked in name order, so nobody deadlocks.

    `request_id`: the request that all this happens for, if one does.
    """
    wakes: dict[Wake, None] = {}
    for publication in sorted(publications, key=lambda p: p.stream):
        for wake in await _publish_one(session, publication, request_id):
            wakes[wake] = None
    return list(wakes)


async def _publish_one(session: Session, publication: Publication, request_id: str) -> list[Wake]:
    await session.execute(
        text("INSERT INTO outbound_stream (stream, last_seq) VALUES (:stream, 0) ON CONFLICT DO NOTHING"),
        {"stream": publication.stream},
    )
    last_seq = (
        await session.execute(
            text("SELECT last_seq FROM outbound_stream WHERE stream = :stream FOR UPDATE"),
            {"stream": publication.stream},
        )
    ).scalar_one()
    event_id = (
        await session.execute(
            text(
                "INSERT INTO outbound_event (event_key, type, stream, stream_seq, data, request_id) "
                "VALUES (:event_key, :type, :stream, :seq, CAST(:data AS jsonb), :request_id) "
                "ON CONFLICT (event_key) DO NOTHING RETURNING id"
            ),
            {
                "event_key": publication.event_key,
                "type": publication.type,
                "stream": publication.stream,
                "seq": last_seq + 1,
                "data": json.dumps(publication.data),
                "request_id": request_id or None,
            },
        )
    ).scalar_one_or_none()
    if event_id is None:  # published before: the number stays free
        return []
    await session.execute(
        text("UPDATE outbound_stream SET last_seq = last_seq + 1 WHERE stream = :stream"),
        {"stream": publication.stream},
    )
    endpoints = await session.execute(
        text(
            "INSERT INTO webhook_delivery (endpoint_id, event_id) "
            "SELECT id, :event_id FROM webhook_endpoint "
            "WHERE active AND (event_types = '{}' OR :type = ANY(event_types)) "
            "ON CONFLICT DO NOTHING RETURNING endpoint_id"
        ),
        {"event_id": event_id, "type": publication.type},
    )
    return [Wake(str(row.endpoint_id), publication.stream) for row in endpoints]

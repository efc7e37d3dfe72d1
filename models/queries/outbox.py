"""The outbox: events are written in the transaction of the fact, numbered without gap in their stream."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
    data: Mapping[str, object] = field(default_factory=dict)

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
    # One statement: an endpoint that it finds off was so before the event's time, while the transaction may
    # have begun long before. So no event falls between those that are queued and a replay of what came since
    # `disabled_at`.
    published = await session.execute(
        text(
            "WITH event AS (INSERT INTO outbound_event "
            "(event_key, type, stream, stream_seq, data, request_id, created_at) "
            "VALUES (:event_key, :type, :stream, :seq, CAST(:data AS jsonb), :request_id, clock_timestamp()) "
            "ON CONFLICT (event_key) DO NOTHING RETURNING id, type), "
            "queued AS (INSERT INTO webhook_delivery (endpoint_id, event_id) "
            "SELECT w.id, event.id FROM event, webhook_endpoint w "
            "WHERE w.active AND (w.event_types = '{}' OR event.type = ANY(w.event_types)) "
            "RETURNING endpoint_id) "
            "SELECT event.id, ARRAY(SELECT endpoint_id FROM queued) AS endpoint_ids FROM event"
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
    row = published.one_or_none()
    if row is None:  # published before: the number stays free
        return []
    await session.execute(
        text("UPDATE outbound_stream SET last_seq = last_seq + 1 WHERE stream = :stream"),
        {"stream": publication.stream},
    )
    return [Wake(str(endpoint_id), publication.stream) for endpoint_id in row.endpoint_ids]

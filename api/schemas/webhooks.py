"""Receivers of our events, and the log of what was sent to them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.common import Body, Flag, Moment, Newest, NextCursor, Output, ShortText
from domain.event_types import EventType


class EndpointBody(Body):
    """Where events go, and which; none named means all."""

    url: Annotated[
        Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s\x00]+$")],
        Field(description="Where events go: https, to a public address; redirects are not followed."),
    ]
    event_types: Annotated[
        Annotated[list[EventType], Field(max_length=50)],
        Field(description="Which events; none named means all."),
    ] = []
    description: Annotated[ShortText, Field(description="For people.")] = ""


class EndpointPatch(Body):
    """Changes of an endpoint."""

    url: Annotated[
        Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s\x00]+$")] | None,
        Field(description="Where events go from now on."),
    ] = None
    event_types: Annotated[
        Annotated[list[EventType], Field(max_length=50)] | None,
        Field(description="Which events; none named means all."),
    ] = None
    description: Annotated[ShortText | None, Field(description="For people.")] = None
    active: Annotated[
        Flag | None,
        Field(description="Off: nothing is sent; what happens meanwhile waits and goes out in order later."),
    ] = None


class EndpointView(Output):
    """A receiver of events; its secret is shown once."""

    id: str
    url: Annotated[str, Field(description="Where events go.")]
    event_types: Annotated[list[str], Field(description="Which events; none named means all.")]
    description: Annotated[str, Field(description="For people.")]
    active: Annotated[bool, Field(description="Whether anything is sent.")]
    disabled_at: Annotated[datetime | None, Field(description="Since when it is off.")]
    disabled_by: Annotated[
        Literal["operator", "receiver", "commerce"] | None,
        Field(description="The receiver itself (410), or commerce, because nothing was taken any more."),
    ]
    disabled_reason: Annotated[str | None, Field(description="Why it is off, in words.")]
    last_disabled_at: Annotated[
        datetime | None,
        Field(description="Since when it was off the last time, when it is on again: where a replay begins."),
    ]
    created_at: datetime


class EndpointWithSecret(EndpointView):
    """The one answer that holds the secret."""

    secret: Annotated[
        str, Field(description="What signs events, by Standard Webhooks; it is not shown again.")
    ]


class EndpointList(Output):
    """A page of endpoints."""

    data: Newest[EndpointView]
    next_cursor: NextCursor


DeliveryStatus = Literal["pending", "delivered", "failed"]


class DeliveryView(Output):
    """One event for one endpoint, with the outcome of the last attempt."""

    id: str
    endpoint_id: str
    event_id: Annotated[str, Field(description="The event's id, as in `webhook-id`.")]
    type: Annotated[str, Field(description="What the event tells.")]
    stream: Annotated[str, Field(description="What the event is about.")]
    stream_seq: Annotated[
        int, Field(description="Grows within the stream; types that were not asked for leave gaps.")
    ]
    status: DeliveryStatus
    attempts: Annotated[int, Field(description="How often it was sent.")]
    last_status_code: Annotated[
        int | None, Field(description="What the receiver answered last; null when nothing came back.")
    ]
    last_error: Annotated[str | None, Field(description="Why the last attempt failed.")]
    last_response: str | None
    next_attempt_at: Annotated[datetime | None, Field(description="When it is sent again.")]
    created_at: datetime
    delivered_at: datetime | None


class DeliveryList(Output):
    """A page of deliveries."""

    data: Newest[DeliveryView]
    next_cursor: NextCursor


class RequestView(Output):
    """What was sent; the body is cut at 4 kB."""

    url: str
    headers: dict[str, str]
    body: str


class ResponseView(Output):
    """What came back; the body is cut at 4 kB. No status: nothing came back."""

    status_code: int | None
    headers: dict[str, str]
    body: str


class AttemptView(Output):
    """One attempt; `failed` was the last one of its schedule."""

    attempt: int
    at: datetime
    outcome: Literal["delivered", "retry", "failed"]
    request: RequestView
    response: ResponseView
    error: str | None
    duration_ms: int


class DeliveryWithLog(DeliveryView):
    """One delivery with every attempt, oldest first (the last hundred)."""

    log: list[AttemptView]


class RotationBody(Body):
    """How long the secrets of before sign beside the new one; 0 when one has leaked."""

    overlap_hours: Annotated[
        Annotated[int, Field(ge=0, le=168)],
        Field(description="How long the secrets of before sign beside the new one; 0: not at all."),
    ] = 24


class ReplayBody(Body):
    """Which events to send again."""

    since: Annotated[Moment, Field(description="What was published since then is sent again.")]
    only_undelivered: Annotated[bool, Field(description="Leave out what the endpoint has taken already.")] = (
        False
    )


class ReplayView(Output):
    """A replay that has begun; `events` is how many it sends again."""

    id: str
    endpoint_id: str
    since: datetime
    only_undelivered: bool
    events: int
    workflow_id: str

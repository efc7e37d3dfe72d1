"""Receivers of our events, and the log of what was sent to them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.common import Body, Flag, Moment, Output, ShortText
from domain.event_types import EventType


class EndpointBody(Body):
    """Where events go, and which; none named means all."""

    url: Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s\x00]+$")]
    event_types: Annotated[list[EventType], Field(max_length=50)] = []
    description: ShortText = ""


class EndpointPatch(Body):
    """Changes of an endpoint."""

    url: Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s\x00]+$")] | None = None
    event_types: Annotated[list[EventType], Field(max_length=50)] | None = None
    description: ShortText | None = None
    active: Flag | None = None


class EndpointView(Output):
    """A receiver of events; its secret is shown once."""

    id: str
    url: str
    event_types: list[str]
    description: str
    active: bool
    disabled_at: datetime | None
    disabled_by: Annotated[
        Literal["operator", "receiver", "commerce"] | None,
        Field(description="The receiver itself (410), or commerce, because nothing was taken any more."),
    ]
    disabled_reason: str | None
    last_disabled_at: Annotated[
        datetime | None,
        Field(description="Since when it was off the last time, when it is on again: where a replay begins."),
    ]
    created_at: datetime


class EndpointWithSecret(EndpointView):
    """The one answer that holds the secret."""

    secret: str


class EndpointList(Output):
    """A page of endpoints."""

    data: list[EndpointView]
    next_cursor: str | None


DeliveryStatus = Literal["pending", "delivered", "failed"]


class DeliveryView(Output):
    """One event for one endpoint, with the outcome of the last attempt."""

    id: str
    endpoint_id: str
    event_id: str
    type: str
    stream: str
    stream_seq: int
    status: DeliveryStatus
    attempts: int
    last_status_code: int | None
    last_error: str | None
    last_response: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None


class DeliveryList(Output):
    """A page of deliveries."""

    data: list[DeliveryView]
    next_cursor: str | None


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

    overlap_hours: Annotated[int, Field(ge=0, le=168)] = 24


class ReplayBody(Body):
    """Which events to send again."""

    since: Moment
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

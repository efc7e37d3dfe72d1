"""Receivers of our events, and the log of what was sent to them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.common import (
    Body,
    CreatedAt,
    Flag,
    Moment,
    Newest,
    NextCursor,
    Output,
    OwnId,
    ShortText,
    Whole,
    WorkflowId,
)
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

    id: OwnId
    url: Annotated[str, Field(description="Where events go.")]
    event_types: Annotated[list[str], Field(description="Which events; none named means all.")]
    description: Annotated[str, Field(description="For people.")]
    active: Annotated[bool, Field(description="Whether anything is sent.")]
    disabled_at: Annotated[datetime | None, Field(description="Since when it is off; null while it is on.")]
    disabled_by: Annotated[
        Literal["operator", "receiver", "commerce"] | None,
        Field(
            description="An operator, the receiver itself (410), or commerce, as nothing was taken any more; "
            "null while it is on."
        ),
    ]
    disabled_reason: Annotated[str | None, Field(description="Why it is off, in words; null while it is on.")]
    last_disabled_at: Annotated[
        datetime | None,
        Field(
            description="Since when it was off the last time, once it is on again: where a replay begins. "
            "Null: it never was."
        ),
    ]
    created_at: CreatedAt


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

    id: OwnId
    endpoint_id: Annotated[str, Field(description="The receiver's `id`.")]
    event_id: Annotated[str, Field(description="The event's id, as in `webhook-id`.")]
    type: Annotated[str, Field(description="What the event tells.")]
    stream: Annotated[str, Field(description="What the event is about.")]
    stream_seq: Annotated[
        int, Field(description="Grows within the stream; types that were not asked for leave gaps.")
    ]
    status: Annotated[
        DeliveryStatus,
        Field(
            description="`pending`: to be sent, or sent again; `delivered`: the receiver answered 2xx; "
            "`failed`: given up after ten attempts, or a 410."
        ),
    ]
    attempts: Annotated[int, Field(description="How often it was sent.")]
    last_status_code: Annotated[
        int | None, Field(description="What the receiver answered last; null when nothing came back.")
    ]
    last_error: Annotated[
        str | None,
        Field(description="Why the last attempt brought no answer; null when it did, whatever its status."),
    ]
    last_response: Annotated[
        str | None,
        Field(description="How the body of the last answer begins; null before the first attempt."),
    ]
    next_attempt_at: Annotated[
        datetime | None,
        Field(description="When it is sent again; null when it is sent as soon as can be, or not any more."),
    ]
    created_at: Annotated[datetime, Field(description="When the event was set down for this receiver.")]
    delivered_at: Annotated[
        datetime | None, Field(description="When the receiver took it; null as long as it did not.")
    ]


class DeliveryList(Output):
    """A page of deliveries."""

    data: Newest[DeliveryView]
    next_cursor: NextCursor


class RequestView(Output):
    """What was sent; the body is cut at 4 kB."""

    url: Annotated[str, Field(description="Where it went.")]
    headers: Annotated[
        dict[str, str], Field(description="By name in small letters, the signature among them.")
    ]
    body: Annotated[str, Field(description="The event as JSON, as far as it is kept.")]


class ResponseView(Output):
    """What came back; the body is cut at 4 kB. No status: nothing came back."""

    status_code: Annotated[int | None, Field(description="The HTTP status; null when nothing came back.")]
    headers: Annotated[dict[str, str], Field(description="By name in small letters, the first of them.")]
    body: Annotated[str, Field(description="How it begins; empty when nothing came back.")]


class AttemptView(Output):
    """One attempt; `failed` was the last one of its schedule."""

    attempt: Annotated[
        int,
        Field(
            description="From 1 to 10; a redelivery, or an endpoint that is switched on again, begins anew."
        ),
    ]
    at: Annotated[datetime, Field(description="When it was over.")]
    outcome: Annotated[
        Literal["delivered", "retry", "failed"],
        Field(description="`delivered`; `retry`: another one follows; `failed`: none does."),
    ]
    request: Annotated[RequestView, Field(description="What was sent.")]
    response: Annotated[ResponseView, Field(description="What came back.")]
    error: Annotated[
        str | None,
        Field(
            description="Why no answer came, or why it was not followed; null when one came, whatever its "
            "status."
        ),
    ]
    duration_ms: Annotated[int, Field(description="Milliseconds until the answer, or until it was given up.")]


class DeliveryWithLog(DeliveryView):
    """One delivery with every attempt, oldest first (the last hundred)."""

    log: Annotated[
        list[AttemptView],
        Field(description="The last hundred attempts, oldest first, as far as they are still kept."),
    ]


class RotationBody(Body):
    """How long the secrets of before sign beside the new one; 0 when one has leaked."""

    overlap_hours: Annotated[
        Annotated[Whole, Field(ge=0, le=168)],
        Field(description="How long the secrets of before sign beside the new one; 0: not at all."),
    ] = 24


class ReplayBody(Body):
    """Which events to send again."""

    since: Annotated[Moment, Field(description="What was published since then is sent again.")]
    only_undelivered: Annotated[Flag, Field(description="Leave out what the endpoint has taken already.")] = (
        False
    )


class ReplayView(Output):
    """A replay that has begun; `events` is how many it sends again."""

    id: OwnId
    endpoint_id: Annotated[str, Field(description="The receiver's `id`.")]
    since: Annotated[datetime, Field(description="What was published since then is sent again.")]
    only_undelivered: Annotated[
        bool, Field(description="Whether what the receiver has taken already is left out.")
    ]
    events: Annotated[int, Field(description="How many events are sent again.")]
    workflow_id: WorkflowId

"""Messages in and out: the inbox, the outbox, webhook endpoints, idempotency records."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlmodel import Field, SQLModel

from models.columns import (
    created,
    flag,
    json_object,
    moment,
    primary_key,
    reference,
    text_list,
    uuid_column,
    whole,
)


class InboundEvent(SQLModel, table=True):
    """A verified event of Stripe, the LMS or the payout system. Insert, commit, signal, mark."""

    __tablename__ = "inbound_event"
    __table_args__ = (
        UniqueConstraint("source", "event_id"),
        Index("undispatched_events", "received_at", postgresql_where=text("dispatched_at IS NULL")),
        Index("unpurged_events", "received_at", postgresql_where=text("purged_at IS NULL")),
    )

    id: UUID = primary_key()
    source: str
    event_id: str
    type: str
    payload: dict[str, Any] = json_object()
    order_id: UUID | None = uuid_column(nullable=True, index=True)
    received_at: datetime = created()
    dispatched_at: datetime | None = moment()
    purged_at: datetime | None = moment()
    outcome: str | None


class InboxCursor(SQLModel, table=True):
    """How far the processor's events list has been read by the recovery."""

    __tablename__ = "inbox_cursor"

    source: str = Field(primary_key=True)
    read_until: datetime = moment(nullable=False)


class OutboundStream(SQLModel, table=True):
    """The last number of each stream; its row lock keeps numbers gapless and in commit order."""

    __tablename__ = "outbound_stream"

    stream: str = Field(primary_key=True)
    last_seq: int = whole()


class OutboundEvent(SQLModel, table=True):
    """An event to publish, written in the transaction of the fact (outbox)."""

    __tablename__ = "outbound_event"
    __table_args__ = (
        UniqueConstraint("stream", "stream_seq"),
        UniqueConstraint("event_key"),
        Index(
            "events_by_payee",
            text("(data->>'payee_ref')"),
            "id",
            postgresql_where=text("data->>'payee_ref' IS NOT NULL"),
        ),
        Index(
            "events_of_payees_by_order",
            text("(data->>'order_id')"),
            postgresql_where=text("data->>'payee_ref' IS NOT NULL"),
        ),
        Index("events_by_time", "created_at"),
    )

    id: UUID = primary_key()
    event_key: str
    type: str
    stream: str
    stream_seq: int = whole()
    data: dict[str, Any] = json_object()
    request_id: str | None
    created_at: datetime = created()


class WebhookEndpoint(SQLModel, table=True):
    """A receiver of our events. Secrets are encrypted; the newest signs, older ones until they expire."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        CheckConstraint("disabled_by IN ('operator', 'receiver', 'commerce')", name="endpoint_disabled_by"),
    )

    id: UUID = primary_key()
    url: str
    description: str
    event_types: list[str] = text_list()
    secret_sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    active: bool = flag(default=True)
    active_since: datetime = created()
    disabled_at: datetime | None = moment()
    disabled_by: str | None
    disabled_reason: str | None
    last_disabled_at: datetime | None = moment()
    deleted_at: datetime | None = moment()
    version: int = whole(default=1)
    created_at: datetime = created()


class WebhookDelivery(SQLModel, table=True):
    """One event for one endpoint, with the outcome of the last attempt."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id"),
        CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="delivery_status"),
        Index("pending_deliveries", "endpoint_id", postgresql_where=text("status = 'pending'")),
        Index("failed_deliveries", "endpoint_id", postgresql_where=text("status = 'failed'")),
    )

    id: UUID = primary_key()
    endpoint_id: UUID = reference("webhook_endpoint.id", index=False)
    event_id: UUID = reference("outbound_event.id")
    status: str = Field(default="pending", sa_column_kwargs={"server_default": "pending"})
    attempts: int = whole(default=0)
    last_status_code: int | None = whole(nullable=True)
    last_error: str | None
    last_response: str | None
    first_attempt_at: datetime | None = moment()
    next_attempt_at: datetime | None = moment()
    delivered_at: datetime | None = moment()
    created_at: datetime = created()


class WebhookAttempt(SQLModel, table=True):
    """One request to a receiver and its answer, bodies cut to a few kB. Rows are added, never
    changed, and ended after a time."""

    __tablename__ = "webhook_attempt"
    __table_args__ = (
        CheckConstraint("outcome IN ('delivered', 'retry', 'failed')", name="attempt_outcome"),
        Index("attempts_by_age", "created_at"),
        Index(
            "accepted_attempts",
            "endpoint_id",
            "created_at",
            postgresql_where=text("outcome = 'delivered'"),
        ),
    )

    id: UUID = primary_key()
    delivery_id: UUID = reference("webhook_delivery.id")
    endpoint_id: UUID = reference("webhook_endpoint.id", index=False)
    attempt: int = whole()
    outcome: str
    url: str
    request_headers: dict[str, Any] = json_object()
    request_body: str
    status_code: int | None = whole(nullable=True)
    response_headers: dict[str, Any] = json_object()
    response_body: str
    error: str | None
    duration_ms: int = whole()
    created_at: datetime = created()


class IdempotencyRecord(SQLModel, table=True):
    """One caller's key: claimed before anything starts, locked while the request runs."""

    __tablename__ = "idempotency_record"
    __table_args__ = (Index("idempotency_by_age", "created_at"),)

    caller: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    object_id: UUID = Field(
        default=None,
        sa_column=Column(PG_UUID(as_uuid=True), nullable=False, server_default=text("uuidv7()")),
    )
    status_code: int | None = whole(nullable=True)
    response_sealed: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    created_at: datetime = created()


class RateLimit(SQLModel, table=True):
    """When the attempts of one caller under one limit would have been spaced out evenly."""

    __tablename__ = "rate_limit"
    __table_args__ = {"prefixes": ["UNLOGGED"]}

    key: str = Field(primary_key=True)
    even_until: datetime = moment(nullable=False, index=True)

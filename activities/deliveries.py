"""Outbound webhooks: one signed attempt at a time, its outcome kept; events sent again."""

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from temporalio import activity

from activities.boundary import Transaction, Transactions, translated
from activities.open_requests import OpenRequests
from domain import ids
from domain.deliveries import GIVEN_UP_BEFORE_DISABLING, MAX_ATTEMPTS, pause_after
from domain.event_data import API_VERSION, EndpointDisabled, Event
from domain.messages import DeliveryInput, ReplayInput
from integrations.dispatch import Dispatcher
from integrations.outbound import DeliveryResult, OutboundHttp
from integrations.sealing import Sealer
from models.queries import webhook_deliveries, webhook_endpoints
from models.queries.outbox import Publication
from models.queries.webhook_deliveries import Attempt, PendingDelivery

log = logging.getLogger(__name__)

_GONE = 410
_BODY_KEPT = 4096
_STREAMS_AT_ONCE = 100
_SIGNALS_AT_ONCE = 20


@dataclass(frozen=True)
class AttemptOutcome:
    """`status`: delivered, retry, failed (given up), nothing (none was pending) or crowded (not tried:
    the receiver, or this process, has enough requests open)."""

    status: str
    attempts: int = 0
    retry_after_seconds: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class ReplayedBatch:
    """How many events are pending again, and the last stream that is done; None when all are."""

    events: int
    last_stream: str | None


def endpoint_secrets(sealer: Sealer, endpoint_id: str, sealed: bytes, now: datetime) -> list[str]:
    """The endpoint's secrets that are valid now, the newest first."""
    stored = json.loads(sealer.open(sealed, f"webhook-endpoint/{endpoint_id}"))
    return [
        entry["secret"]
        for entry in stored
        if entry["expires_at"] is None or datetime.fromisoformat(entry["expires_at"]) > now
    ]


class DeliveryActivities:
    """Steps of the webhook delivery workflows."""

    def __init__(
        self, transactions: Transactions, http: OutboundHttp, sealer: Sealer, dispatcher: Dispatcher
    ) -> None:
        self._transactions = transactions
        self._http = http
        self._sealer = sealer
        self._dispatcher = dispatcher
        self._open = OpenRequests()

    @activity.defn
    @translated
    async def deliver_next(self, given: DeliveryInput) -> AttemptOutcome:
        """Send the next pending event of the stream, signed by Standard Webhooks.

        A crash between sending and recording sends it again under the same `webhook-id`: at least once.
        """
        if not self._open.take(given.endpoint_id):
            return AttemptOutcome("crowded")
        try:
            async with self._transactions.begin() as tx:
                pending = await webhook_deliveries.next_pending(tx.session, given.endpoint_id, given.stream)
            if pending is None:
                return AttemptOutcome("nothing")
            return await self._attempt(given.endpoint_id, pending)
        finally:
            self._open.give_back(given.endpoint_id)

    async def _attempt(self, endpoint_id: str, pending: PendingDelivery) -> AttemptOutcome:
        now = datetime.now(UTC)
        body = _body(pending)
        result = await self._http.deliver(
            pending.url,
            webhook_id=pending.event_id,
            body=body,
            secrets=endpoint_secrets(self._sealer, endpoint_id, pending.secret_sealed, now),
            timestamp=now,
        )
        outcome = _outcome(pending, result)
        pause = None
        if outcome.status == "retry":
            pause = pause_after(outcome.attempts, outcome.retry_after_seconds).total_seconds()
        async with self._transactions.begin() as tx:
            await webhook_deliveries.record_attempt(
                tx.session,
                pending.delivery_id,
                endpoint_id,
                _logged(pending, body, result, outcome),
                pause_seconds=pause,
            )
            if outcome.status == "failed":
                await _disable_if_gone(tx, endpoint_id, pending, result)
        return outcome

    @activity.defn
    @translated
    async def replay_streams(self, asked: ReplayInput) -> ReplayedBatch:
        """Make the events of the next streams pending again, then have each stream sent now.

        A repeat sends some events once more, which receivers know by their `webhook-id`.
        """
        async with self._transactions.begin() as tx:
            streams, events = await _make_pending(tx, asked)
        gate = asyncio.Semaphore(_SIGNALS_AT_ONCE)

        async def send(stream: str) -> None:
            async with gate:
                await self._dispatcher.retry_delivery(asked.endpoint_id, stream)

        await asyncio.gather(*(send(stream) for stream in streams))
        return ReplayedBatch(events, streams[-1] if len(streams) == _STREAMS_AT_ONCE else None)


async def _make_pending(tx: Transaction, asked: ReplayInput) -> tuple[list[str], int]:
    if asked.since is None:
        streams = await webhook_deliveries.pending_streams(
            tx.session, asked.endpoint_id, after=asked.after, limit=_STREAMS_AT_ONCE
        )
        return streams, await webhook_deliveries.restart_schedules(tx.session, asked.endpoint_id, streams)
    since = datetime.fromisoformat(asked.since)
    streams = await webhook_deliveries.streams_to_replay(
        tx.session,
        asked.endpoint_id,
        since,
        only_undelivered=asked.only_undelivered,
        after=asked.after,
        limit=_STREAMS_AT_ONCE,
    )
    events = await webhook_deliveries.replay(
        tx.session, asked.endpoint_id, since, only_undelivered=asked.only_undelivered, streams=streams
    )
    return streams, events


async def _disable_if_gone(
    tx: Transaction, endpoint_id: str, pending: PendingDelivery, result: DeliveryResult
) -> None:
    """Switch a receiver off that says so itself or takes nothing any more, and tell the others. Not when it
    was mended while the attempt was under way."""
    if result.status_code == _GONE:
        by: Literal["receiver", "commerce"] = "receiver"
        reason = "the receiver answered 410 Gone"
    elif (
        given_up := await webhook_deliveries.given_up_without_success(tx.session, endpoint_id)
    ) >= GIVEN_UP_BEFORE_DISABLING:
        by = "commerce"
        reason = (
            f"{given_up} events went through all {MAX_ATTEMPTS} attempts, and nothing was taken meanwhile"
        )
    else:
        return
    version = await webhook_endpoints.disable(
        tx.session, endpoint_id, by, reason, active_since=pending.active_since
    )
    if version is None:
        return
    log.error("webhook endpoint %s is switched off: %s", endpoint_id, reason)
    tx.publish(
        Publication(
            f"webhook-endpoint/{endpoint_id}/disabled/{version}",
            "webhook_endpoint.disabled",
            ids.endpoint_stream(endpoint_id),
            EndpointDisabled(endpoint_id=endpoint_id, disabled_by=by, reason=reason),
        )
    )


def _body(pending: PendingDelivery) -> bytes:
    event = Event(
        id=pending.event_id,
        type=pending.type,
        created_at=pending.created_at,
        api_version=API_VERSION,
        stream=pending.stream,
        stream_seq=pending.stream_seq,
        request_id=pending.request_id,
        data=pending.data,
    )
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def _outcome(pending: PendingDelivery, result: DeliveryResult) -> AttemptOutcome:
    attempt = pending.attempts + 1
    if result.delivered:
        return AttemptOutcome("delivered", attempt)
    detail = result.error or f"answered {result.status_code}"
    if result.status_code == _GONE or attempt >= MAX_ATTEMPTS:
        return AttemptOutcome("failed", attempt, detail=detail)
    return AttemptOutcome("retry", attempt, result.retry_after_seconds, detail)


def _logged(
    pending: PendingDelivery, body: bytes, result: DeliveryResult, outcome: AttemptOutcome
) -> Attempt:
    return Attempt(
        attempt=outcome.attempts,
        outcome=outcome.status,
        url=pending.url,
        request_headers=dict(result.request_headers),
        request_body=body.decode()[:_BODY_KEPT],
        status_code=result.status_code,
        response_headers=dict(result.response_headers),
        response_body=result.response_excerpt,
        error=result.error,
        duration_ms=result.duration_ms,
    )

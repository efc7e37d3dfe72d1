"""Outbound webhooks: one signed attempt at a time, its outcome kept."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.boundary import Transactions, translated
from domain.messages import DeliveryInput
from integrations.outbound import DeliveryResult, OutboundHttp
from integrations.sealing import Sealer
from models.queries import outbox
from models.queries.outbox import PendingDelivery

API_VERSION = "2026-11-01"
MAX_ATTEMPTS = 10
_GONE = 410


@dataclass(frozen=True)
class AttemptOutcome:
    """`status`: delivered, retry, failed (given up) or nothing (none was pending)."""

    status: str
    attempts: int = 0
    retry_after_seconds: float | None = None
    detail: str = ""


def endpoint_secrets(sealer: Sealer, endpoint_id: str, sealed: bytes, now: datetime) -> list[str]:
    """The endpoint's secrets that are valid now, the newest first."""
    stored = json.loads(sealer.open(sealed, f"webhook-endpoint/{endpoint_id}"))
    return [
        entry["secret"]
        for entry in stored
        if entry["expires_at"] is None or datetime.fromisoformat(entry["expires_at"]) > now
    ]


class DeliveryActivities:
    """Steps of the webhook delivery workflow."""

    def __init__(self, transactions: Transactions, http: OutboundHttp, sealer: Sealer) -> None:
        self._transactions = transactions
        self._http = http
        self._sealer = sealer

    @activity.defn
    @translated
    async def deliver_next(self, given: DeliveryInput) -> AttemptOutcome:
        """Send the next pending event of the stream, signed by Standard Webhooks.

        A crash between sending and recording sends it again under the same `webhook-id`: at least once.
        """
        async with self._transactions.begin() as tx:
            pending = await outbox.next_delivery(tx.session, given.endpoint_id, given.stream)
        if pending is None:
            return AttemptOutcome("nothing")
        now = datetime.now(UTC)
        result = await self._http.deliver(
            pending.url,
            webhook_id=pending.event_id,
            body=_body(pending),
            secrets=endpoint_secrets(self._sealer, given.endpoint_id, pending.secret_sealed, now),
            timestamp=now,
        )
        outcome = _outcome(pending, result)
        async with self._transactions.begin() as tx:
            await outbox.record_attempt(
                tx.session,
                pending.delivery_id,
                attempt=outcome.attempts,
                status={"delivered": "delivered", "failed": "failed"}.get(outcome.status, "pending"),
                status_code=result.status_code,
                error=result.error,
                response=result.response_excerpt,
            )
            if result.status_code == _GONE:
                await outbox.disable_endpoint(tx.session, given.endpoint_id, "the receiver answered 410 Gone")
        return outcome


def _body(pending: PendingDelivery) -> bytes:
    return json.dumps(
        {
            "id": pending.event_id,
            "type": pending.type,
            "created_at": pending.created_at,
            "api_version": API_VERSION,
            "stream": pending.stream,
            "stream_seq": pending.stream_seq,
            "data": pending.data,
        },
        separators=(",", ":"),
    ).encode()


def _outcome(pending: PendingDelivery, result: DeliveryResult) -> AttemptOutcome:
    attempt = pending.attempts + 1
    if result.status_code is not None and 200 <= result.status_code < 300:
        return AttemptOutcome("delivered", attempt)
    detail = result.error or f"answered {result.status_code}"
    if result.status_code == _GONE or attempt >= MAX_ATTEMPTS:
        return AttemptOutcome("failed", attempt, detail=detail)
    return AttemptOutcome("retry", attempt, result.retry_after_seconds, detail)

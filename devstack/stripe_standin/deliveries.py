"""Signed deliveries: at least once, in no promised order, retried on a shortened schedule.

The signature is `t=<seconds>,v1=<HMAC-SHA256 of "t.payload">` (docs.stripe.com/webhooks/signature); each
attempt has a stamp of its own, the event keeps its id and its bytes.
"""

import asyncio
import hashlib
import hmac
import json
import sqlite3
import time
from contextlib import suppress
from typing import Any

import httpx

from devstack.stripe_standin.chaos import Chaos
from devstack.stripe_standin.endpoints import WebhookEndpoints
from devstack.stripe_standin.store import Store

RETRY_PAUSES_SECONDS = (0.2, 0.4, 0.8, 1.5, 3.0, 5.0)
"""The last one repeats; Stripe's grow to hours."""
MOST_ATTEMPTS = 200
_TIMEOUT_SECONDS = 10.0
_PARALLEL = 8
_DUE = """
SELECT d.id, d.event_id, d.endpoint_id, d.attempts, d.due_at, e.body AS event, w.body AS endpoint
  FROM delivery d JOIN object e ON e.id = d.event_id JOIN object w ON w.id = d.endpoint_id
 WHERE d.state = 'pending' ORDER BY {order} LIMIT 30
"""


def sign(payload: str, secrets: list[str], stamp: int) -> str:
    """The `Stripe-Signature` header, with one v1 for each secret."""
    signed = f"{stamp}.{payload}".encode()
    parts = [f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}" for secret in secrets]
    return ",".join([f"t={stamp}", *parts])


class Deliveries:
    """Sends what is queued, from a task of its own; a later process sends what was pending at a kill."""

    def __init__(self, store: Store, endpoints: WebhookEndpoints, chaos: Chaos) -> None:
        self._store = store
        self._endpoints = endpoints
        self._chaos = chaos
        self._wake = asyncio.Event()
        self._sending: dict[int, asyncio.Task[None]] = {}
        self._running: asyncio.Task[None] | None = None
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Start sending."""
        # Loading the system's certificates takes longer than the whole start; the receivers are on loopback.
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False, verify=False)
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop sending; what is under way is sent again by the next process."""
        tasks = [task for task in (self._running, *self._sending.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def wake(self) -> None:
        """Look for due deliveries: something was queued or told."""
        self._wake.set()

    def set_paused(self, paused: bool) -> None:
        """Hold deliveries back, or let them go."""
        self._chaos.paused = paused
        self._chaos.save(self._store)
        self.wake()

    def release_dropped(self) -> int:
        """Send dropped deliveries after all; returns how many."""
        done = self._store.db.execute(
            "UPDATE delivery SET state = 'pending', due_at = ? WHERE state = 'dropped'", (time.time(),)
        )
        self.wake()
        return done.rowcount

    def send_again(self, event_id: str) -> int:
        """Queue one more copy of an event for every enabled endpoint; returns how many."""
        event = self._store.find(event_id, "event")
        if event is None:
            raise KeyError(event_id)
        endpoints = [one for one in self._store.every("webhook_endpoint") if one["status"] == "enabled"]
        for endpoint in endpoints:
            self._store.db.execute(
                "INSERT INTO delivery (event_id, endpoint_id, type, state, due_at)"
                " VALUES (?, ?, ?, 'pending', ?)",
                (event_id, endpoint["id"], event["type"], time.time()),
            )
        self.wake()
        return len(endpoints)

    def pending_endpoints(self, event_ids: list[str]) -> dict[str, int]:
        """How many endpoints have not confirmed each event: its `pending_webhooks`."""
        marks = ", ".join("?" * len(event_ids))
        rows = self._store.db.execute(
            f"SELECT event_id, count(DISTINCT endpoint_id) AS waiting FROM delivery a"
            f" WHERE event_id IN ({marks}) AND NOT EXISTS (SELECT 1 FROM delivery b"
            " WHERE b.state = 'delivered' AND b.event_id = a.event_id AND b.endpoint_id = a.endpoint_id)"
            " GROUP BY event_id",
            event_ids,
        )
        return {row["event_id"]: row["waiting"] for row in rows}

    def listing(self, event_id: str | None, state: str | None, limit: int = 500) -> list[dict[str, Any]]:
        """Deliveries, newest first."""
        rows = self._store.db.execute(
            "SELECT * FROM delivery WHERE (?1 IS NULL OR event_id = ?1) AND (?2 IS NULL OR state = ?2)"
            " ORDER BY id DESC LIMIT ?3",
            (event_id, state, limit),
        )
        return [dict(row) for row in rows]

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            pause = None if self._chaos.paused else self._launch_due()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    def _launch_due(self) -> float | None:
        """Start attempts that are due; returns the seconds until the next one (None: none waits)."""
        # Reversed order is only real when one arrives before the next one leaves.
        parallel = 1 if self._chaos.reorder else _PARALLEL
        order = "d.due_at > {now}, d.id DESC" if self._chaos.reorder else "d.due_at, d.id"
        now = time.time()
        pause: float | None = None
        for row in self._store.db.execute(_DUE.format(order=order.format(now=now))).fetchall():
            if row["id"] in self._sending:
                continue
            if row["due_at"] > now:
                pause = min(pause or row["due_at"] - now, row["due_at"] - now)
            elif len(self._sending) >= parallel:
                return None  # the end of an attempt wakes us
            else:
                self._sending[row["id"]] = asyncio.create_task(self._attempt(row))
        return pause

    async def _attempt(self, row: sqlite3.Row) -> None:
        try:
            status, error = await self._post(row)
            delivered = status is not None and 200 <= status < 300
            attempts = row["attempts"] + 1
            state = "delivered" if delivered else "pending" if attempts < MOST_ATTEMPTS else "failed"
            pause = RETRY_PAUSES_SECONDS[min(attempts, len(RETRY_PAUSES_SECONDS)) - 1]
            # A delivery that was cancelled meanwhile, by a reset or with its endpoint, stays so.
            self._store.db.execute(
                "UPDATE delivery SET attempts = ?, state = ?, due_at = ?, last_status = ?, last_error = ?"
                " WHERE id = ? AND state = 'pending'",
                (attempts, state, time.time() + pause, status, error, row["id"]),
            )
        finally:
            del self._sending[row["id"]]
            self._wake.set()

    async def _post(self, row: sqlite3.Row) -> tuple[int | None, str | None]:
        assert self._client is not None
        payload: str = row["event"]
        old = self._chaos.old_secret
        secrets = [old] if old is not None else self._endpoints.secrets_of(row["endpoint_id"])
        try:
            answer = await self._client.post(
                json.loads(row["endpoint"])["url"],
                content=payload.encode(),
                headers={
                    "content-type": "application/json; charset=utf-8",
                    "stripe-signature": sign(payload, secrets, int(time.time())),
                    "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
                },
            )
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return None, f"{type(error).__name__}: {error}"
        return answer.status_code, None if answer.is_success else answer.text[:500]

"""Outgoing signed webhooks of a stand-in: kept in its database, retried until somebody answers 2xx.

An event keeps its id over all attempts; each attempt has a fresh timestamp and signature. Chaos can
duplicate, reorder, delay or drop the next events.
"""

import asyncio
import json
import sqlite3
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

from devstack.lms_standin.database import transaction, utc_text

SCHEMA = """
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'held', 'dropped', 'delivered')),
    due_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    after_delivery INTEGER,
    last_status INTEGER,
    last_error TEXT,
    created_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (due_at) WHERE state = 'pending';
"""

_PAUSES_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_TIMEOUT_SECONDS = 5.0
_PARALLEL = 8
_HELD_AT_MOST_SECONDS = 3.0

_DUE = """
SELECT * FROM delivery d WHERE state = 'pending'
   AND (after_delivery IS NULL OR NOT EXISTS (
        SELECT 1 FROM delivery b WHERE b.id = d.after_delivery AND b.state = 'pending' AND b.attempts = 0))
 ORDER BY due_at, id LIMIT 20
"""


@dataclass
class Chaos:
    """What goes wrong with the next `count` events (None: with all, until told otherwise)."""

    duplicate: int = 0
    """Further copies sent of each event."""
    reorder: int = 0
    """Hold this many events, then send them last one first."""
    delay_seconds: float = 0.0
    """Pause before the first attempt."""
    drop: bool = False
    """Send nothing; the delivery stays in the log as `dropped` and can be released."""
    count: int | None = None
    """Events that this applies to."""


class Deliveries:
    """Queues events within the caller's transaction and sends them from a task of its own."""

    def __init__(self, connection: sqlite3.Connection, url: str | None, secret: str | None) -> None:
        """Without url or secret, events stay pending until both are known."""
        self._db = connection
        self.url = url
        self.secret = secret
        self.chaos = Chaos()
        self._wake = asyncio.Event()
        self._sending: dict[int, asyncio.Task[None]] = {}
        self._loop_task: asyncio.Task[None] | None = None
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Start sending, with what an earlier process left behind first."""
        self.release("held")
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False)
        self._loop_task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop sending; what is in flight is sent again by the next process."""
        tasks = [task for task in (self._loop_task, *self._sending.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def enqueue(self, event_id: str, event_type: str, data: dict[str, Any]) -> None:
        """Queue one event; call it in the transaction that makes the event true."""
        body = json.dumps({"id": event_id, "type": event_type, "timestamp": utc_text(), "data": data})
        chaos = self._take_chaos()
        state = "dropped" if chaos.drop else "held" if chaos.reorder > 1 else "pending"
        due_at = time.time() + chaos.delay_seconds
        with transaction(self._db):
            for _ in range(1 + (0 if chaos.drop else chaos.duplicate)):
                self._insert(event_id, event_type, body, state, due_at)
            if state == "held":
                self._release_reversed(chaos.reorder)
        if state == "held":
            # Never for ever: too few events for a swap still arrive.
            asyncio.get_running_loop().call_later(_HELD_AT_MOST_SECONDS, self.release, "held")
        self._wake.set()

    def _take_chaos(self) -> Chaos:
        chaos = self.chaos
        if chaos.count is None:
            return chaos
        chaos.count -= 1
        if chaos.count <= 0:
            self.chaos = Chaos()
        return chaos

    def _insert(self, event_id: str, event_type: str, body: str, state: str, due_at: float) -> None:
        self._db.execute(
            "INSERT INTO delivery (event_id, type, body, state, due_at, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (event_id, event_type, body, state, due_at, utc_text()),
        )

    def _release_reversed(self, size: int) -> None:
        rows = self._db.execute(
            "SELECT id, event_id FROM delivery WHERE state = 'held' ORDER BY id"
        ).fetchall()
        if len({row["event_id"] for row in rows}) < size:
            return
        previous: int | None = None
        for row in reversed(rows):
            # Each waits for the first attempt of the one before it, so the order is really reversed.
            self._db.execute(
                "UPDATE delivery SET state = 'pending', after_delivery = ? WHERE id = ?",
                (previous, row["id"]),
            )
            previous = row["id"]

    def release(self, state: str = "dropped") -> int:
        """Send held or dropped deliveries after all; returns how many."""
        done = self._db.execute(
            "UPDATE delivery SET state = 'pending', due_at = ? WHERE state = ?", (time.time(), state)
        )
        self._wake.set()
        return done.rowcount

    def send_again(self, event_id: str) -> int:
        """Queue one more copy of an event that was queued before; returns how many (0: unknown)."""
        done = self._db.execute(
            "INSERT INTO delivery (event_id, type, body, state, due_at, created_at)"
            " SELECT event_id, type, body, 'pending', ?, ? FROM delivery WHERE event_id = ? LIMIT 1",
            (time.time(), utc_text(), event_id),
        )
        self._wake.set()
        return done.rowcount

    def listing(self, event_id: str | None = None) -> list[dict[str, Any]]:
        """All deliveries in order of their making, or those of one event."""
        rows = self._db.execute(
            "SELECT * FROM delivery WHERE ?1 IS NULL OR event_id = ?1 ORDER BY id", (event_id,)
        )
        return [dict(row) | {"body": json.loads(row["body"])} for row in rows]

    def point_to(self, url: str | None, secret: str | None) -> None:
        """Send to another address or sign with another secret from now on."""
        self.url = url or self.url
        self.secret = secret or self.secret
        self._wake.set()

    def reset(self) -> None:
        """Forget all deliveries and end the chaos."""
        self._db.execute("DELETE FROM delivery")
        self.chaos = Chaos()

    def describe_chaos(self) -> dict[str, Any]:
        """The chaos in force."""
        return asdict(self.chaos)

    async def _run(self) -> None:
        while True:
            pause = self._launch_due()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()

    def _launch_due(self) -> float | None:
        """Start attempts that are due; returns the seconds until the next one (None: nothing waits)."""
        if not self.url or not self.secret:
            return None
        now = time.time()
        for row in self._db.execute(_DUE).fetchall():
            if row["id"] in self._sending:
                continue
            if len(self._sending) >= _PARALLEL:
                return None
            if row["due_at"] > now:
                return float(row["due_at"]) - now
            self._sending[row["id"]] = asyncio.create_task(self._attempt(row, self.url, self.secret))
        return None

    async def _attempt(self, row: sqlite3.Row, url: str, secret: str) -> None:
        try:
            status, error = await self._post(row, url, secret)
            delivered = status is not None and 200 <= status < 300
            pause = _PAUSES_SECONDS[min(row["attempts"], len(_PAUSES_SECONDS) - 1)]
            self._db.execute(
                "UPDATE delivery SET attempts = attempts + 1, state = ?, due_at = ?, last_status = ?,"
                " last_error = ? WHERE id = ?",
                ("delivered" if delivered else "pending", time.time() + pause, status, error, row["id"]),
            )
        finally:
            del self._sending[row["id"]]
            self._wake.set()

    async def _post(self, row: sqlite3.Row, url: str, secret: str) -> tuple[int | None, str | None]:
        assert self._client is not None
        now = datetime.now(UTC)
        try:
            signature = Webhook(secret).sign(row["event_id"], now, row["body"])
            answer = await self._client.post(
                url,
                content=row["body"].encode(),
                headers={
                    "content-type": "application/json",
                    "webhook-id": row["event_id"],
                    "webhook-timestamp": str(int(now.timestamp())),
                    "webhook-signature": signature,
                },
            )
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the delivery is tried again
            return None, f"{type(error).__name__}: {error}"
        return answer.status_code, None if answer.is_success else answer.text[:500]

"""What happens by itself a moment later: a dispute after a capture, a refund that fails, a late movement."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from devstack.stripe_standin.events import NOBODY, Events
from devstack.stripe_standin.store import Store

_TIMING = "timing"
DEFAULT_SECONDS: dict[str, float | None] = {
    "dispute": 0.5,  # from the capture to the dispute of pm_card_createDispute
    "refund_fail": 1.0,  # from the success to the failure of a refund to pm_card_refundFail
    "refund_settle": None,  # of a refund to pm_card_pendingRefund; None: only by the control route
    "bank_balance": 0.3,  # from a bank debit's success to its balance transaction
    "card_balance": 0.0,  # the same for cards captured asynchronously; 0: with the charge
    "decision": 0.5,  # from submitting winning_evidence or losing_evidence to the decision
}


class Tasks:
    """Due by the account's clock, so that moving the clock brings them forward; kept in the database."""

    def __init__(self, store: Store, events: Events, committed: Callable[[], None]) -> None:
        """`committed` is called after each task, so that its events are sent."""
        self._store = store
        self._committed = committed
        self._events = events
        self._wake = asyncio.Event()
        self._actions: dict[str, Callable[[str], object]] = {}
        self._running: asyncio.Task[None] | None = None

    def register(self, kind: str, action: Callable[[str], object]) -> None:
        """What a task of the kind does with its subject's id."""
        self._actions[kind] = action

    def timing(self) -> dict[str, float | None]:
        """Seconds that each kind of thing waits (None: until told)."""
        changed: dict[str, float | None] = self._store.setting(_TIMING, {})
        return DEFAULT_SECONDS | changed

    def set_timing(self, given: dict[str, float | None]) -> None:
        """Change some of them; refuses unknown names."""
        unknown = given.keys() - DEFAULT_SECONDS.keys()
        if unknown:
            raise ValueError(f"unknown members: {', '.join(sorted(unknown))}")
        self._store.set_setting(_TIMING, self.timing() | given)

    def later(self, kind: str, subject: str, timing: str) -> None:
        """Do it after the named pause; call it in the transaction that makes it necessary."""
        seconds = self.timing()[timing]
        if seconds is None:
            return
        self._store.db.execute(
            "INSERT INTO task (due_at, kind, subject) VALUES (?, ?, ?)",
            (self._store.clock() + seconds, kind, subject),
        )

    def wake(self) -> None:
        """Look for due tasks: there is a new one, or the clock moved."""
        self._wake.set()

    async def start(self) -> None:
        """Go on, with what an earlier process left first."""
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop; what is waiting stays in the database."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            pause = self._do_due()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    def _do_due(self) -> float | None:
        """Do what is due; returns the seconds until the next task (None: there is none)."""
        while True:
            row = self._store.db.execute("SELECT * FROM task ORDER BY due_at, id LIMIT 1").fetchone()
            if row is None:
                return None
            if row["due_at"] > self._store.clock():
                return float(row["due_at"]) - self._store.clock()
            with self._store.transaction():
                self._store.db.execute("DELETE FROM task WHERE id = ?", (row["id"],))
                self._events.cause = NOBODY
                self._actions[row["kind"]](row["subject"])
            self._committed()

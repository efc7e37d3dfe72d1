"""Ends what was to be kept for a time only: stored answers, logs, bodies of events."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from temporalio import activity

from activities.boundary import Transactions, translated
from models.database import Session
from models.queries import retention

# Less than an activity is given (workflows/options.py); the next run goes on with what is left.
_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Periods:
    """How many days each is kept."""

    inbox_days: int
    webhook_log_days: int
    audit_days: int


class RetentionActivities:
    """Steps of the purge, which a Schedule runs. Each returns how many rows it ended."""

    def __init__(self, transactions: Transactions, periods: Periods) -> None:
        self._transactions = transactions
        self._periods = periods

    @activity.defn
    @translated
    async def purge_answers(self) -> int:
        """Answers stored under idempotency keys, after the 72 hours of the contract."""
        return await self._in_batches(retention.purge_answers)

    @activity.defn
    @translated
    async def purge_webhook_log(self) -> int:
        """Requests to receivers of events, and their answers."""
        return await self._in_batches(partial(retention.purge_attempts, days=self._periods.webhook_log_days))

    @activity.defn
    @translated
    async def purge_inbox(self) -> int:
        """Bodies of inbound events."""
        return await self._in_batches(partial(retention.purge_inbox, days=self._periods.inbox_days))

    @activity.defn
    @translated
    async def purge_audit(self) -> int:
        """Entries of the audit log."""
        return await self._in_batches(partial(retention.purge_audit, days=self._periods.audit_days))

    async def _in_batches(self, purge: Callable[[Session], Awaitable[int]]) -> int:
        """A transaction each, so that nobody waits long for a row."""
        ends, total = time.monotonic() + _SECONDS, 0
        while time.monotonic() < ends:
            async with self._transactions.begin() as tx:
                done = await purge(tx.session)
            total += done
            if done < retention.BATCH:
                break
        return total

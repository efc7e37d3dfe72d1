"""The gate before the LMS: closed during its maintenance, and one pace for the calls of all workers."""

import asyncio
import random
from datetime import UTC, datetime

from activities.boundary import Transactions
from domain.errors import LmsUnavailable
from models.queries import lms_gate

# How long a call waits for its turn; beyond it, it gives its place in the worker to others.
_PATIENCE_SECONDS = 3.0
_LONGEST_PAUSE_SECONDS = 600.0
# After this many doublings of a second the longest pause is reached.
_DOUBLINGS = 10
# Over how long those come back who all waited for the same moment.
_SPREAD_SECONDS = 30.0
_LONGEST_QUEUE_PAUSE_SECONDS = 60.0


class InMaintenance(LmsUnavailable):
    """An operator closed the gate; nothing was asked of the LMS."""


class Busy(LmsUnavailable):
    """So many calls wait that this one's turn is far off; nothing was asked of the LMS."""


class LmsGate:
    """Passed before each call that workflows make."""

    def __init__(self, transactions: Transactions, *, calls_per_second: float) -> None:
        """`calls_per_second` holds for all workers together."""
        self._transactions = transactions
        self._per_second = calls_per_second

    async def enter(self, *, calls: int = 1) -> None:
        """Wait for the turn of so many calls; InMaintenance or Busy, without a wait, when it is not near."""
        async with self._transactions.begin() as tx:
            closed = await lms_gate.maintenance(tx.session)
            wait = None
            if closed is None:
                wait = await lms_gate.take_slot(
                    tx.session,
                    calls=calls,
                    per_second=self._per_second,
                    patience_seconds=_PATIENCE_SECONDS,
                )
        if closed is not None:
            left = (closed.until - datetime.now(UTC)).total_seconds()
            raise InMaintenance(
                f"maintenance of the LMS until {closed.until:%Y-%m-%d %H:%M} UTC: {closed.reason}",
                retry_after_seconds=min(max(left, 0.0), _LONGEST_PAUSE_SECONDS),
            )
        if wait is None:
            raise Busy(f"the calls allowed by LMS_CALLS_PER_SECOND={self._per_second:g} are taken")
        await asyncio.sleep(wait)


def pause_seconds(error: LmsUnavailable, attempt: int) -> float:
    """How long to wait before the next attempt: growing, and by chance, so that nobody comes back in step.

    What the LMS (or the maintenance) asks for is kept, and then spread.
    """
    chance = random.uniform(0.5, 1.0)
    if error.retry_after_seconds is not None:
        return error.retry_after_seconds + (chance - 0.5) * 2 * _SPREAD_SECONDS
    longest = _LONGEST_QUEUE_PAUSE_SECONDS if isinstance(error, Busy) else _LONGEST_PAUSE_SECONDS
    return float(min(2 ** min(attempt - 1, _DOUBLINGS), longest) * chance)


def waits_for(error: LmsUnavailable) -> str:
    """What an attempt waits for, as the entitlement's row keeps it."""
    if isinstance(error, InMaintenance):
        return "lms_maintenance"
    return "lms_busy" if isinstance(error, Busy) else "lms_unavailable"

"""Inbound events on their way to workflows: some at once, a few that wait, the rest left to the recovery."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

# Fewer than the pool `commands` has connections: a backlog takes none that a new event needs to be stored.
_AT_ONCE = 12
# With Temporal away every event would wait here, and when it is back each new one behind all of them.
_WAITING_AT_MOST = 100


class Dispatches:
    """The turns of one gateway."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def run(
        self,
        inbox_id: str,
        send: Callable[[], Awaitable[None]],
        is_dispatched: Callable[[], Awaitable[bool]],
    ) -> None:
        """Send a stored event when it is its turn; not at all when too many wait, or when somebody else has
        sent it meanwhile."""
        waits = self._turns.locked()
        if waits and self._waiting >= _WAITING_AT_MOST:
            log.warning("event %s is stored, and left to the recovery: too many wait", inbox_id)
            return
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            if not (waits and await is_dispatched()):
                await send()
        finally:
            self._turns.release()

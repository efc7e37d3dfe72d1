"""The gate before the LMS: closed during its maintenance, and one pace for the calls of all workers."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy.exc import SQLAlchemyError

from activities.boundary import Transactions
from domain.errors import LmsUnavailable
from integrations.lms.transport import NotSent
from models.queries import lms_gate

log = logging.getLogger(__name__)

# How long a call waits until it begins; beyond it, it gives its place in the worker to others.
_PATIENCE_SECONDS = 3.0
# How long one that has begun waits for the turn of a request.
_LONGEST_WAIT_SECONDS = 15.0
# How often it is looked for a turn while all are with calls that have no answer.
_LOOK_AGAIN_SECONDS = 0.05
# After it, a turn is free without an answer: its worker is dead, or the LMS is slow. A request needs less to
# reach the LMS. Others of a worker that was killed wait no longer than this.
_KEPT_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 600.0
# After this many doublings of a second the longest pause is reached.
_DOUBLINGS = 10
# Over how long those come back who all waited for the same moment.
_SPREAD_SECONDS = 30.0
_LONGEST_QUEUE_PAUSE_SECONDS = 60.0


class InMaintenance(NotSent):
    """An operator closed the gate; nothing was asked of the LMS."""


class Busy(NotSent):
    """So many calls wait that this one's turn is far off; nothing was asked of the LMS."""


class LmsGate:
    """Passed by each call that workflows make (`call`), and by each of its requests (`turn`).

    The LMS sees at most N requests in any second, however late a worker wakes and however long a request is
    on its way: there are N turns, and a turn is free again a second after its answer came. So between two
    requests of one turn the LMS sees a second or more, and there are no more turns.
    """

    def __init__(self, transactions: Transactions, *, calls_per_second: float) -> None:
        """`calls_per_second` holds for all workers together."""
        self._transactions = transactions
        self._per_second = calls_per_second
        self._turns = max(int(calls_per_second), 1)
        self._rest_seconds = max(1.0, self._turns / calls_per_second)
        # A call that has begun gets the turns that it needs, because no more begin than there are turns.
        self._under_way = asyncio.Semaphore(self._turns)
        # In order of arrival: one looks for a turn, the others wait for it to have one.
        self._looks = asyncio.Lock()
        self._are_made = False

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Wait until a call may begin; InMaintenance, or Busy when too many wait."""
        async with self._transactions.begin() as tx:
            closed = await lms_gate.maintenance(tx.session)
        if closed is not None:
            left = (closed.until - datetime.now(UTC)).total_seconds()
            raise InMaintenance(
                f"maintenance of the LMS until {closed.until:%Y-%m-%d %H:%M} UTC: {closed.reason}",
                retry_after_seconds=min(max(left, 0.0), _LONGEST_PAUSE_SECONDS),
            )
        async with _soon(self._under_way, _PATIENCE_SECONDS, self._busy()):
            yield

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and hold it until the request is answered; Busy when there is none for long."""
        holder = uuid4()
        wait = await self._take(holder)
        try:
            await asyncio.sleep(wait)
            yield
        finally:
            await self._give_back(holder)

    async def _take(self, holder: UUID) -> float:
        loop = asyncio.get_running_loop()
        gives_up = loop.time() + _LONGEST_WAIT_SECONDS
        async with _soon(self._looks, _LONGEST_WAIT_SECONDS, self._busy()):
            while (wait := await self._look(holder, max(gives_up - loop.time(), 0.0))) is None:
                if loop.time() > gives_up:
                    raise self._busy()
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            return wait

    async def _look(self, holder: UUID, patience_seconds: float) -> float | None:
        async with self._transactions.begin() as tx:
            if not self._are_made:
                await lms_gate.make_turns(tx.session, self._turns)
            wait = await lms_gate.take_turn(
                tx.session,
                holder,
                turns=self._turns,
                patience_seconds=patience_seconds,
                kept_seconds=_KEPT_SECONDS,
            )
        self._are_made = True
        return wait

    def _busy(self) -> Busy:
        return Busy(f"the calls allowed by LMS_CALLS_PER_SECOND={self._per_second:g} are taken")

    async def _give_back(self, holder: UUID) -> None:
        try:
            async with self._transactions.begin() as tx:
                await lms_gate.give_back_turn(tx.session, holder, rest_seconds=self._rest_seconds)
        except SQLAlchemyError as error:
            # What the LMS answered counts; the turn comes back by itself.
            log.warning("a turn at the LMS was not given back: %s", type(error).__name__)


@asynccontextmanager
async def _soon(
    lock: asyncio.Lock | asyncio.Semaphore, patience_seconds: float, busy: Busy
) -> AsyncIterator[None]:
    """Hold the lock; Busy when it can't be had within the patience."""
    try:
        await asyncio.wait_for(lock.acquire(), patience_seconds)
    except TimeoutError:
        raise busy from None
    try:
        yield
    finally:
        lock.release()


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

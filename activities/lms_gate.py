"""The gate before the LMS: closed during its maintenance, and one pace for the calls of all workers."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy.exc import SQLAlchemyError

from activities.boundary import Transactions
from domain.errors import LmsUnavailable
from integrations.lms.transport import NotSent
from models.queries import lms_gate

log = logging.getLogger(__name__)

# How long a call waits for its turn, and how many wait for each; beyond it, a call gives its place in the
# worker to others.
_PATIENCE_SECONDS = 3.0
_WAITING_FOR_A_TURN = 3
# How often it is looked for a turn while all are with calls that have no answer.
_LOOK_AGAIN_SECONDS = 0.05
# After it, a turn is free without an answer: its worker is dead, or the LMS is slow. Nobody waits longer for
# a worker that was killed.
_KEPT_SECONDS = 10.0
# Of that, what a request has to reach the LMS (integrations/http.py bounds how long it takes to be sent).
_TO_REACH_SECONDS = 8.0
_LONGEST_PAUSE_SECONDS = 600.0
# After this many doublings of a second the longest pause is reached.
_DOUBLINGS = 10
# Over how long those come back who all waited for the same moment.
_SPREAD_SECONDS = 30.0
_LONGEST_QUEUE_PAUSE_SECONDS = 60.0


class InMaintenance(NotSent):
    """An operator closed the gate; nothing was asked of the LMS."""


class Busy(NotSent):
    """So many calls wait that this one's turn is far off; nothing more was asked of the LMS."""


@dataclass(slots=True)
class _Turn:
    """Held by a call. Times are of this process's monotonic clock."""

    holder: UUID
    good_until: float
    """Until when a request may leave."""
    next_at: float
    answered: bool = True


# The turn of the call that this task makes; tasks that a call begins have it, too.
_held: ContextVar[_Turn] = ContextVar("lms_turn")


class LmsGate:
    """Passed by each call that workflows make in great numbers (`call`), and its requests (`request`).

    The LMS sees at most N of these requests in any second, however late a worker wakes and however long a
    request is on its way: there are N turns, of which each makes one request at a time, and the next a second
    after the answer. So between two requests of one turn the LMS sees a second or more.
    """

    def __init__(self, transactions: Transactions, *, calls_per_second: float) -> None:
        """`calls_per_second` holds for all workers together."""
        self._transactions = transactions
        self._per_second = calls_per_second
        self._turns = max(int(calls_per_second), 1)
        self._rest_seconds = max(1.0, self._turns / calls_per_second)
        # In order of arrival: one looks for a turn, the others wait for it to have one.
        self._looks = asyncio.Lock()
        self._waiting = 0
        self._are_made = False

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Wait for a turn, and hold it for all requests of a call.

        Raises InMaintenance, or Busy when the turn is not near; nothing was sent then.
        """
        turn = await self._take()
        token = _held.set(turn)
        try:
            await asyncio.sleep(turn.next_at - _now())
            yield
        finally:
            _held.reset(token)
            if turn.answered:
                await self._give_back(turn.holder)

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Around each request of a call, until it is answered; leave it with an error when no answer came.

        Raises Busy when the turn was lost: the worker stood still for long.
        """
        turn = _held.get()
        await asyncio.sleep(turn.next_at - _now())
        if not turn.answered or (_now() > turn.good_until and not await self._renew(turn)):
            raise self._busy()
        turn.answered = False
        yield
        turn.answered, turn.next_at = True, _now() + self._rest_seconds

    async def _take(self) -> _Turn:
        if self._waiting >= _WAITING_FOR_A_TURN * self._turns:
            raise self._busy()
        holder, gives_up = uuid4(), _now() + _PATIENCE_SECONDS
        self._waiting += 1
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._looks.acquire()
            try:
                while (turn := await self._look(holder, max(gives_up - _now(), 0.0))) is None:
                    if _now() > gives_up:
                        raise self._busy()
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                return turn
            finally:
                self._looks.release()
        except TimeoutError:
            raise self._busy() from None
        except asyncio.CancelledError:
            await self._give_back(holder)
            raise
        finally:
            self._waiting -= 1

    async def _look(self, holder: UUID, patience_seconds: float) -> _Turn | None:
        began = _now()
        async with self._transactions.begin() as tx:
            closed = await lms_gate.maintenance(tx.session)
            wait = None
            if closed is None:
                if not self._are_made:
                    await lms_gate.make_turns(tx.session, self._turns)
                wait = await lms_gate.take_turn(
                    tx.session,
                    holder,
                    turns=self._turns,
                    patience_seconds=patience_seconds,
                    kept_seconds=_KEPT_SECONDS,
                )
        if closed is not None:
            left = (closed.until - datetime.now(UTC)).total_seconds()
            raise InMaintenance(
                f"maintenance of the LMS until {closed.until:%Y-%m-%d %H:%M} UTC: {closed.reason}",
                retry_after_seconds=min(max(left, 0.0), _LONGEST_PAUSE_SECONDS),
            )
        self._are_made = True
        if wait is None:
            return None
        leaves_by = began + wait + _KEPT_SECONDS - _TO_REACH_SECONDS
        return _Turn(holder, good_until=leaves_by, next_at=_now() + wait)

    async def _renew(self, turn: _Turn) -> bool:
        """Whether the turn is still held, and so for another while."""
        began = _now()
        try:
            async with self._transactions.begin() as tx:
                held = await lms_gate.keep_turn(tx.session, turn.holder, kept_seconds=_KEPT_SECONDS)
        except SQLAlchemyError:
            return False
        turn.good_until = began + _KEPT_SECONDS - _TO_REACH_SECONDS
        return held

    def _busy(self) -> Busy:
        return Busy(f"the calls allowed by LMS_CALLS_PER_SECOND={self._per_second:g} are taken")

    async def _give_back(self, holder: UUID) -> None:
        try:
            async with self._transactions.begin() as tx:
                await lms_gate.give_back_turn(tx.session, holder, rest_seconds=self._rest_seconds)
        except SQLAlchemyError as error:
            # What the LMS answered counts; the turn comes back by itself.
            log.warning("a turn at the LMS was not given back: %s", type(error).__name__)


def _now() -> float:
    return asyncio.get_running_loop().time()


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

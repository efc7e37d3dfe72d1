"""One grant or revoke at the LMS, followed to its end."""

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import activity

from activities.boundary import Transactions
from activities.lms_gate import LmsGate
from domain.errors import LmsRejected, LmsUnavailable
from integrations.lms.port import Lms
from integrations.lms.transport import NotSent
from models.queries import lms_calls
from models.queries.lms_calls import Action, Call

# With the waits for turns (activities/lms_gate.py), and less than an attempt is given (workflows/options.py:
# LMS). An adapter's own time-out is for each request, and each wait within one.
_CALL_SECONDS = 40.0


class LmsCalls:
    """Asks the LMS to let somebody in or to shut them out.

    A call that was sent can't be taken back: who wants it ended waits until it is, and one whose answer is
    lost is written down as one that may land later (models/queries/lms_calls.py).
    """

    def __init__(
        self, transactions: Transactions, lms: Lms, gate: LmsGate, *, lands_within_seconds: float
    ) -> None:
        """`lands_within_seconds`: how long after it was sent a call may still take effect at the LMS."""
        self._transactions = transactions
        self._lms = lms
        self._gate = gate
        self._lands_within_seconds = lands_within_seconds

    async def make(
        self, action: Action, entitlement_id: str, lms_user_id: str, course_id: str, *, again_at: int | None
    ) -> None:
        """One attempt. Raises LmsUnavailable, LmsRejected; CancelledError once it has ended."""
        async with self._gate.call():
            async with self._transactions.begin() as tx:
                call = await lms_calls.begin(
                    tx.session, entitlement_id, action, lands_within_seconds=self._lands_within_seconds
                )
            ask = self._lms.grant if action == "grant" else self._lms.revoke
            asked = asyncio.create_task(self._follow(call, ask, lms_user_id, course_id, again_at))
            await to_its_end(asked)

    async def _follow(
        self,
        call: Call,
        ask: Callable[[str, str], Awaitable[None]],
        lms_user_id: str,
        course_id: str,
        again_at: int | None,
    ) -> None:
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                await ask(lms_user_id, course_id)
        except (NotSent, LmsRejected):
            async with self._transactions.begin() as tx:
                await lms_calls.had_no_effect(tx.session, call)
            raise
        except TimeoutError as error:
            raise LmsUnavailable(f"the LMS did not answer within {_CALL_SECONDS:g} s") from error
        async with self._transactions.begin() as tx:
            await lms_calls.succeeded(tx.session, call, again_at=again_at)


async def to_its_end(asked: asyncio.Task[None]) -> None:
    """Wait for a call, also when it is to be cancelled: only then that is reported.

    A worker that stops waits for nothing: to whoever goes on, the call is one of unknown outcome.
    """
    cancelled: asyncio.CancelledError | None = None
    stops = asyncio.create_task(activity.wait_for_worker_shutdown())
    try:
        while not asked.done():
            awaited = {asked} if cancelled is None else {asked, stops}
            try:
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError as error:
                cancelled = error
            if cancelled is not None and activity.is_worker_shutdown():
                asked.cancel()
                raise cancelled
    finally:
        stops.cancel()
    if cancelled is not None:
        asked.exception()  # looked at: what it says is for nobody any more
        raise cancelled
    asked.result()

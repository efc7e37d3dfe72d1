"""Asking an LMS that sends no events whether courses were completed."""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.boundary import Transactions, translated
from activities.lms_gate import LmsGate
from domain import ids
from domain.errors import LmsRejected, LmsUnavailable
from integrations.dispatch import Dispatcher
from integrations.lms.port import PollsCompletion
from models.queries import completions, polling
from models.queries.polling import OpenEnrolment, RecentCompletion

log = logging.getLogger(__name__)

# Less than the activity is given (workflows/options.py), however slow the LMS and its pace are.
_SECONDS = 240


@dataclass(frozen=True)
class Polled:
    """How many enrolments were asked for, how many were completed, and why it ended early; how many
    completions the LMS no longer knew."""

    asked: int
    completed: int
    stopped_by: str | None = None
    taken_back: int = 0


class CompletionActivities:
    """Steps of the completion polling, which a Schedule runs where the LMS sends no events."""

    def __init__(
        self,
        transactions: Transactions,
        lms: PollsCompletion,
        dispatcher: Dispatcher,
        gate: LmsGate,
        *,
        at_once: int,
    ) -> None:
        """`at_once` bounds the calls of one run."""
        self._transactions = transactions
        self._lms = lms
        self._dispatcher = dispatcher
        self._gate = gate
        self._at_once = at_once

    @activity.defn
    @translated
    async def poll_completions(self) -> Polled:
        """Ask for the enrolments that were not asked for longest; store and tell what was completed. Calls
        that are left over ask, once a day, whether what was completed lately still is.

        An LMS that is away ends the run: the next one asks again. What it refuses concerns one enrolment.
        """
        async with self._transactions.begin() as tx:
            enrolments = await polling.open_enrolments(tx.session, self._at_once)
            spare = self._at_once - len(enrolments)
            recent = await polling.recent_completions(tx.session, spare) if spare else []
        asked = completed = taken_back = 0
        ends = time.monotonic() + _SECONDS
        try:
            for enrolment in enrolments:
                if time.monotonic() > ends:
                    break
                asked += 1
                if await self._is_completed(enrolment):
                    await self._take_in(enrolment)
                    completed += 1
            for one in recent:
                if time.monotonic() > ends:
                    break
                asked += 1
                if await self._is_completed(one) is False:
                    await self._take_back(one)
                    taken_back += 1
        except LmsUnavailable as error:
            return Polled(asked, completed, error.detail, taken_back)
        return Polled(asked, completed, None, taken_back)

    async def _is_completed(self, one: OpenEnrolment | RecentCompletion) -> bool | None:
        """None when the LMS can't or won't say; raises LmsUnavailable."""
        async with self._gate.call():
            try:
                return await self._lms.completed(one.lms_user_id, one.lms_course_id)
            except LmsRejected as error:
                log.warning("completion of course %s can't be read: %s", one.lms_course_id, error.code)
                return None
            finally:  # one that breaks every run would else stand before all others
                async with self._transactions.begin() as tx:
                    await polling.mark_asked(tx.session, one.entitlement_id)

    async def _take_back(self, recent: RecentCompletion) -> None:
        async with self._transactions.begin() as tx:
            await completions.take_back(
                tx.session,
                lms_event_id=ids.polled_revocation_id(recent.completion_id),
                lms_user_id=recent.lms_user_id,
                lms_course_id=recent.lms_course_id,
                revoked_at=datetime.now(UTC),
            )

    async def _take_in(self, enrolment: OpenEnrolment) -> None:
        async with self._transactions.begin() as tx:
            times = await polling.times_taken_back(tx.session, enrolment.lms_user_id, enrolment.lms_course_id)
            await completions.store(
                tx.session,
                lms_event_id=ids.polled_completion_id(enrolment.lms_user_id, enrolment.lms_course_id, times),
                lms_user_id=enrolment.lms_user_id,
                lms_course_id=enrolment.lms_course_id,
                completed_at=datetime.now(UTC),
            )
        await self._dispatcher.wake_entitlement(enrolment.user_id, enrolment.lms_course_id)

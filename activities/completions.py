"""Asking an LMS that sends no events whether courses were completed."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.boundary import Transactions, translated
from activities.lms_gate import LmsGate
from domain import ids
from domain.errors import LmsRejected, LmsUnavailable
from integrations.dispatch import Dispatcher
from integrations.lms.port import PollsCompletion
from models.queries import completions, entitlements
from models.queries.completions import OpenEnrolment

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Polled:
    """How many enrolments were asked for, how many were completed, and why it ended early."""

    asked: int
    completed: int
    stopped_by: str | None = None


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
        """Ask for the enrolments that were not asked for longest; store and tell what was completed.

        An LMS that is away ends the run: the next one asks again. What it refuses concerns one enrolment.
        """
        async with self._transactions.begin() as tx:
            enrolments = await completions.take_to_poll(tx.session, self._at_once)
        completed = 0
        for asked, enrolment in enumerate(enrolments, start=1):
            try:
                await self._gate.enter()
                done = await self._lms.completed(enrolment.lms_user_id, enrolment.lms_course_id)
            except LmsUnavailable as error:
                return Polled(asked, completed, error.detail)
            except LmsRejected as error:
                log.warning("completion of course %s can't be read: %s", enrolment.lms_course_id, error.code)
                continue
            if done:
                await self._take_in(enrolment)
                completed += 1
        return Polled(len(enrolments), completed)

    async def _take_in(self, enrolment: OpenEnrolment) -> None:
        async with self._transactions.begin() as tx:
            await entitlements.store_completion(
                tx.session,
                lms_event_id=ids.polled_completion_id(enrolment.lms_user_id, enrolment.lms_course_id),
                lms_user_id=enrolment.lms_user_id,
                lms_course_id=enrolment.lms_course_id,
                completed_at=datetime.now(UTC),
            )
        await self._dispatcher.wake_entitlement(enrolment.user_id, enrolment.lms_course_id)

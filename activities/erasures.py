"""Erases persons, once nothing of theirs is open."""

from dataclasses import dataclass

from temporalio import activity

from activities.boundary import Transaction, Transactions, translated
from domain.erasure import ErasureSource
from domain.event_data import PersonErased
from domain.ids import person_stream
from domain.messages import ErasureInput
from models.queries import erasures, people, wiping
from models.queries.erasures import ErasureRow
from models.queries.outbox import Publication


@dataclass(frozen=True)
class ErasureReview:
    """Where an erasure stands. `last_look_at` in seconds since the epoch, 0 while something is waited
    for."""

    lms_user_id: str
    waits_for: list[str]
    last_look_at: float
    done: bool


class ErasureActivities:
    """The step of the erasure workflow.

    `last_look_after_seconds`: as long as an access token is good, so that after it nothing can come in with
    one that was issued before.
    """

    def __init__(self, transactions: Transactions, *, last_look_after_seconds: float) -> None:
        self._transactions = transactions
        self._last_look_after_seconds = last_look_after_seconds

    @activity.defn
    @translated
    async def erase_person(self, given: ErasureInput) -> ErasureReview:
        """Wipe all that is held of a person, in one transaction; or say what is still open of theirs."""
        async with self._transactions.begin() as tx:
            row = await erasures.take_open(tx.session, given.user_id)
            user = await people.get(tx.session, given.user_id)
            if row is None or user is None:
                return ErasureReview("" if user is None else user.lms_user_id, [], 0, done=True)
            if row.source is ErasureSource.LMS and row.erased_at is None and not user.gone:
                await erasures.withdraw(tx.session, row.id)  # the LMS let them in again
                return ErasureReview(user.lms_user_id, [], 0, done=True)
            waits_for = await erasures.stands_against(tx.session, given.user_id)
            came_back = row.erased_at is not None and user.erased_at is None
            if came_back:
                row = await erasures.set_erased(tx.session, row.id, done_if_before=given.now)
            elif waits_for:
                await erasures.set_waits(tx.session, row.id, waits_for)
                return ErasureReview(user.lms_user_id, waits_for, 0, done=False)
            else:
                row = await self._wipe(tx, row, user.lms_user_id, given.now)
            assert row.erased_at is not None
            last_look_at = row.erased_at.timestamp() + self._last_look_after_seconds
            return ErasureReview(user.lms_user_id, [], last_look_at, done=row.done_at is not None)

    async def _wipe(self, tx: Transaction, row: ErasureRow, lms_user_id: str, now: float) -> ErasureRow:
        await wiping.wipe(tx.session, row.user_id)
        tx.publish(
            Publication(
                f"person:{row.id}:erased",
                "person.erased",
                person_stream(row.user_id),
                PersonErased(user_id=row.user_id, lms_user_id=lms_user_id),
            )
        )
        before = now - self._last_look_after_seconds
        return await erasures.set_erased(tx.session, row.id, done_if_before=before)

"""Moves what was one account's to the one that the LMS merged it into."""

from dataclasses import dataclass

from temporalio import activity

from activities.boundary import Transaction, Transactions, translated
from domain.event_data import PersonMerged
from domain.ids import instructor_payee, person_stream
from domain.messages import MergeInput
from domain.money import as_read
from domain.tasks import TaskKind
from integrations.dispatch import Dispatcher
from models.queries import double_purchases, merges, payees, split_rules, store_credit, tasks
from models.queries.merges import MergeRow, Taken
from models.queries.outbox import Publication
from models.queries.people import UserRow


@dataclass(frozen=True)
class MergeReview:
    """Where a merge stands. `last_look_at` in seconds since the epoch, 0 while something is waited for."""

    lms_user_id: str
    into_lms_user_id: str
    waits_for: list[str]
    last_look_at: float
    done: bool


class MergeActivities:
    """Steps of the merge workflow.

    `last_look_after_seconds`: as long as an access token is good, so that after it nothing can come in with
    one of the account that ended.
    """

    def __init__(
        self, transactions: Transactions, dispatcher: Dispatcher, *, last_look_after_seconds: float
    ) -> None:
        self._transactions = transactions
        self._dispatcher = dispatcher
        self._last_look_after_seconds = last_look_after_seconds

    @activity.defn
    @translated
    async def merge_person(self, given: MergeInput) -> MergeReview:
        """Move all that is theirs, in one transaction; or say what stands against it."""
        async with self._transactions.begin() as tx:
            taken = await merges.take(tx.session, given.merge_id)
            if taken is None:
                return MergeReview("", "", [], 0, done=True)
            row, user = taken.row, taken.absorbed
            waits_for = await merges.stands_against(tx.session, row)
            came_back = row.moved_at is not None and not user.merged
            if waits_for and not came_back:
                await merges.set_waits(tx.session, row.id, waits_for)
                return MergeReview(user.lms_user_id, row.into_lms_user_id, waits_for, 0, done=False)
            if not came_back:
                row = await self._move(tx, taken)
            assert row.moved_at is not None
            last_look_at = row.moved_at.timestamp() + self._last_look_after_seconds
            return MergeReview(
                user.lms_user_id,
                row.into_lms_user_id,
                [],
                last_look_at,
                done=came_back or last_look_at <= given.now,
            )

    async def _move(self, tx: Transaction, taken: Taken) -> MergeRow:
        row, user, survivor = taken.row, taken.absorbed, taken.survivor
        await merges.move(tx.session, taken)
        await _leave_to_operators(tx, row, user, survivor)
        tx.publish(
            Publication(
                f"person:{row.id}:merged",
                "person.merged",
                person_stream(user.id),
                PersonMerged(
                    user_id=user.id,
                    lms_user_id=user.lms_user_id,
                    into_user_id=survivor.id,
                    into_lms_user_id=survivor.lms_user_id,
                ),
            )
        )
        row = await merges.set_moved(tx.session, row.id, survivor.id)
        tx.questions += await double_purchases.ask(tx.session, survivor.id)
        return row

    @activity.defn
    @translated
    async def tell_merged(self, given: MergeInput) -> None:
        """Wake the writers of both users' accesses, the splits of the lines, new questions, and merges that
        waited for this one."""
        async with self._transactions.begin() as tx:
            row = await merges.get(tx.session, given.merge_id)
            if row is None or row.into_user_id is None:
                return
            concerned = await merges.concerned(tx.session, row)
        for course_id in concerned.courses:
            await self._dispatcher.wake_entitlement(row.user_id, course_id)
            await self._dispatcher.wake_entitlement(row.into_user_id, course_id)
        for line_id in concerned.line_ids:
            await self._dispatcher.line_changed(line_id)
        for question_id in concerned.question_ids:
            await self._dispatcher.wake_resolution(question_id)
        for merge_id in concerned.merge_ids:
            await self._dispatcher.wake_merge(merge_id)

    @activity.defn
    @translated
    async def end_merge(self, given: MergeInput) -> None:
        """All were told, and nothing more comes."""
        async with self._transactions.begin() as tx:
            await merges.set_done(tx.session, given.merge_id)


async def _leave_to_operators(tx: Transaction, row: MergeRow, user: UserRow, survivor: UserRow) -> None:
    """What no rule moves: the ledger holds it by name, and somebody may have been promised otherwise."""
    who = f"The LMS merged user {user.lms_user_id} into {survivor.lms_user_id}"
    left = [
        f"{as_read(balance.balance, balance.currency)}"
        for balance in await store_credit.balances(tx.session, user.id)
        if balance.balance
    ]
    if left:
        await tasks.open_once(
            tx.session,
            key=f"{TaskKind.MERGED_STORE_CREDIT}/{row.id}",
            kind=TaskKind.MERGED_STORE_CREDIT,
            user_id=survivor.id,
            what=f"{who}, who has store credit left: {', '.join(left)}. Give it to user {survivor.id}, and "
            f"take it from user {user.id}, by adjustments that name each other.",
        )
    payee = instructor_payee(user.lms_user_id)
    if await payees.balances(tx.session, payee) or await split_rules.names(tx.session, payee):
        await tasks.open_once(
            tx.session,
            key=f"{TaskKind.MERGED_PAYEE}/{row.id}",
            kind=TaskKind.MERGED_PAYEE,
            user_id=survivor.id,
            what=f"{who}, who is the payee {payee}. What was earned stays theirs: tell the payout system. "
            f"Split rules that name them pay on to {payee}: add versions that name "
            f"{instructor_payee(survivor.lms_user_id)}.",
        )

"""What follows when the LMS tells that a person's account changed."""

from dataclasses import dataclass, field

from temporalio import activity

from activities.boundary import Transaction, Transactions, translated
from activities.lms_gate import LmsGate, pause_seconds
from domain.errors import LmsRejected, LmsUnavailable, UnknownUser, UserNotReady
from domain.event_data import PersonUpdated
from domain.ids import person_stream
from domain.messages import AccountInput
from domain.tasks import TaskKind
from integrations.dispatch import Dispatcher
from integrations.lms.port import Lms, LmsUser
from models.queries import account_changes, tasks
from models.queries.account_changes import Cache, ChangeRow
from models.queries.outbox import Publication

# Refusals of access whose cause was the account; what else the LMS refuses, a change of it does not mend.
_OF_THE_ACCOUNT = (UnknownUser.code, UserNotReady.code)


@dataclass(frozen=True)
class AccountPlan:
    """What is to be followed: `told` counts what the LMS told of the account; `open` is False when all that
    follows was done, or nothing does."""

    user_id: str
    lms_user_id: str
    told: int
    open: bool


@dataclass(frozen=True)
class AccountReading:
    """What came of asking the LMS. `crossed`: the cache was brought up to date by somebody else meanwhile, or
    the person is gone, so look again; `found`: the LMS has the account; `changed`: members of the cache that
    receivers were told of, by name."""

    found: bool = False
    crossed: bool = False
    changed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AccountAccesses:
    """Accesses of one user that are to be asked for again."""

    user_id: str
    course_ids: list[str]


class AccountActivities:
    """Steps of the account change workflow."""

    def __init__(self, transactions: Transactions, lms: Lms, dispatcher: Dispatcher, gate: LmsGate) -> None:
        self._transactions = transactions
        self._lms = lms
        self._dispatcher = dispatcher
        self._gate = gate

    @activity.defn
    @translated
    async def plan_account(self, given: AccountInput) -> AccountPlan:
        """What was told and not followed. Who is erased, merged or gone is left alone: nothing follows."""
        async with self._transactions.begin() as tx:
            row = await account_changes.get(tx.session, given.user_id)
            if row is None:
                return AccountPlan(given.user_id, "", 0, open=False)
            if row.open and not row.living:
                await account_changes.set_followed(tx.session, row.user_id, row.told)
            return AccountPlan(row.user_id, row.lms_user_id, row.told, open=row.open and row.living)

    @activity.defn
    @translated
    async def read_account(self, plan: AccountPlan) -> AccountReading:
        """Ask the LMS for the account as it is now, at its turn, and take user name, email and name over. An
        account that it does not know, or will not tell of, becomes an operator's task, never a deletion."""
        async with self._transactions.begin() as tx:
            before = await account_changes.get(tx.session, plan.user_id)
        if before is None or not before.living:
            return AccountReading(crossed=True)
        try:
            async with self._gate.call():
                user = await self._lms.get_user(before.lms_user_id)
        except LmsUnavailable as error:
            pause = pause_seconds(error, activity.info().attempt)
            raise LmsUnavailable(error.detail, retry_after_seconds=pause) from error
        except LmsRejected as error:
            return await self._not_found(before, f"and would not tell of it ({error.code})")
        if user is None:
            return await self._not_found(before, "and does not know it")
        return await self._found(before, user)

    async def _found(self, before: ChangeRow, user: LmsUser) -> AccountReading:
        async with self._transactions.begin() as tx:
            cache = Cache(user.username, user.email, user.full_name)
            if not await account_changes.take_over(tx.session, before, cache):
                return AccountReading(crossed=True)
            return AccountReading(found=True, changed=await _tell(tx, before))

    async def _not_found(self, before: ChangeRow, what: str) -> AccountReading:
        async with self._transactions.begin() as tx:
            await tasks.open_once(
                tx.session,
                key=f"{TaskKind.ACCOUNT_NOT_FOUND}/{before.user_id}/{before.told}",
                kind=TaskKind.ACCOUNT_NOT_FOUND,
                user_id=before.user_id,
                what=f"The LMS told that the account of user {before.lms_user_id} changed, {what}. Nothing "
                "was undone. If it is gone, have the person erased; else look at the LMS's settings.",
            )
            return AccountReading(changed=await _tell(tx, before))

    @activity.defn
    @translated
    async def ask_refused_again(self, plan: AccountPlan) -> AccountAccesses:
        """Accesses that the LMS refused because of the account are wanted anew: it may be confirmed now, no
        longer suspended, or have another name."""
        async with self._transactions.begin() as tx:
            courses = await account_changes.ask_refused_again(tx.session, plan.user_id, _OF_THE_ACCOUNT)
        return AccountAccesses(plan.user_id, courses)

    @activity.defn
    @translated
    async def wake_accesses(self, given: AccountAccesses) -> None:
        """Wake the one writer of each."""
        for course_id in given.course_ids:
            await self._dispatcher.wake_entitlement(given.user_id, course_id)

    @activity.defn
    @translated
    async def end_account_change(self, plan: AccountPlan) -> None:
        """All that was told when it was planned has been followed."""
        async with self._transactions.begin() as tx:
            await account_changes.set_followed(tx.session, plan.user_id, plan.told)


async def _tell(tx: Transaction, before: ChangeRow) -> list[str]:
    """Tell receivers, who may have copies, which members changed; what they say now, the LMS can be asked."""
    untold = await account_changes.take_untold(tx.session, before.user_id)
    if untold is None:
        return []
    tx.publish(
        Publication(
            f"person:{before.user_id}:updated:{untold.number}",
            "person.updated",
            person_stream(before.user_id),
            PersonUpdated(user_id=before.user_id, lms_user_id=before.lms_user_id, changed=untold.changed),
        )
    )
    return untold.changed

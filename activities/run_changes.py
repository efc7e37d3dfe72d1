"""A cancelled or rescheduled run: every buyer is asked, every order that may still be paid is followed."""

from dataclasses import dataclass

from temporalio import activity

from activities.boundary import Transaction, Transactions, translated
from domain import ids
from domain.errors import CommerceError
from domain.messages import RunChangeInput
from domain.resolutions import RunChangeKind
from integrations.dispatch import Dispatcher
from models.queries import run_changes
from models.queries.run_changes import Outstanding, RunChangeRow, Tally

# Questions opened, and their workflows started, by one activity.
_AT_ONCE = 50


@dataclass(frozen=True)
class ChangeReview:
    """Where a change stands: what was done about it just now, and what it waits for."""

    title: str
    kind: RunChangeKind
    reason: str
    deadline: str
    done: bool
    more: bool
    asked: int
    answered: str
    unsettled: int
    pending_orders: int
    processing_orders: int


class RunChangeActivities:
    """The step of the run change workflow."""

    def __init__(self, transactions: Transactions, dispatcher: Dispatcher) -> None:
        self._transactions = transactions
        self._dispatcher = dispatcher

    @activity.defn
    @translated
    async def review_run_change(self, given: RunChangeInput) -> ChangeReview:
        """Ask the next buyers, cancel orders of a cancelled run that are not paid, and see what is left."""
        async with self._transactions.begin() as tx:
            change = await _require(tx, given.change_id)
            woken: list[str] = []
            opened = 0
            if change.done_at is None and not change.superseded:
                # Each ends by itself, tells so, and wakes this change: then its line is asked anew.
                woken = await run_changes.superseded_questions(tx.session, change, at_most=_AT_ONCE)
                opened = await run_changes.open_questions(tx.session, change, at_most=_AT_ONCE)
            # An order that becomes worth something again is counted here, or opens the change after it.
            change = await _require(tx, given.change_id, lock=True)
            left = await run_changes.outstanding(tx.session, change)
            done = change.done_at is not None or change.superseded or left.nothing
            if done:
                await run_changes.set_done(tx.session, change.id)
            tally = await run_changes.tally(tx.session, change.id)
            woken += await run_changes.unasked_questions(tx.session, change.id)
        for resolution_id in woken:
            await self._dispatcher.wake_resolution(resolution_id)
        if not done and change.kind is RunChangeKind.CANCELLED:
            await self._cancel(change, left)
        return _review(change, left, tally, done=done, more=opened == _AT_ONCE)

    async def _cancel(self, change: RunChangeRow, left: Outstanding) -> None:
        """An order that can't be canceled any more is paid, or will be: the next look finds it so."""
        look = activity.info().activity_id
        for order_id in left.pending:
            await self._dispatcher.cancel_unpaid_order(
                order_id,
                "the cancellation of its run",
                ids.cancel_for_run_update_id(change.id, f"{activity.info().workflow_run_id}/{look}"),
            )


async def _require(tx: Transaction, change_id: str, *, lock: bool = False) -> RunChangeRow:
    change = await run_changes.get(tx.session, change_id, lock=lock)
    if change is None:
        raise CommerceError(f"run change {change_id} has no row")
    return change


async def wake_changes(transactions: Transactions, dispatcher: Dispatcher, line_ids: list[str]) -> None:
    """Have the changes of runs that these lines are to be asked about look at them now."""
    if not line_ids:
        return
    async with transactions.begin() as tx:
        found = await run_changes.waiting_for(tx.session, line_ids)
    for change_id in found:
        await dispatcher.wake_run_change(change_id)


def _review(change: RunChangeRow, left: Outstanding, tally: Tally, *, done: bool, more: bool) -> ChangeReview:
    answered = (
        f"{tally.other_run} other run, {tally.store_credit} store credit, {tally.refund} refund, "
        f"{tally.keep} kept, {tally.withdrawn} withdrawn"
    )
    return ChangeReview(
        title=change.title,
        kind=change.kind,
        reason=change.reason,
        deadline=f"{change.deadline:%Y-%m-%d %H:%M} UTC",
        done=done,
        more=more,
        asked=tally.asked,
        answered=answered,
        unsettled=left.unsettled + left.unasked,
        pending_orders=len(left.pending),
        processing_orders=left.processing,
    )

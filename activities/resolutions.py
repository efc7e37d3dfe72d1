"""Questions to buyers: asked, decided, withdrawn; what a choice means is written with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from temporalio import activity

from activities import line_moves, refund_reservation
from activities.boundary import Transaction, Transactions, translated
from activities.earnings import ledger_of
from activities.refund_books import require_order
from activities.refusals import Refusal, refusal_of
from activities.run_changes import wake_changes
from domain.errors import CommerceError, Conflict, InvalidInput
from domain.event_data import ResolutionAsked, ResolutionData, ResolutionDecided, ResolutionWithdrawn
from domain.ids import order_stream
from domain.ledger import NothingLeft
from domain.messages import ResolutionDecision, ResolutionInput
from domain.orders import DisputeState, EntitlementStatus
from domain.resolutions import (
    ResolutionCause,
    ResolutionChoice,
    ResolutionState,
    choices_of,
    default_of,
)
from integrations.dispatch import Dispatcher
from models.queries import double_purchases, order_lines, orders, refunds, resolutions, run_changes
from models.queries.order_lines import LineRow
from models.queries.orders import OrderRow
from models.queries.outbox import Publication
from models.queries.recorded_commands import CommandRow
from models.queries.resolutions import ResolutionRow

# The decision that nobody made.
DEADLINE = "deadline"


@dataclass(frozen=True)
class Question:
    """Where a question stands; `deadline` in seconds since the epoch. `refusal` is why a choice can't be."""

    resolution_id: str
    order_number: str
    lms_user_id: str
    course_id: str
    title: str
    cause: ResolutionCause
    reason: str
    state: ResolutionState
    deadline: float
    choice: ResolutionChoice | None = None
    decided_by: str | None = None
    refusal: Refusal | None = None
    choices: tuple[ResolutionChoice, ...] = ()


class ResolutionActivities:
    """Steps of the resolution workflow."""

    def __init__(self, transactions: Transactions, dispatcher: Dispatcher, *, days: float) -> None:
        self._transactions = transactions
        self._dispatcher = dispatcher
        self._days = days

    @activity.defn
    @translated
    async def review_resolution(self, given: ResolutionInput) -> Question:
        """Ask the buyer, once; or withdraw the question, when its cause has gone."""
        async with self._transactions.begin() as tx:
            row, order, _ = await _locked(tx, given.resolution_id)
            stays = row.state is ResolutionState.OPEN and not await _withdrawn(tx, row, order)
            if stays and await resolutions.ask(tx.session, row.id, self._days):
                await _announce(tx, await _require(tx, row.id))
            return _question(await _require(tx, row.id))

    @activity.defn
    @translated
    async def decide_resolution(self, given: ResolutionDecision) -> Question:
        """Carry a choice out, in one transaction with its record; or say why it can't be.

        The order and its lines are locked, so of two choices, or of a choice and a refund, one comes first
        and the other finds what it left.
        """
        try:
            async with self._transactions.begin() as tx:
                row, order, line = await _locked(tx, given.resolution_id)
                if row.state is ResolutionState.OPEN and not await _withdrawn(tx, row, order):
                    await _decide(tx, row, order, line, given)
                fresh = await _require(tx, row.id)
                return _question(fresh, None if fresh.decision_key == given.key else _closed(fresh))
        except (Conflict, InvalidInput) as error:
            async with self._transactions.begin() as tx:
                return _question(await _require(tx, given.resolution_id), refusal_of(error))

    @activity.defn
    @translated
    async def carry_on(self, given: ResolutionInput) -> Question:
        """Tell those whom the decision concerns, and end the question."""
        async with self._transactions.begin() as tx:
            row = await _require(tx, given.resolution_id)
        if row.state is ResolutionState.DECIDED:
            if row.has_refund:
                await self._dispatcher.resume_refund(row.id)
            await self._dispatcher.line_changed(row.line_id)
            for course_id in sorted({row.lms_course_id, row.course_now}):
                await self._dispatcher.wake_entitlement(row.user_id, course_id)
            await self._dispatcher.order_entitlement_changed(row.order_id)
            async with self._transactions.begin() as tx:
                await _end(tx, row, ResolutionState.DONE)
        await self._count_answer(row)
        await wake_changes(self._transactions, self._dispatcher, [row.line_id])
        async with self._transactions.begin() as tx:
            return _question(await _require(tx, row.id))

    async def _count_answer(self, row: ResolutionRow) -> None:
        """The last answer ends the change of the run."""
        if row.run_change_id is None:
            return
        async with self._transactions.begin() as tx:
            change = await run_changes.get(tx.session, row.run_change_id)
            last = not await run_changes.any_unsettled(tx.session, row.run_change_id)
        if change is not None and change.done_at is None and last:
            await self._dispatcher.wake_run_change(change.id)


async def wake_questions(transactions: Transactions, dispatcher: Dispatcher, line_ids: list[str]) -> None:
    """Have the questions about these lines looked at: a refund or an access has moved."""
    if not line_ids:
        return
    async with transactions.begin() as tx:
        found = await resolutions.unsettled_of_lines(tx.session, line_ids)
    for resolution_id in found:
        await dispatcher.wake_resolution(resolution_id)


async def _require(tx: Transaction, resolution_id: str) -> ResolutionRow:
    row = await resolutions.get(tx.session, resolution_id)
    if row is None:
        raise CommerceError(f"resolution {resolution_id} has no row")
    return row


async def _locked(tx: Transaction, resolution_id: str) -> tuple[ResolutionRow, OrderRow, LineRow]:
    """The question, its order and its line: locked as everybody locks them, the question last."""
    order = await require_order(tx, (await _require(tx, resolution_id)).order_id)
    lines = await order_lines.of_order(tx.session, order.id, lock=True)
    await resolutions.lock(tx.session, resolution_id)
    row = await _require(tx, resolution_id)
    return row, order, next(line for line in lines if line.id == row.line_id)


async def _withdrawn(tx: Transaction, row: ResolutionRow, order: OrderRow) -> bool:
    """Whether the cause of an open question has gone; the question then ends without a choice."""
    if row.cause is ResolutionCause.LMS_REFUSED and row.access == EntitlementStatus.GRANTED:
        why = "access is there after all"
    elif not row.justified and order.dispute_state is not DisputeState.OPEN:
        why = "nothing is left of what was paid for it"
    elif row.superseded:
        why = "the run was changed again"
    else:
        return False
    await _end(tx, row, ResolutionState.WITHDRAWN)
    if row.asked_at is not None:
        await _note(tx, row, "withdrawn", f"The question about {row.title} is withdrawn: {why}.")
        _publish(tx, row, "withdrawn", ResolutionWithdrawn(**_data(row), reason=why))
    return True


async def _end(tx: Transaction, row: ResolutionRow, state: ResolutionState) -> None:
    """End a question, and ask what could not be asked about its line while it was open."""
    await resolutions.end(tx.session, row.id, state)
    tx.questions += await double_purchases.ask(tx.session, row.user_id)


async def _decide(
    tx: Transaction, row: ResolutionRow, order: OrderRow, line: LineRow, given: ResolutionDecision
) -> None:
    choice = given.choice or default_of(row.cause)
    if choice not in choices_of(row.cause):
        raise InvalidInput(f"{choice} is not offered here", code="choice_not_offered")
    if choice is not ResolutionChoice.KEEP and order.dispute_state is DisputeState.OPEN:
        raise Conflict("a dispute is open; its outcome decides", code="dispute_open")
    await _refuse_while_paid_back(tx, row, order, line)
    what = "It stays as it is."
    if choice is ResolutionChoice.OTHER_RUN:
        title = await line_moves.move_to_other_run(tx, row, line, given.item_id)
        what = f"The seat, and the access, are now for {title}."
    elif choice is not ResolutionChoice.KEEP:
        what = await _give_back(tx, row, order, line, choice, given)
    await resolutions.decide(
        tx.session,
        row.id,
        choice=choice,
        item_id=given.item_id if choice is ResolutionChoice.OTHER_RUN else None,
        by=given.by,
        key=given.key,
    )
    await _note(tx, row, "decided", f"{row.title}: {choice}, chosen by {given.by}. {what}")
    _publish(
        tx, row, "decided", ResolutionDecided(**_data(row), choice=choice, by=given.by, item_id=given.item_id)
    )


async def _refuse_while_paid_back(
    tx: Transaction, row: ResolutionRow, order: OrderRow, line: LineRow
) -> None:
    """All of the line is on its way back already: it can't be had a second time, in any form."""
    under_way = await refunds.lines_of_open(tx.session, order.id, apart_from=row.id)
    if line.id in under_way and ledger_of(line, order.currency).refundable_gross == 0:
        raise NothingLeft("all that was paid for it is on its way back")


async def _give_back(
    tx: Transaction,
    row: ResolutionRow,
    order: OrderRow,
    line: LineRow,
    choice: ResolutionChoice,
    given: ResolutionDecision,
) -> str:
    """Reserve the refund of all that is left of the line, under the question's own id; the refund's
    workflow does the rest. What cost nothing ends here."""
    if ledger_of(line, order.currency).refundable_gross == 0:
        await line_moves.end_line(tx, line)
        return "Nothing is left to pay back; seat and access end."
    body = {
        "order_id": order.id,
        "lines": [{"line_id": line.id, "amount": None}],
        "amount": None,
        "reason": f"{_WHY[row.cause]}: {row.reason}"[:500],
        "keep_access": False,
        "as_credit": choice is ResolutionChoice.STORE_CREDIT,
    }
    await refund_reservation.reserve(tx, CommandRow(row.id, "refund", given.user_id or order.user_id, body))
    return "What is left of its price goes back; seat and access end with it."


_WHY = {
    ResolutionCause.LMS_REFUSED: "The LMS refused access",
    ResolutionCause.RUN_CANCELLED: "The run was cancelled",
    ResolutionCause.RUN_RESCHEDULED: "The run has another date",
    ResolutionCause.BOUGHT_TWICE: "The course was bought twice",
}


async def _announce(tx: Transaction, row: ResolutionRow) -> None:
    assert row.deadline is not None
    choices = row.choices
    await _note(
        tx,
        row,
        "asked",
        f"{_WHY[row.cause]} ({row.reason}): the buyer of {row.title} chooses {', '.join(choices)} until "
        f"{_moment(row.deadline)}; then it is {default_of(row.cause)}.",
    )
    _publish(
        tx,
        row,
        "asked",
        ResolutionAsked(
            **_data(row),
            reason=row.reason,
            choices=list(choices),
            default_choice=default_of(row.cause),
            deadline=row.deadline.isoformat(),
        ),
    )


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


async def _note(tx: Transaction, row: ResolutionRow, what: str, detail: str) -> None:
    await orders.note(tx.session, row.order_id, f"resolution/{row.id}/{what}", f"resolution_{what}", detail)


def _data(row: ResolutionRow) -> ResolutionData:
    return ResolutionData(
        resolution_id=row.id,
        order_id=row.order_id,
        number=row.order_number,
        line_id=row.line_id,
        user_id=row.user_id,
        lms_user_id=row.lms_user_id,
        course_id=row.lms_course_id,
        cause=row.cause,
        run_change_id=row.run_change_id,
    )


def _publish(tx: Transaction, row: ResolutionRow, what: str, data: Mapping[str, object]) -> None:
    tx.publish(
        Publication(f"resolution:{row.id}:{what}", f"resolution.{what}", order_stream(row.order_id), data)
    )


def _closed(row: ResolutionRow) -> Refusal:
    said = f"it was decided already: {row.choice}" if row.choice else "the question was withdrawn"
    return Refusal("resolution_closed", said)


def _question(row: ResolutionRow, refusal: Refusal | None = None) -> Question:
    return Question(
        resolution_id=row.id,
        order_number=row.order_number,
        lms_user_id=row.lms_user_id,
        course_id=row.lms_course_id,
        title=row.title,
        cause=row.cause,
        reason=row.reason,
        state=row.state,
        deadline=0 if row.deadline is None else row.deadline.timestamp(),
        choice=row.choice,
        decided_by=row.decided_by,
        refusal=refusal,
        choices=row.choices,
    )

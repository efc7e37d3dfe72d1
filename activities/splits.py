"""Recognition, accrual and release of one order line's revenue."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.boundary import Transactions, translated
from activities.earnings import ledger_of, post_outcome
from domain.errors import CommerceError
from domain.ledger import LineLedger, recognize, release
from domain.messages import LineInput
from domain.orders import EntitlementStatus, PaymentState
from models.database import Session
from models.queries import completions, entitlements, holds, order_lines, orders, volumes
from models.queries.order_lines import LineRow
from models.queries.orders import OrderRow

RECOGNIZE = "recognize"
RELEASE = "release"


@dataclass(frozen=True)
class LineState:
    """The next step of a line and when it is due (seconds since the epoch); `ended` says why it is over.

    `blocked`: the time has come, but a dispute or refund stands against it; its end is told by a signal.
    """

    order_number: str
    course_id: str
    next_step: str
    next_step_at: float
    waiting_for: str
    ended: str | None = None
    blocked: bool = False


class SplitActivities:
    """Steps of the revenue split workflow."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    @activity.defn
    @translated
    async def read_line(self, given: LineInput) -> LineState:
        """What the line waits for."""
        async with self._transactions.begin() as tx:
            line, order = await _require(tx.session, given.line_id)
            return await _line_state(tx.session, line, order)

    @activity.defn
    @translated
    async def recognize_line(self, given: LineInput) -> None:
        """Recognize the line's revenue and accrue its earnings, once."""
        async with self._transactions.begin() as tx:
            line, order = await _require(tx.session, given.line_id, lock=True)
            state = ledger_of(line, order.currency)
            if state.recognized:
                return
            outcome = recognize(state, prior=await volumes.before(tx.session, [state]))
            await post_outcome(tx, outcome, order, [line], reason="recognized")
            await order_lines.mark_accrued(tx.session, line.id)
            await orders.note(
                tx.session,
                order.id,
                f"recognized/{line.id}",
                "revenue_recognized",
                f"Revenue of {line.title} recognized; earnings accrued.",
            )

    @activity.defn
    @translated
    async def release_line(self, given: LineInput) -> None:
        """Hand the held earnings on to the payout system; nothing while a dispute or refund is open."""
        async with self._transactions.begin() as tx:
            line, order = await _require(tx.session, given.line_id, lock=True)
            if await holds.reason_to_hold(tx.session, order.id) is not None:
                return
            outcome = release(ledger_of(line, order.currency))
            if not outcome.entries:
                return
            await post_outcome(tx, outcome, order, [line], reason="the hold ended")
            await order_lines.mark_released(tx.session, line.id)
            await orders.note(
                tx.session,
                order.id,
                f"released/{line.id}/{outcome.lines[0].releases}",
                "earnings_released",
                f"Earnings of {line.title} released to the payout system.",
            )


async def _require(session: Session, line_id: str, *, lock: bool = False) -> tuple[LineRow, OrderRow]:
    line = await order_lines.get(session, line_id)
    # The order before its lines, as everybody locks them: so nobody waits in a circle.
    order = None if line is None else await orders.get(session, line.order_id, lock=lock)
    if lock:
        line = await order_lines.get(session, line_id, lock=True)
    if line is None or order is None:
        raise CommerceError(f"order line {line_id} has no row")
    return line, order


async def _line_state(session: Session, line: LineRow, order: OrderRow) -> LineState:
    def state(step: str, at: float, waiting_for: str, ended: str | None = None) -> LineState:
        return LineState(order.number, line.lms_course_id, step, at, waiting_for, ended)

    if order.payment_state is not PaymentState.PAID or line.ledger is None:
        return state(RECOGNIZE, 0, "nothing", ended="never paid")
    books = ledger_of(line, order.currency)
    if not books.awaits_revenue:
        return state(RELEASE, 0, "nothing", ended=_how_it_ended(line, books))
    if not any(payee.held for payee in books.payees):
        at, why = await _recognition_due(session, line, order)
        return state(RECOGNIZE, at, why)
    reason = await holds.reason_to_hold(session, order.id)
    if reason is None and books.frozen:
        reason = "A dispute is open"
    # Shares that a withdrawn refund gave back are released like any others, a second time.
    release_at = (line.accrued_at or order.paid_at or datetime.now(UTC)) + timedelta(
        seconds=line.hold_seconds
    )
    at = release_at.timestamp()
    if line.release == "on_completion" and await completions.counts(
        session, order.lms_user_id, line.lms_course_id
    ):
        at = 0
    if reason is not None:
        return replace(state(RELEASE, at, f"{reason}: the earnings stay on hold"), blocked=True)
    sooner = "Completion of the course, or the end of the hold" if line.release == "on_completion" else ""
    ends = f"{release_at:%Y-%m-%d %H:%M} UTC"
    return state(RELEASE, at, f"{sooner} {ends}" if sooner else f"Hold of the earnings ends {ends}")


def _how_it_ended(line: LineRow, books: LineLedger) -> str:
    if books.nothing_left:
        return "refunded"
    return "nothing to release" if line.released_at is None else "released"


async def _recognition_due(session: Session, line: LineRow, order: OrderRow) -> tuple[float, str]:
    """Completion (or grant) while access is there, or else the deadline, so that nobody's revenue is
    deferred for ever."""
    access = await entitlements.of_user_course(session, order.user_id, line.lms_course_id)
    if access is not None and access.status is EntitlementStatus.GRANTED:
        if line.recognition == "on_grant":
            return 0, "granted"
        if await completions.counts(session, order.lms_user_id, line.lms_course_id):
            return 0, "completed"
    deadline = line.recognition_deadline or datetime.now(UTC)
    return deadline.timestamp(), f"Completion of the course, or the deadline {deadline:%Y-%m-%d %H:%M} UTC"

"""Money that succeeded when its order could no longer take it: revive the order, or send it back."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.boundary import Transaction, Transactions, translated
from activities.capture import Capture
from activities.run_changes import wake_changes
from domain.errors import CommerceError, Conflict
from domain.ledger import refund_unapplied, unapply_payment
from domain.messages import LatePaymentInput
from domain.money import as_read
from domain.orders import PaymentState, RefundKind
from integrations.dispatch import Dispatcher
from integrations.processor_objects import received
from models.queries import (
    catalog,
    entitlements,
    inbox,
    ledger,
    order_lines,
    orders,
    payments,
    promotions,
    refunds,
    run_changes,
    store_credit,
)
from models.queries.orders import OrderRow
from models.queries.payments import PaymentRow

REVIVED = "revived"
REFUNDED = "refunded"
RESUMED = "resumed"
APPLIED = "applied already"


@dataclass(frozen=True)
class Decision:
    """What was decided, and the workflow that follows from it."""

    order_id: str
    outcome: str
    reason: str
    refund_id: str | None = None


class _CannotRevive(Exception):
    """Seats or promotion are no longer to be had."""


class LatePaymentActivities:
    """Steps of the late payment workflow."""

    def __init__(self, transactions: Transactions, dispatcher: Dispatcher, capture: Capture) -> None:
        self._transactions = transactions
        self._dispatcher = dispatcher
        self._capture = capture

    @activity.defn
    @translated
    async def decide(self, late: LatePaymentInput) -> Decision:
        """Take the seat again, or set the money apart and reserve its refund; once, in one transaction."""
        async with self._transactions.begin() as tx:
            row = await orders.get(tx.session, late.order_id, lock=True)
            intent = await inbox.succeeded_intent(tx.session, late.intent_id)
            if row is None or intent is None:
                raise CommerceError(f"nothing is known of {late.intent_id}")
            amount, currency = received(intent)
            payment = await payments.of_intent(tx.session, row.id, late.intent_id, amount, currency)
            if payment.applied:
                return Decision(row.id, APPLIED, "the payment pays for its order")
            refund_id = await refunds.of_unapplied(tx.session, payment.id)
            if refund_id is not None:
                return Decision(row.id, REFUNDED, "it was decided before", refund_id)
            if _waits_for(row, amount, currency):
                return Decision(row.id, RESUMED, "the order is still open, and its workflow was lost")
            why_not = await self._revive(tx, row, payment, intent, amount, currency)
            if why_not is None:
                return Decision(row.id, REVIVED, "the order had expired, and its seats were free")
            refund_id = await _set_apart(tx, row, payment, intent, amount, currency, why_not)
            return Decision(row.id, REFUNDED, why_not, refund_id)

    async def _revive(
        self,
        tx: Transaction,
        row: OrderRow,
        payment: PaymentRow,
        intent: dict[str, object],
        amount: int,
        currency: str,
    ) -> str | None:
        """Make the expired order paid after all; returns why that can't be."""
        if row.payment_state is PaymentState.PAID:
            return "the order was paid already"
        if row.payment_state is not PaymentState.EXPIRED:
            return f"the order is {row.payment_state}"
        if (amount, currency) != (row.due, row.currency):
            return (
                f"the order is for {as_read(row.due, row.currency)}, "
                f"the payment for {as_read(amount, currency)}"
            )
        try:
            async with tx.session.begin_nested():
                await _take_again(tx, row)
        except (_CannotRevive, Conflict) as reason:
            return str(reason)
        await payments.set_succeeded(
            tx.session,
            payment.id,
            charge_id=_charge(intent),
            amount=amount,
            currency=currency,
            applied=True,
        )
        await self._capture.become_paid(
            tx, row, how=f"Payment {intent['id']} succeeded late; the order goes on."
        )
        await run_changes.reopen(tx.session, row.id)
        return None

    @activity.defn
    @translated
    async def carry_out(self, decision: Decision) -> None:
        """Start what follows from the decision."""
        if decision.outcome in (REVIVED, RESUMED):
            await self._dispatcher.resume_order(decision.order_id)
            async with self._transactions.begin() as tx:
                lines = await order_lines.of_order(tx.session, decision.order_id)
            await wake_changes(self._transactions, self._dispatcher, [line.id for line in lines])
        elif decision.refund_id is not None:
            await self._dispatcher.resume_refund(decision.refund_id)


def _waits_for(row: OrderRow, amount: int, currency: str) -> bool:
    open_states = (PaymentState.PENDING, PaymentState.PROCESSING)
    return row.payment_state in open_states and (amount, currency) == (row.due, row.currency)


async def _take_again(tx: Transaction, row: OrderRow) -> None:
    courses = {line.lms_course_id for line in await order_lines.of_order(tx.session, row.id)}
    if courses <= set(await entitlements.owns(tx.session, row.user_id, sorted(courses))):
        raise _CannotRevive("the order had expired, and its courses were bought again")
    if row.store_credit:
        await store_credit.lock(tx.session, row.user_id)
        if await store_credit.available(tx.session, row.user_id, row.currency) < row.store_credit:
            raise _CannotRevive("the order had expired, and its store credit was used again")
    for line_id, item_id in await order_lines.without_seat(tx.session, row.id):
        if not await catalog.take_seat(tx.session, item_id):
            gone = "run was cancelled" if await catalog.is_cancelled(tx.session, item_id) else "seat was sold"
            raise _CannotRevive(f"the order had expired, and its {gone}")
        await order_lines.set_holds_seat(tx.session, line_id)
    if not await promotions.reserve_again(tx.session, row.id):
        raise _CannotRevive("the order had expired, and its promotion was used up")


async def _set_apart(
    tx: Transaction,
    row: OrderRow,
    payment: PaymentRow,
    intent: dict[str, object],
    amount: int,
    currency: str,
    reason: str,
) -> str:
    await payments.set_succeeded(
        tx.session, payment.id, charge_id=_charge(intent), amount=amount, currency=currency, applied=False
    )
    refund_id = await orders.new_id(tx.session)
    now = datetime.now(UTC)
    drafts = [
        *unapply_payment(str(intent["id"]), amount=amount, currency=currency).entries,
        *refund_unapplied(refund_id, amount=amount, currency=currency).entries,
    ]
    await ledger.post(tx.session, drafts, order_id=row.id, effective_at=now)
    await refunds.insert(
        tx.session,
        refund_id=refund_id,
        order_id=row.id,
        payment_id=payment.id,
        kind=RefundKind.UNAPPLIED,
        amount=amount,
        currency=currency,
        reason=reason,
        keep_access=True,
        requested_by=None,
        lines={},
    )
    await orders.note(
        tx.session,
        row.id,
        f"late/{intent['id']}",
        "payment_returned",
        f"Payment {intent['id']} goes back by itself: {reason}.",
    )
    return refund_id


def _charge(intent: dict[str, object]) -> str | None:
    charge = intent.get("latest_charge")
    return charge if isinstance(charge, str) else None

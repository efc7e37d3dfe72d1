"""A slow payment that counted as paid and was returned by the bank after all: the sale is undone, once."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities import refund_books
from activities.boundary import Transaction, Transactions, translated
from activities.credit_notes import late_failure_draft
from activities.earnings import ledger_of, post_outcome
from activities.resolutions import wake_questions
from domain.errors import ProcessorUnavailable
from domain.event_data import OrderCanceled
from domain.event_keys import refund_cause
from domain.ids import order_stream
from domain.ledger import LineLedger, fail_late, fail_unapplied
from domain.messages import LateFailureInput
from domain.money import as_read
from domain.orders import PaymentState
from integrations.dispatch import Dispatcher
from integrations.payments import StripePayments
from integrations.processor_objects import Charge
from models.queries import catalog, entitlements, ledger, order_lines, orders, payments, refunds
from models.queries.orders import OrderRow
from models.queries.outbox import Publication
from models.queries.payments import FAILED_LATE, PaymentRow

UNDONE = "undone"
LOST = "lost"
IGNORED = "ignored"


@dataclass(frozen=True)
class LateFailure:
    """What became of it, and whom it concerns; `amount` in minor units."""

    outcome: str
    reason: str
    order_id: str = ""
    order_number: str = ""
    user_id: str = ""
    amount: int = 0
    currency: str = ""
    line_ids: tuple[str, ...] = ()
    course_ids: tuple[str, ...] = ()


class LateFailureActivities:
    """Steps of the late failure workflow."""

    def __init__(
        self,
        transactions: Transactions,
        api: StripePayments,
        dispatcher: Dispatcher,
        *,
        seller: dict[str, str],
    ) -> None:
        self._transactions = transactions
        self._api = api
        self._dispatcher = dispatcher
        self._seller = seller

    @activity.defn
    @translated
    async def take_in_late_failure(self, given: LateFailureInput) -> LateFailure:
        """Read the charge at the processor and undo what it had paid for; all in one transaction.

        Its event may be here before that of the success: then it waits for that one.
        """
        charge = await self._api.get_charge_of(given.intent_id)
        if charge is None or charge.status != "failed" or not charge.reversed:
            return LateFailure(IGNORED, "the charge did not fail after it had succeeded")
        async with self._transactions.begin() as tx:
            row = await refund_books.require_order(tx, given.order_id)
            payment = await payments.by_intent(tx.session, given.intent_id)
            if payment is None or payment.status not in ("succeeded", FAILED_LATE):
                if not charge.intent_succeeded:
                    return LateFailure(IGNORED, "it never counted as paid")
                raise ProcessorUnavailable("the payment's success was not taken in yet")
            if payment.status == "succeeded" and payment.applied:
                await self._undo(tx, row, payment, charge)
            elif payment.status == "succeeded":
                await _lose(tx, row, payment, charge)
            lines = await order_lines.of_order(tx.session, row.id)
            return LateFailure(
                UNDONE if payment.applied else LOST,
                charge.failure_code or "unknown",
                order_id=row.id,
                order_number=row.number,
                user_id=row.user_id,
                amount=payment.amount,
                currency=payment.currency,
                line_ids=tuple(line.id for line in lines if line.list_net > 0),
                course_ids=tuple(sorted({line.lms_course_id for line in lines})),
            )

    async def _undo(self, tx: Transaction, row: OrderRow, payment: PaymentRow, charge: Charge) -> None:
        """Revenue, tax and shares go, access and seats end, spent store credit comes back."""
        lines = await order_lines.of_order(tx.session, row.id, lock=True)
        books = [ledger_of(line, row.currency) for line in lines]
        outcome = fail_late(
            row.id,
            books,
            amount=payment.amount,
            # More may have gone back as credit than was paid with it: that is lost, like any money sent back.
            credit_applied=max(0, row.store_credit - await _credit_given_back(tx, row, books)),
            customer=row.user_id,
        )
        await post_outcome(tx, outcome, row, lines, reason="payment failed")
        await _set_failed(tx, payment, charge)
        await orders.set_payment_state(tx.session, row.id, PaymentState.FAILED)
        await entitlements.unjustify(tx.session, [line.id for line in lines])
        for item_id in await order_lines.release_held_seats(tx.session, row.id):
            await catalog.release_seat(tx.session, item_id)
        await _note(tx, row, payment, charge, "The sale is undone, and the access that it gave ends.")
        assert payment.intent_id is not None
        tx.issue(await late_failure_draft(tx.session, row, intent_id=payment.intent_id, seller=self._seller))
        tx.publish(
            Publication(
                f"order:{row.id}:payment_failed",
                "order.canceled",
                order_stream(row.id),
                OrderCanceled(order_id=row.id, number=row.number, reason="payment_failed"),
            )
        )

    @activity.defn
    @translated
    async def tell_of_late_failure(self, failure: LateFailure) -> None:
        """Wake the splits, the accesses and the order's workflow, whichever is still there."""
        for line_id in failure.line_ids:
            await self._dispatcher.line_changed(line_id)
        for course_id in failure.course_ids:
            await self._dispatcher.wake_entitlement(failure.user_id, course_id)
        await self._dispatcher.order_entitlement_changed(failure.order_id)
        await wake_questions(self._transactions, self._dispatcher, list(failure.line_ids))


async def _credit_given_back(tx: Transaction, row: OrderRow, books: list[LineLedger]) -> int:
    """Store credit that standing refunds give back already, or have promised."""
    standing = {taking.cause for line in books for taking in line.takings if taking.gross}
    known = await refunds.of_order(tx.session, row.id)
    return sum(refund.credit_amount for refund in known if refund_cause(refund.id) in standing)


async def _lose(tx: Transaction, row: OrderRow, payment: PaymentRow, charge: Charge) -> None:
    """It paid for no order: its money was set apart, and promised or sent back, so it is lost."""
    if await refunds.of_unapplied(tx.session, payment.id) is None:
        raise ProcessorUnavailable("nobody has decided yet what the payment is for")
    assert payment.intent_id is not None
    outcome = fail_unapplied(payment.intent_id, amount=payment.amount, currency=payment.currency)
    await ledger.post(tx.session, outcome.entries, order_id=row.id, effective_at=datetime.now(UTC))
    await _set_failed(tx, payment, charge)
    await _note(tx, row, payment, charge, "It had paid for nothing; a refund of it can be canceled.")


async def _set_failed(tx: Transaction, payment: PaymentRow, charge: Charge) -> None:
    await payments.set_failed_late(
        tx.session,
        payment.id,
        failure_code=charge.failure_code,
        failure_message=charge.failure_message,
    )


async def _note(
    tx: Transaction, row: OrderRow, payment: PaymentRow, charge: Charge, what_follows: str
) -> None:
    await orders.note(
        tx.session,
        row.id,
        f"late-failure/{payment.intent_id}",
        "payment_failed_late",
        f"The bank returned payment {payment.intent_id} of {as_read(payment.amount, payment.currency)} "
        f"after it had succeeded: {charge.failure_code or 'no reason given'}. {what_follows}",
    )

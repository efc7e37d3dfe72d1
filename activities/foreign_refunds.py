"""Refunds that were made at the processor, in its dashboard: taken in as if they had begun here."""

from datetime import UTC, datetime

from temporalio import activity

from activities import refund_books
from activities.boundary import Transaction, Transactions, translated
from activities.earnings import ledger_of, post_outcome
from activities.refunds import Reservation
from activities.refusals import refusal_of
from domain.errors import CommerceError, Conflict, InvalidInput
from domain.ledger import initiate_refund, plan_refund, refund_unapplied
from domain.messages import RefundInput
from domain.money import as_read
from domain.orders import DisputeState, RefundKind
from integrations.dispatch import Dispatcher
from integrations.payments import StripePayments
from integrations.processor_objects import Refund as ProcessorRefund
from models.queries import ledger, order_lines, orders, payments, refunds
from models.queries.orders import OrderRow
from models.queries.payments import PaymentRow

_REASON = "refunded at the processor"


class ForeignRefundActivities:
    """The first step of a refund that did not begin here; the others are those of any refund."""

    def __init__(self, transactions: Transactions, api: StripePayments, dispatcher: Dispatcher) -> None:
        self._transactions = transactions
        self._api = api
        self._dispatcher = dispatcher

    @activity.defn
    @translated
    async def take_in_refund(self, given: RefundInput) -> Reservation:
        """Map the refund to lines by what is left of each, and post its reversal; once.

        A refund of ours that the processor had refused, for as much, takes it as its own: somebody helped
        by hand. A refusal says why it can't be taken in yet; it is parked, and tried again.
        """
        assert given.provider_refund_id is not None
        found = await self._api.get_refund(given.provider_refund_id)
        try:
            async with self._transactions.begin() as tx:
                known = await refunds.of_provider(tx.session, found.id)
                if known is None:
                    if found.status in ("failed", "canceled"):
                        return Reservation(None, ended="it failed before it was known here")
                    payment = await payments.by_intent(tx.session, found.payment_intent or "")
                    if payment is None:
                        return Reservation(None, ended="it is not about a payment of ours")
                    adopted = await self._take_in(tx, given.refund_id, payment, found)
                else:
                    adopted = None if known.id == given.refund_id else known.id
                if adopted is None:
                    return Reservation(await refund_books.state_of(tx, given.refund_id))
        except (Conflict, InvalidInput) as error:
            await self._note_parked(found, error)
            return Reservation(None, refusal_of(error))
        await self._dispatcher.wake_refund(adopted)
        return Reservation(None, ended=f"refund {adopted} takes it as its own")

    async def _note_parked(self, found: ProcessorRefund, error: CommerceError) -> None:
        async with self._transactions.begin() as tx:
            payment = await payments.by_intent(tx.session, found.payment_intent or "")
            if payment is not None:
                await orders.note(
                    tx.session,
                    payment.order_id,
                    f"refund/{found.id}/parked",
                    "refund_parked",
                    f"Refund {found.id} of {as_read(found.amount, found.currency)}, made at the "
                    f"processor, does not fit: {error.detail or error.code}. An operator decides.",
                )

    async def _take_in(
        self, tx: Transaction, refund_id: str, payment: PaymentRow, found: ProcessorRefund
    ) -> str | None:
        """Returns the id of our own refund that takes it, if one does."""
        row = await refund_books.require_order(tx, payment.order_id)
        own = await refunds.refused_of_payment(tx.session, payment.id, found.amount)
        if own is not None and await refunds.adopt(tx.session, own.id, own.attempt + 1, found.id):
            await orders.note(
                tx.session,
                row.id,
                f"refund/{own.id}/adopted",
                "refund_adopted",
                f"Refund {found.id}, made at the processor, takes the place of the one that was refused.",
            )
            return own.id
        if payment.applied:
            lines = await _reserve_of_order(tx, refund_id, row, found)
        else:
            lines = {}
            await self._post_unapplied(tx, refund_id, row, found)
        await refunds.insert(
            tx.session,
            refund_id=refund_id,
            order_id=row.id,
            payment_id=payment.id,
            kind=RefundKind.ORDER if payment.applied else RefundKind.UNAPPLIED,
            amount=found.amount,
            currency=found.currency,
            reason=_REASON,
            keep_access=False,
            requested_by=None,
            lines=lines,
        )
        await refunds.count_issue(tx.session, refund_id, 1)
        await refunds.set_provider_id(tx.session, refund_id, found.id)
        await orders.note(
            tx.session,
            row.id,
            f"refund/{refund_id}/asked",
            "refund_requested",
            f"Refund {found.id} of {as_read(found.amount, found.currency)} was made at the processor.",
        )
        return None

    async def _post_unapplied(
        self, tx: Transaction, refund_id: str, row: OrderRow, found: ProcessorRefund
    ) -> None:
        if await refunds.of_unapplied_payment_open(tx.session, found.payment_intent or ""):
            raise Conflict("a refund of ours returns the same money", code="refund_exceeds_paid")
        outcome = refund_unapplied(refund_id, amount=found.amount, currency=found.currency)
        await ledger.post(tx.session, outcome.entries, order_id=row.id, effective_at=datetime.now(UTC))


async def _reserve_of_order(
    tx: Transaction, refund_id: str, row: OrderRow, found: ProcessorRefund
) -> dict[str, int]:
    if row.dispute_state is DisputeState.OPEN:
        raise Conflict("a dispute is open; its outcome decides", code="dispute_open")
    lines = await order_lines.of_order(tx.session, row.id, lock=True)
    books = [ledger_of(line, row.currency) for line in lines]
    taken = plan_refund(books, amount=found.amount)
    outcome = initiate_refund(refund_id, books, amount=found.amount)
    await post_outcome(tx, outcome, row, lines, reason=_REASON)
    return taken

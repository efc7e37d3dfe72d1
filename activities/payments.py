"""Calls to the payment processor. A business attempt is stored before each call, its key derived from it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.boundary import Transaction, Transactions, translated
from domain import ids
from domain.errors import CommerceError, ProcessorUnavailable
from domain.limits import DECLINES
from domain.messages import OrderInput
from domain.orders import PaymentState
from integrations.payments import StripePayments
from integrations.processor_objects import IntentNotCancelable, PaymentIntent
from models.queries import inbox, orders, payments
from models.queries.orders import OrderRow
from models.queries.payments import PaymentRow

# Stripe keeps an idempotency key for 24 hours at least: before a retry that may be older, look first.
_KEY_LIFE = timedelta(hours=20)

DECLINED_TOO_OFTEN = "the gateway, for too many declined payments,"

# Intents in these states will not move again, and we know it.
_DECIDED = frozenset({"succeeded", "canceled", payments.FAILED_LATE})


@dataclass(frozen=True)
class IntentState:
    """A payment intent as the processor has it now."""

    intent_id: str | None
    status: str
    # Who ended it, when it was us, in words for the order's timeline.
    ended_by: str | None = None


@dataclass(frozen=True)
class CancelIntentInput:
    """Which order's intent to cancel, and why: `canceled` or `expired`."""

    order_id: str
    reason: str


class PaymentActivities:
    """Steps that ask the payment processor.

    `declines_allowed`: so many payments of a user may be declined within the period of
    `domain.limits.DECLINES` before their open intents are ended; None: no limit.
    """

    def __init__(
        self, transactions: Transactions, payments_api: StripePayments, *, declines_allowed: int | None
    ) -> None:
        self._transactions = transactions
        self._api = payments_api
        self._declines_allowed = declines_allowed

    @activity.defn
    @translated
    async def create_intent(self, order: OrderInput) -> IntentState:
        """Make the order's payment intent, once, whatever happens in between."""
        async with self._transactions.begin() as tx:
            row = await orders.get(tx.session, order.order_id)
            if row is None:
                raise CommerceError(f"order {order.order_id} has no row")
            payment = await payments.begin_attempt(tx.session, row.id, row.due, row.currency)
        if payment.intent_id is not None:
            return IntentState(payment.intent_id, payment.status)
        intent = None
        if datetime.now(UTC) - payment.created_at > _KEY_LIFE:
            intent = await self._find_intent(row.id, payment.created_at)
        if intent is None:
            intent = await self._api.create_intent(
                order_id=row.id,
                amount=payment.amount,
                currency=payment.currency,
                idempotency_key=ids.intent_key(row.id, payment.attempt),
                description=f"Order {row.number}",
            )
        async with self._transactions.begin() as tx:
            await payments.set_intent(tx.session, payment.id, intent.id, intent.status)
        return IntentState(intent.id, intent.status)

    async def _find_intent(self, order_id: str, created_at: datetime) -> PaymentIntent | None:
        since = int(created_at.timestamp()) - 3600
        found = await self._api.find_intents_by_order(order_id, since)
        return found[0] if found else None

    @activity.defn
    @translated
    async def cancel_intent(self, given: CancelIntentInput) -> IntentState:
        """Cancel the order's open intents at the processor; a refusal tells what one has become instead.

        An intent that has succeeded without paying for the order is not the order's any more.
        """
        async with self._transactions.begin() as tx:
            of_order = await payments.of_order(tx.session, given.order_id)
        state = IntentState(None, "canceled")
        for payment in of_order:
            if payment.status in _DECIDED:
                continue
            intent_id = payment.intent_id or await self._intent_of_lost_answer(given.order_id, payment)
            try:
                await self._api.cancel_intent(intent_id)
            except IntentNotCancelable as refusal:
                state = IntentState(intent_id, refusal.intent.status)
        return state

    async def _intent_of_lost_answer(self, order_id: str, payment: PaymentRow) -> str:
        """The intent of a creation whose answer never came: it may exist, and must not be left open."""
        found = await self._find_intent(order_id, payment.created_at)
        if found is not None:
            return found.id
        # The same key makes it, or returns it if it is still on its way; then it can go.
        made = await self.create_intent(OrderInput(order_id))
        if made.intent_id is None:
            raise ProcessorUnavailable("the intent is not known yet")
        return made.intent_id

    @activity.defn
    @translated
    async def refresh_payment(self, order: OrderInput) -> IntentState:
        """Follow intents that are not decided: events only say that something moved, not in which order.

        Success is never taken from here: only a verified event posts money. An intent that waits for yet
        another card of somebody who was declined too often is ended: it is one to try stolen cards with.
        """
        async with self._transactions.begin() as tx:
            of_order = await payments.of_order(tx.session, order.order_id)
            tests_cards = await self._tests_cards(tx, order.order_id)
        found = [
            (payment, await self._look(payment.intent_id, end_unpaid=tests_cards))
            for payment in of_order
            if payment.intent_id is not None and payment.status not in _DECIDED
        ]
        async with self._transactions.begin() as tx:
            row = await orders.get(tx.session, order.order_id, lock=True)
            if row is None:
                raise CommerceError(f"order {order.order_id} has no row")
            for payment, intent in found:
                await self._follow(tx, row, payment, intent)
            await _move_payment_axis(tx, row, {intent.status for _, intent in found})
        if not found:
            return IntentState(None, "unknown")
        first = found[0][1]
        return IntentState(first.id, first.status, DECLINED_TOO_OFTEN if tests_cards else None)

    async def _tests_cards(self, tx: Transaction, order_id: str) -> bool:
        """Whether the order's buyer was declined as often as the gateway lets nobody check out any more."""
        if self._declines_allowed is None:
            return False
        row = await orders.get(tx.session, order_id)
        if row is None:
            return False
        seconds = await inbox.seconds_since_decline(tx.session, row.user_id, self._declines_allowed)
        return seconds is not None and seconds < DECLINES.seconds

    async def _look(self, intent_id: str, *, end_unpaid: bool) -> PaymentIntent:
        """The intent as it is, or as it has become by being ended."""
        intent = await self._api.get_intent(intent_id)
        if not end_unpaid or intent.status != "requires_payment_method":
            return intent
        try:
            return await self._api.cancel_intent(intent_id)
        except IntentNotCancelable as refusal:  # a card went through meanwhile: its event decides
            return refusal.intent

    async def _follow(
        self, tx: Transaction, row: OrderRow, payment: PaymentRow, intent: PaymentIntent
    ) -> None:
        if intent.status == "succeeded":
            return
        await payments.set_status(
            tx.session,
            payment.id,
            intent.status,
            failure_code=intent.last_error_code,
            failure_message=intent.last_error_message,
        )
        if intent.last_error_code is not None and intent.status == "requires_payment_method":
            await orders.note(
                tx.session,
                row.id,
                f"declined/{intent.id}/{activity.info().activity_id}",
                "payment_failed",
                f"Payment declined: {intent.last_error_code}.",
            )


async def _move_payment_axis(tx: Transaction, row: OrderRow, statuses: set[str]) -> None:
    """A payment under way stops the window; when it failed, the order waits for another."""
    if row.payment_state is PaymentState.PENDING and "processing" in statuses:
        await orders.set_payment_state(tx.session, row.id, PaymentState.PROCESSING)
        await orders.note(
            tx.session,
            row.id,
            "processing",
            "payment_processing",
            "The payment is being processed; the seat stays held.",
        )
    elif row.payment_state is PaymentState.PROCESSING and not statuses & {"processing", "succeeded"}:
        await orders.set_payment_state(tx.session, row.id, PaymentState.PENDING)

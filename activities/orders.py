"""An order's payment: paid, set apart, or ended unpaid; every step is one transaction and safe to repeat."""

from dataclasses import dataclass

from temporalio import activity

from activities.boundary import Transactions, translated
from activities.capture import Capture
from activities.order_state import OrderState, row_of, state_of
from domain.event_data import OrderCanceled
from domain.ids import order_stream
from domain.messages import OrderInput, PaymentEvent
from domain.money import as_read
from domain.orders import PaymentState
from integrations.processor_objects import received
from models.queries import carts, catalog, inbox, order_lines, orders, payments, promotions
from models.queries.orders import OrderRow
from models.queries.outbox import Publication


@dataclass(frozen=True)
class PaymentEventInput:
    """A stored event for an order."""

    order_id: str
    event: PaymentEvent


@dataclass(frozen=True)
class CloseInput:
    """Ends an unpaid order: `canceled` or `expired`, and by whom."""

    order_id: str
    state: PaymentState
    by: str


class OrderActivities:
    """Moves the payment axis of an order."""

    def __init__(self, transactions: Transactions, capture: Capture) -> None:
        self._transactions = transactions
        self._capture = capture

    @activity.defn
    @translated
    async def accept_free_order(self, order: OrderInput) -> OrderState:
        """Nothing is due, or store credit pays for all: paid at once, without the processor."""
        async with self._transactions.begin() as tx:
            row = await row_of(tx.session, order.order_id, lock=True)
            if row.payment_state is PaymentState.PENDING and row.due == 0:
                how = "Paid with store credit." if row.store_credit else "Nothing was due."
                await self._capture.become_paid(tx, row, how=how)
            return await state_of(tx.session, await row_of(tx.session, order.order_id))

    @activity.defn
    @translated
    async def apply_success(self, given: PaymentEventInput) -> OrderState:
        """Apply `payment_intent.succeeded`: post the capture, or set the money apart.

        The amount and currency are compared before anything is granted. Money that does not pay for this
        order (another amount, a second intent, an order that has ended) comes back as `unapplied`, for a
        workflow of its own to decide on.
        """
        async with self._transactions.begin() as tx:
            row = await row_of(tx.session, given.order_id, lock=True)
            intent = (await inbox.payload(tx.session, given.event.inbox_id))["data"]["object"]
            amount, currency = received(intent)
            payment = await payments.of_intent(tx.session, row.id, intent["id"], amount, currency)
            if payment.status in ("succeeded", payments.FAILED_LATE):
                return await state_of(tx.session, row, unapplied=not payment.applied)
            fits = (
                row.payment_state in (PaymentState.PENDING, PaymentState.PROCESSING)
                and amount == row.due
                and currency == row.currency
            )
            await payments.set_succeeded(
                tx.session,
                payment.id,
                charge_id=intent.get("latest_charge"),
                amount=amount,
                currency=currency,
                applied=fits,
            )
            if fits:
                await self._capture.become_paid(tx, row, how=f"Payment {intent['id']} succeeded.")
            else:
                why = _why_unapplied(row, amount, currency)
                await orders.note(
                    tx.session,
                    row.id,
                    f"unapplied/{intent['id']}",
                    "payment_unapplied",
                    f"Payment {intent['id']} of {as_read(amount, currency)} was set apart: {why}.",
                )
            return await state_of(tx.session, await row_of(tx.session, row.id), unapplied=not fits)

    @activity.defn
    @translated
    async def close_unpaid(self, given: CloseInput) -> OrderState:
        """End an order that was never paid: seats and promotion go back, the lines become a cart again.

        Its store credit is free again with the order's state.
        """
        async with self._transactions.begin() as tx:
            row = await row_of(tx.session, given.order_id, lock=True)
            if row.payment_state in (PaymentState.PENDING, PaymentState.PROCESSING):
                await orders.set_payment_state(tx.session, row.id, given.state)
                for item_id in await order_lines.release_held_seats(tx.session, row.id):
                    await catalog.release_seat(tx.session, item_id)
                await promotions.release(tx.session, row.id)
                await carts.give_back(tx.session, row.cart_id)
                await orders.note(
                    tx.session,
                    row.id,
                    "closed",
                    f"order_{given.state}",
                    f"Ended by {given.by} before payment.",
                )
                tx.publish(
                    Publication(
                        f"order:{row.id}:canceled",
                        "order.canceled",
                        order_stream(row.id),
                        OrderCanceled(
                            order_id=row.id,
                            number=row.number,
                            reason="expired" if given.state is PaymentState.EXPIRED else "canceled",
                        ),
                    )
                )
            return await state_of(tx.session, await row_of(tx.session, row.id))


def _why_unapplied(row: OrderRow, amount: int, currency: str) -> str:
    if (amount, currency) != (row.due, row.currency):
        return f"the order is for {as_read(row.due, row.currency)}"
    if row.payment_state is PaymentState.PAID:
        return "the order was paid already"
    return f"the order is {row.payment_state}"

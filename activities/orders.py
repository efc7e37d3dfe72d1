"""Placing an order and moving its axes; every step is one transaction and safe to repeat."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.boundary import Transaction, Transactions, translated
from activities.capture import Capture
from domain.errors import CommerceError, Conflict, InvalidInput, PriceChanged, PromoInvalid
from domain.event_data import OrderCanceled, OrderFulfilled
from domain.ids import order_stream
from domain.messages import OrderInput, PaymentEvent
from domain.money import as_read
from domain.orders import EntitlementStatus, FulfilmentState, PaymentState
from domain.pricing import StatedTaxOutdated
from domain.store_credit import credit_to_use
from domain.taxation import TaxDecision
from integrations.processor_objects import received
from models.database import Session
from models.queries import (
    carts,
    catalog,
    entitlements,
    inbox,
    order_lines,
    orders,
    payments,
    people,
    promotions,
    quotes,
    recorded_commands,
    resolutions,
    split_rules,
    store_credit,
)
from models.queries.entitlements import EntitlementRow
from models.queries.orders import NewOrder, OrderRow
from models.queries.outbox import Publication
from models.queries.recorded_commands import CommandRow
from models.queries.split_rules import Sale, SplitRuleRow


@dataclass(frozen=True)
class Refusal:
    """Why an order (or refund) was not made; `conflict` tells 409 from 422."""

    code: str
    detail: str
    conflict: bool = True
    members: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OrderState:
    """What the workflow goes on from. Times in seconds since the epoch, amounts in minor units."""

    order_id: str
    number: str
    user_id: str
    lms_user_id: str
    status: str
    payment: PaymentState
    fulfilment: FulfilmentState
    total: int
    currency: str
    expires_at: float
    intent_id: str | None
    unapplied: bool = False
    store_credit: int = 0

    @property
    def due(self) -> int:
        """What is to be paid by card."""
        return self.total - self.store_credit


@dataclass(frozen=True)
class Placement:
    """An order, or the reason why there is none."""

    state: OrderState | None
    refusal: Refusal | None = None
    # Successes that the inbox holds and no payment row has: the run that was told of them was lost.
    unapplied_events: list[PaymentEvent] = field(default_factory=list)


@dataclass(frozen=True)
class FulfilmentPlan:
    """What a paid order needs: lines whose revenue is to be split, courses to give access to."""

    user_id: str
    line_ids: list[str]
    course_ids: list[str]


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


def refusal_of(error: CommerceError) -> Refusal:
    """A refusal as data, so that the workflow can answer with it."""
    return Refusal(error.code, error.detail or error.code, isinstance(error, Conflict), dict(error.members))


class OrderActivities:
    """Database steps of the checkout workflow."""

    def __init__(
        self,
        transactions: Transactions,
        capture: Capture,
        *,
        payment_window_seconds: float,
        refund_window_days: int,
        hold_seconds: int,
    ) -> None:
        self._transactions = transactions
        self._capture = capture
        self._payment_window_seconds = payment_window_seconds
        self._refund_window_days = refund_window_days
        self._hold_seconds = hold_seconds

    @activity.defn
    @translated
    async def place_order(self, order: OrderInput) -> Placement:
        """Make order, lines, reserved seats and promotion in one transaction, or say why not.

        A workflow that starts again finds its row and goes on from there.
        """
        try:
            async with self._transactions.begin() as tx:
                existing = await orders.get(tx.session, order.order_id)
                if existing is not None:
                    waiting = await inbox.unapplied_successes(tx.session, existing.id)
                    return Placement(await _state(tx.session, existing), unapplied_events=waiting)
                await self._place(tx.session, order.order_id)
                placed = await _require(tx.session, order.order_id)
                return Placement(await _state(tx.session, placed))
        except (Conflict, InvalidInput) as error:
            return Placement(None, refusal_of(error))

    async def _place(self, session: Session, order_id: str) -> None:
        command = await recorded_commands.get(session, order_id)
        if command is None:
            raise Conflict("nothing was asked under this id", code="cart_empty")
        body = command.body
        # Before what they own is read: a merge that moves courses to them comes before or after this order.
        await people.hold_still(session, command.user_id)
        cart = await carts.lock_open(session, body["cart_id"])
        if cart is None:
            raise Conflict("the cart is empty, or was checked out already", code="cart_empty")
        now = datetime.now(UTC)
        tax = TaxDecision.from_dict(body.get("tax"))
        try:
            quote = await quotes.quote_cart(session, cart.id, body["billing_address"], now=now, tax=tax)
        except StatedTaxOutdated as error:
            untaxed = await quotes.quote_cart(session, cart.id, None, now=now)
            raise PriceChanged(
                "the cart changed while its tax was calculated; these totals are without tax, a quote has it",
                quote=_totals(untaxed, 0),
            ) from error
        _refuse_problems(quote)
        credit = await self._credit_for(session, command, quote)
        _refuse_other_price(quote, credit, body)
        await orders.insert(
            session,
            NewOrder(
                id=order_id,
                user_id=command.user_id,
                cart_id=cart.id,
                currency=quote.currency,
                subtotal=quote.subtotal,
                discount=quote.discount,
                tax=quote.tax,
                total=quote.total,
                store_credit=credit,
                promo_codes=quote.promo_codes,
                billing_address=body["billing_address"],
                return_url=body.get("return_url"),
                locale=body.get("locale"),
                taxation=tax,
                window_seconds=self._payment_window_seconds,
                channel=body.get("channel"),
                affiliate_id=body.get("affiliate_id"),
            ),
        )
        await self._insert_lines(session, await _require(session, order_id), quote, now)
        await _take_seats(session, (line.item_id for line in quote.sold if line.holds_seat))
        for promotion_id in quote.promotion_ids:  # in id order, as everybody takes them
            if not await promotions.reserve(session, promotion_id, order_id, command.user_id):
                raise Conflict("this promotion has been used up", code="promo_used_up")
        await carts.close(session, cart.id)
        reserved = f" {as_read(credit, quote.currency)} of store credit are reserved." if credit else ""
        await orders.note(
            session, order_id, "placed", "order_placed", f"Order placed; waiting for payment.{reserved}"
        )

    async def _credit_for(self, session: Session, command: CommandRow, quote: quotes.CartQuote) -> int:
        """The store credit that pays for the order; it is reserved by being written on the order.

        The user's lock is held until then, so that two checkouts never count on the same credit.
        """
        if not command.body.get("use_store_credit"):
            return 0
        await store_credit.lock(session, command.user_id)
        available = await store_credit.available(session, command.user_id, quote.currency)
        return credit_to_use(quote.total, available, quote.currency)

    async def _insert_lines(
        self, session: Session, order: OrderRow, quote: quotes.CartQuote, now: datetime
    ) -> None:
        for ordinal, line in enumerate(quote.sold, start=1):
            sale = Sale(line.item_id, order.channel, order.currency)
            rule = await split_rules.rule_for(session, sale, now)
            days = line.refund_window_days
            await order_lines.insert(
                session,
                order.id,
                {
                    "ordinal": ordinal,
                    "item_id": line.item_id,
                    "bundle_id": line.bundle_id,
                    "title": line.title,
                    "lms_course_id": line.lms_course_id,
                    "unit_price": line.unit_price,
                    "list_net": line.list_net,
                    "discount_net": line.discount_net,
                    "net": line.net,
                    "tax": line.tax,
                    "gross": line.gross,
                    "taxes": [dict(tax) for tax in line.taxes],
                    "holds_seat": line.holds_seat,
                    "platform_discount": line.platform_discount,
                    "presentation": line.presentation,
                    "recognition": line.recognition,
                    "refund_window_days": self._refund_window_days if days is None else days,
                    **self._split_of(rule, order, line.platform_discount),
                },
            )

    def _split_of(self, rule: SplitRuleRow | None, order: OrderRow, platform_discount: int) -> dict[str, Any]:
        """What a line keeps of its rule: later versions don't touch it."""
        if rule is None:
            return {
                "split_rule_id": None,
                "split": {},
                "release": "after_hold",
                "hold_seconds": self._hold_seconds,
            }
        terms = rule.terms(affiliate=order.affiliate_payee, platform_discount=platform_discount)
        return {
            "split_rule_id": rule.id,
            "split": terms.to_dict(),
            "release": rule.release,
            "hold_seconds": self._hold_seconds if rule.hold_days is None else rule.hold_days * 86_400,
        }

    @activity.defn
    @translated
    async def accept_free_order(self, order: OrderInput) -> OrderState:
        """Nothing is due, or store credit pays for all: paid at once, without the processor."""
        async with self._transactions.begin() as tx:
            row = await _require(tx.session, order.order_id, lock=True)
            if row.payment_state is PaymentState.PENDING and row.due == 0:
                how = "Paid with store credit." if row.store_credit else "Nothing was due."
                await self._capture.become_paid(tx, row, how=how)
            return await _state(tx.session, await _require(tx.session, order.order_id))

    @activity.defn
    @translated
    async def apply_success(self, given: PaymentEventInput) -> OrderState:
        """Apply `payment_intent.succeeded`: post the capture, or set the money apart.

        The amount and currency are compared before anything is granted. Money that does not pay for this
        order (another amount, a second intent, an order that has ended) comes back as `unapplied`, for a
        workflow of its own to decide on.
        """
        async with self._transactions.begin() as tx:
            row = await _require(tx.session, given.order_id, lock=True)
            intent = (await inbox.payload(tx.session, given.event.inbox_id))["data"]["object"]
            amount, currency = received(intent)
            payment = await payments.of_intent(tx.session, row.id, intent["id"], amount, currency)
            if payment.status in ("succeeded", payments.FAILED_LATE):
                return await _state(tx.session, row, unapplied=not payment.applied)
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
            return await _state(tx.session, await _require(tx.session, row.id), unapplied=not fits)

    @activity.defn
    @translated
    async def close_unpaid(self, given: CloseInput) -> OrderState:
        """End an order that was never paid: seats and promotion go back, the lines become a cart again.

        Its store credit is free again with the order's state.
        """
        async with self._transactions.begin() as tx:
            row = await _require(tx.session, given.order_id, lock=True)
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
            return await _state(tx.session, await _require(tx.session, row.id))

    @activity.defn
    @translated
    async def begin_fulfilment(self, order: OrderInput) -> FulfilmentPlan:
        """What the paid order needs; moves the fulfilment axis."""
        async with self._transactions.begin() as tx:
            row = await _require(tx.session, order.order_id, lock=True)
            if row.fulfilment_state is FulfilmentState.NONE:
                await orders.set_fulfilment_state(tx.session, row.id, FulfilmentState.FULFILLING)
            lines = await order_lines.of_order(tx.session, row.id)
            return FulfilmentPlan(
                row.user_id,
                [line.id for line in lines if line.list_net > 0],
                sorted({line.lms_course_id for line in lines}),
            )

    @activity.defn
    @translated
    async def review_fulfilment(self, order: OrderInput) -> OrderState:
        """Compare the order with its entitlements and move the fulfilment axis when it is decided."""
        async with self._transactions.begin() as tx:
            row = await _require(tx.session, order.order_id, lock=True)
            accesses = await entitlements.of_order(tx.session, row.id)
            statuses = {access.status for access in accesses}
            decided = all(access.decided for access in accesses)
            if decided and row.fulfilment_state is not FulfilmentState.FULFILLED:
                await self._become_fulfilled(tx, row, granted=EntitlementStatus.GRANTED in statuses)
            elif EntitlementStatus.FAILED in statuses:
                await _fail_fulfilment(tx, row, accesses)
            elif row.fulfilment_state is FulfilmentState.FAILED and not decided:
                # Tried again, or moved to another run: access is being set up once more.
                await orders.set_fulfilment_state(tx.session, row.id, FulfilmentState.FULFILLING)
            return await _state(tx.session, await _require(tx.session, row.id))

    async def _become_fulfilled(self, tx: Transaction, row: OrderRow, *, granted: bool) -> None:
        await orders.set_fulfilment_state(tx.session, row.id, FulfilmentState.FULFILLED)
        if not granted:  # every access was taken back before it was there: nothing to announce
            return
        await orders.note(tx.session, row.id, "fulfilled", "order_fulfilled", "Access is there.")
        tx.publish(
            Publication(
                f"order:{row.id}:fulfilled",
                "order.fulfilled",
                order_stream(row.id),
                OrderFulfilled(order_id=row.id, number=row.number, user_id=row.user_id),
            )
        )


async def _fail_fulfilment(tx: Transaction, row: OrderRow, accesses: list[EntitlementRow]) -> None:
    """The LMS said no for good: the buyers of those lines are asked what they want instead."""
    await resolutions.open_refused(tx.session, order_id=row.id)
    if row.fulfilment_state is FulfilmentState.FAILED:
        return
    await orders.set_fulfilment_state(tx.session, row.id, FulfilmentState.FAILED)
    failed = [access for access in accesses if access.status is EntitlementStatus.FAILED]
    reasons = "; ".join(f"{a.lms_course_id}: {a.failure_detail or a.failure_code}" for a in failed)
    versions = ",".join(str(access.version) for access in failed)
    await orders.note(
        tx.session,
        row.id,
        f"failed/{activity.info().workflow_run_id}/{versions}",
        "fulfillment_failed",
        f"The LMS refused access for good ({reasons}). The buyer or an operator chooses what to do instead.",
    )


async def _require(session: Session, order_id: str, *, lock: bool = False) -> OrderRow:
    row = await orders.get(session, order_id, lock=lock)
    if row is None:
        raise CommerceError(f"order {order_id} has no row")
    return row


async def _state(session: Session, row: OrderRow, *, unapplied: bool = False) -> OrderState:
    intents = [payment.intent_id for payment in await payments.of_order(session, row.id)]
    return OrderState(
        order_id=row.id,
        number=row.number,
        user_id=row.user_id,
        lms_user_id=row.lms_user_id,
        status=str(row.status),
        payment=row.payment_state,
        fulfilment=row.fulfilment_state,
        total=row.total,
        currency=row.currency,
        expires_at=row.expires_at.timestamp(),
        intent_id=intents[0] if intents else None,
        unapplied=unapplied,
        store_credit=row.store_credit,
    )


def _why_unapplied(row: OrderRow, amount: int, currency: str) -> str:
    if (amount, currency) != (row.due, row.currency):
        return f"the order is for {as_read(row.due, row.currency)}"
    if row.payment_state is PaymentState.PAID:
        return "the order was paid already"
    return f"the order is {row.payment_state}"


def _refuse_problems(quote: quotes.CartQuote) -> None:
    if not quote.sold:
        raise Conflict("the cart is empty", code="cart_empty")
    for problem in quote.problems:
        if problem.code == "promo_invalid":
            if problem.reason == "used_up":
                raise Conflict(problem.detail, code="promo_used_up")
            raise PromoInvalid(problem.reason or "unknown", problem.detail)
        raise Conflict(problem.detail, code=problem.code)


def _refuse_other_price(quote: quotes.CartQuote, credit: int, body: dict[str, Any]) -> None:
    """The caller may have said what it expects to owe, in all and after store credit."""
    due = quote.total - credit
    for expected, found in ((body.get("expected_total"), quote.total), (body.get("expected_due"), due)):
        if expected is not None and (expected["amount"], expected["currency"]) != (found, quote.currency):
            break
    else:
        return
    raise PriceChanged(
        f"the total is {quote.total} {quote.currency} now, of which {due} are due",
        quote=_totals(quote, credit),
    )


def _totals(quote: quotes.CartQuote, credit: int) -> dict[str, dict[str, Any]]:
    """The figures that a problem answer shows."""
    return {
        name: {"amount": value, "currency": quote.currency}
        for name, value in (
            ("subtotal", quote.subtotal),
            ("discount", quote.discount),
            ("tax", quote.tax),
            ("total", quote.total),
            ("store_credit", credit),
            ("due", quote.total - credit),
        )
    }


async def _take_seats(session: Session, item_ids: Iterable[str]) -> None:
    for item_id in sorted(item_ids):
        if not await catalog.take_seat(session, item_id):
            raise Conflict("the last seat is taken", code="sold_out")

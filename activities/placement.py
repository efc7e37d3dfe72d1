"""Placing an order: a cart becomes an order with lines, seats, promotion and store credit, or a refusal."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.boundary import Transactions, translated
from activities.order_state import OrderState, row_of, state_of
from activities.refusals import Refusal, refusal_of
from domain.errors import Conflict, InvalidInput, PriceChanged, PromoInvalid
from domain.messages import OrderInput, PaymentEvent
from domain.money import as_read
from domain.pricing import StatedTaxOutdated
from domain.store_credit import credit_to_use
from domain.taxation import TaxDecision
from models.database import Session
from models.queries import (
    carts,
    catalog,
    inbox,
    order_lines,
    orders,
    people,
    promotions,
    quotes,
    recorded_commands,
    split_rules,
    store_credit,
)
from models.queries.orders import NewOrder, OrderRow
from models.queries.recorded_commands import CommandRow
from models.queries.split_rules import Sale, SplitRuleRow


@dataclass(frozen=True)
class Placement:
    """An order, or the reason why there is none."""

    state: OrderState | None
    refusal: Refusal | None = None
    # Successes that the inbox holds and no payment row has: the run that was told of them was lost.
    unapplied_events: list[PaymentEvent] = field(default_factory=list)


class PlacementActivities:
    """The first step of the checkout workflow."""

    def __init__(
        self,
        transactions: Transactions,
        *,
        payment_window_seconds: float,
        refund_window_days: int,
        hold_seconds: int,
    ) -> None:
        self._transactions = transactions
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
                    return Placement(await state_of(tx.session, existing), unapplied_events=waiting)
                await self._place(tx.session, order.order_id)
                placed = await row_of(tx.session, order.order_id)
                return Placement(await state_of(tx.session, placed))
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
        await self._insert_lines(session, await row_of(session, order_id), quote, now)
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
        f"the total is {as_read(quote.total, quote.currency)} now, "
        f"of which {as_read(due, quote.currency)} are due",
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

"""Orders and their timeline."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.orders import DisputeState, FulfilmentState, OrderAxes, OrderStatus, PaymentState, order_status
from domain.taxation import TaxDecision
from models.database import Session


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order as activities see it; amounts in minor units of `currency`."""

    id: str
    number: str
    user_id: str
    lms_user_id: str
    cart_id: str
    currency: str
    payment_state: PaymentState
    fulfilment_state: FulfilmentState
    dispute_state: DisputeState
    subtotal: int
    discount: int
    tax: int
    total: int
    store_credit: int
    amount_paid: int
    amount_refunded: int
    promo_codes: tuple[str, ...]
    billing_address: dict[str, Any]
    return_url: str | None
    locale: str | None
    taxation: TaxDecision
    channel: str | None
    affiliate_code: str | None
    affiliate_payee: str | None
    intent_attempts: int
    expires_at: datetime
    created_at: datetime
    paid_at: datetime | None

    @property
    def due(self) -> int:
        """What is to be paid by card: the total less store credit."""
        return self.total - self.store_credit

    @property
    def amount_kept(self) -> int:
        """What was paid and not returned by the bank; refunds are counted beside it."""
        return 0 if self.payment_state is PaymentState.FAILED else self.amount_paid

    @property
    def status(self) -> OrderStatus:
        """Derived from the axes."""
        return order_status(
            OrderAxes(
                self.payment_state,
                self.fulfilment_state,
                self.dispute_state,
                self.amount_paid,
                self.amount_refunded,
            )
        )


_SELECT_ORDER = (
    "SELECT o.*, u.lms_user_id, a.code AS affiliate_code, a.payee_ref AS affiliate_payee FROM orders o "
    "JOIN commerce_user u ON u.id = o.user_id LEFT JOIN affiliate a ON a.id = o.affiliate_id "
)


def _order(row: Row[Any]) -> OrderRow:
    return OrderRow(
        id=str(row.id),
        number=row.number,
        user_id=str(row.user_id),
        lms_user_id=row.lms_user_id,
        cart_id=str(row.cart_id),
        currency=row.currency,
        payment_state=PaymentState(row.payment_state),
        fulfilment_state=FulfilmentState(row.fulfilment_state),
        dispute_state=DisputeState(row.dispute_state),
        subtotal=row.subtotal,
        discount=row.discount,
        tax=row.tax,
        total=row.total,
        store_credit=row.store_credit,
        amount_paid=row.amount_paid,
        amount_refunded=row.amount_refunded,
        promo_codes=tuple(row.promo_codes),
        billing_address=row.billing_address,
        return_url=row.return_url,
        locale=row.locale,
        taxation=TaxDecision.from_dict(row.taxation),
        channel=row.channel,
        affiliate_code=row.affiliate_code,
        affiliate_payee=row.affiliate_payee,
        intent_attempts=row.intent_attempts,
        expires_at=row.expires_at,
        created_at=row.created_at,
        paid_at=row.paid_at,
    )


async def get(session: Session, order_id: str, *, lock: bool = False) -> OrderRow | None:
    """One order; with `lock`, nobody else changes it until the transaction ends."""
    suffix = " FOR UPDATE OF o" if lock else ""
    row = (
        await session.execute(text(_SELECT_ORDER + "WHERE o.id = :id" + suffix), {"id": order_id})
    ).one_or_none()
    return None if row is None else _order(row)


async def page(
    session: Session, *, user_id: str | None, status: OrderStatus | None, before: str | None, limit: int
) -> list[OrderRow]:
    """Newest first, from `before` on (keyset); status is compared as derived."""
    rows = await session.execute(
        text(
            _SELECT_ORDER + "WHERE (CAST(:user_id AS uuid) IS NULL OR o.user_id = CAST(:user_id AS uuid)) "
            "AND (CAST(:before AS uuid) IS NULL OR o.id < CAST(:before AS uuid)) "
            f"AND (CAST(:status AS text) IS NULL OR {STATUS_SQL} = :status) "
            "ORDER BY o.id DESC LIMIT :limit"
        ),
        {"user_id": user_id, "before": before, "status": status, "limit": limit},
    )
    return [_order(row) for row in rows]


# The same rule as domain.orders.order_status, for filters; a test holds the two against each other.
STATUS_SQL = (
    "(CASE WHEN o.dispute_state = 'open' THEN 'disputed' "
    "WHEN o.amount_paid > 0 AND o.amount_refunded >= o.amount_paid THEN 'refunded' "
    "WHEN o.amount_refunded > 0 AND o.payment_state = 'paid' THEN 'partially_refunded' "
    "WHEN o.payment_state = 'paid' THEN CASE o.fulfilment_state WHEN 'fulfilled' THEN 'fulfilled' "
    "WHEN 'failed' THEN 'fulfillment_failed' WHEN 'fulfilling' THEN 'fulfilling' ELSE 'paid' END "
    "WHEN o.payment_state IN ('canceled', 'failed') THEN 'canceled' "
    "WHEN o.payment_state = 'expired' THEN 'expired' "
    "ELSE 'pending_payment' END)"
)


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What placing an order writes."""

    id: str
    user_id: str
    cart_id: str
    currency: str
    subtotal: int
    discount: int
    tax: int
    total: int
    promo_codes: tuple[str, ...]
    billing_address: dict[str, Any]
    return_url: str | None
    window_seconds: float
    locale: str | None = None
    taxation: TaxDecision | None = None
    channel: str | None = None
    affiliate_id: str | None = None
    store_credit: int = 0


async def insert(session: Session, order: NewOrder) -> None:
    """Write the order with the next number; the number's series may have gaps."""
    await session.execute(
        text(
            "INSERT INTO orders (id, number, user_id, cart_id, currency, payment_state, "
            "fulfilment_state, dispute_state, subtotal, discount, tax, total, promo_codes, store_credit, "
            "billing_address, return_url, locale, taxation, channel, affiliate_id, expires_at) "
            "VALUES (:id, "
            "(SELECT to_char(now(), '\"C-\"YYYY-') || lpad(n::text, greatest(6, length(n::text)), '0') "
            " FROM nextval('order_number_seq') AS n), "
            ":user_id, :cart_id, :currency, 'pending', 'none', 'none', :subtotal, :discount, :tax, "
            ":total, CAST(:promo_codes AS text[]), :store_credit, CAST(:address AS jsonb), :return_url, "
            ":locale, CAST(:taxation AS jsonb), :channel, CAST(:affiliate_id AS uuid), "
            "now() + make_interval(secs => :window_seconds))"
        ),
        {
            "id": order.id,
            "user_id": order.user_id,
            "cart_id": order.cart_id,
            "currency": order.currency,
            "subtotal": order.subtotal,
            "discount": order.discount,
            "tax": order.tax,
            "total": order.total,
            "promo_codes": list(order.promo_codes),
            "store_credit": order.store_credit,
            "address": json.dumps(order.billing_address),
            "return_url": order.return_url,
            "locale": order.locale,
            "taxation": None if order.taxation is None else json.dumps(order.taxation.to_dict()),
            "channel": order.channel,
            "affiliate_id": order.affiliate_id,
            "window_seconds": order.window_seconds,
        },
    )


async def set_payment_state(session: Session, order_id: str, state: PaymentState) -> None:
    """Move the payment axis."""
    await session.execute(
        text("UPDATE orders SET payment_state = :state WHERE id = :id"), {"id": order_id, "state": state}
    )


async def set_paid(session: Session, order_id: str) -> None:
    """The total has been paid, by card and store credit; deadlines count from now."""
    await session.execute(
        text("UPDATE orders SET payment_state = 'paid', amount_paid = total, paid_at = now() WHERE id = :id"),
        {"id": order_id},
    )
    await session.execute(
        text(
            "UPDATE order_line SET recognition_deadline = now() + make_interval(days => refund_window_days) "
            "WHERE order_id = :id"
        ),
        {"id": order_id},
    )


async def set_fulfilment_state(session: Session, order_id: str, state: FulfilmentState) -> None:
    """Move the fulfilment axis."""
    await session.execute(
        text("UPDATE orders SET fulfilment_state = :state WHERE id = :id"),
        {"id": order_id, "state": state},
    )


async def add_refunded(session: Session, order_id: str, amount: int) -> None:
    """Count a succeeded refund (or, negative, one that failed later)."""
    await session.execute(
        text("UPDATE orders SET amount_refunded = amount_refunded + :amount WHERE id = :id"),
        {"id": order_id, "amount": amount},
    )


async def seconds_since_unpaid(session: Session, user_id: str, nth_last: int) -> float | None:
    """How long ago a user made the nth last of their orders that ended unpaid; None without so many."""
    found = await session.execute(
        text(
            "SELECT extract(epoch FROM now() - created_at) FROM orders WHERE user_id = :user "
            "AND payment_state IN ('expired', 'canceled') ORDER BY id DESC OFFSET :n LIMIT 1"
        ),
        {"user": user_id, "n": nth_last - 1},
    )
    seconds = found.scalar_one_or_none()
    return None if seconds is None else float(seconds)


async def note(session: Session, order_id: str, event_key: str, kind: str, detail: str) -> None:
    """Add a line to the order's timeline, once per `event_key`."""
    await session.execute(
        text(
            "INSERT INTO order_event (order_id, event_key, kind, detail) "
            "VALUES (:order_id, :event_key, :kind, :detail) ON CONFLICT DO NOTHING"
        ),
        {"order_id": order_id, "event_key": event_key, "kind": kind, "detail": detail},
    )


async def timeline(session: Session, order_id: str) -> list[dict[str, Any]]:
    """What happened, oldest first."""
    rows = await session.execute(
        text("SELECT at, kind, detail FROM order_event WHERE order_id = :id ORDER BY id"), {"id": order_id}
    )
    return [{"at": row.at, "kind": row.kind, "detail": row.detail} for row in rows]


async def new_id(session: Session) -> str:
    """A fresh UUIDv7."""
    return str((await session.execute(text("SELECT uuidv7()"))).scalar_one())


async def known_orders(session: Session) -> set[str]:
    """Ids of all orders, to tell our intents from foreign ones in a shared account."""
    rows = await session.execute(text("SELECT id FROM orders"))
    return {str(row.id) for row in rows}

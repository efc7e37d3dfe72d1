"""How an order stands: its row, and what its workflow goes on from."""

from dataclasses import dataclass

from domain.errors import CommerceError
from domain.orders import FulfilmentState, PaymentState
from models.database import Session
from models.queries import orders, payments
from models.queries.orders import OrderRow


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


async def row_of(session: Session, order_id: str, *, lock: bool = False) -> OrderRow:
    """The order's row, which must be there; with `lock`, nobody else changes it until the commit."""
    row = await orders.get(session, order_id, lock=lock)
    if row is None:
        raise CommerceError(f"order {order_id} has no row")
    return row


async def state_of(session: Session, row: OrderRow, *, unapplied: bool = False) -> OrderState:
    """The state of an order; `unapplied` when the money that just came does not pay for it."""
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

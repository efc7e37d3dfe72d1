"""An order becomes paid: capture, promotion consumed, access justified, receipt issued; all at once."""

from activities.boundary import Transaction
from activities.documents import sale_draft
from activities.earnings import capture_order
from domain.event_data import OrderPaid
from domain.ids import order_stream
from models.queries import double_purchases, entitlements, orders, promotions
from models.queries.orders import OrderRow
from models.queries.outbox import Publication


class Capture:
    """Applies money (or the fact that none is due) to an order."""

    def __init__(self, seller: dict[str, str]) -> None:
        """`seller` has name, address, vat_id and country, for the receipt."""
        self._seller = seller

    async def become_paid(self, tx: Transaction, row: OrderRow, *, how: str) -> None:
        """Write everything that follows from payment of all that was due; reserved store credit is spent."""
        await orders.set_paid(tx.session, row.id)
        await capture_order(tx, row)
        await promotions.consume(tx.session, row.id)
        await entitlements.justify(tx.session, row.id)
        tx.questions += await double_purchases.ask(tx.session, row.user_id)
        await orders.note(tx.session, row.id, "paid", "order_paid", how)
        tx.publish(
            Publication(
                f"order:{row.id}:paid",
                "order.paid",
                order_stream(row.id),
                OrderPaid(
                    order_id=row.id,
                    number=row.number,
                    user_id=row.user_id,
                    lms_user_id=row.lms_user_id,
                    currency=row.currency,
                    amount=row.total,
                    store_credit=row.store_credit,
                ),
            )
        )
        if row.total > 0:
            tx.issue(await sale_draft(tx.session, row, seller=self._seller))

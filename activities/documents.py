"""The content of receipts and credit notes, taken from the order's stored figures."""

from typing import Any

from models.database import Session
from models.queries import orders, payments
from models.queries.orders import OrderRow

_BY_COUNTRY = {"US": "en_US", "GB": "en_GB", "DE": "de_DE", "FR": "fr_FR", "JP": "ja_JP"}


async def receipt_body(
    session: Session, order: OrderRow, *, seller: dict[str, str], kind: str
) -> dict[str, Any]:
    """The receipt of a paid order: what was bought, its tax by rate, and how it was paid."""
    lines = await orders.lines(session, order.id)
    paid = [p for p in await payments.of_order(session, order.id) if p.applied]
    reference = paid[0].intent_id if paid else "store credit"
    return await _body(
        session,
        order,
        seller=seller,
        kind=kind,
        lines=lines,
        totals=(order.total, order.tax),
        payment=f"Paid by card, {reference}",
        reference=None,
    )

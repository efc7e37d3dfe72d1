"""Refunds made at the processor that did not fit: they are tried again when what stood in their way moved."""

from activities.boundary import Transactions
from integrations.dispatch import Dispatcher
from models.queries import refunds


async def wake_parked(transactions: Transactions, dispatcher: Dispatcher, order_id: str) -> None:
    """Have each that waits to be taken in for this order tried again now."""
    async with transactions.begin() as tx:
        parked = await refunds.parked(tx.session, order_id)
    for one in parked:
        await dispatcher.wake_parked_refund(one.provider_id, one.created)

"""Repair of one difference between processor and books: ask the processor again, send what never came."""

from dataclasses import dataclass

from temporalio import activity

from activities.balance import take_in
from activities.boundary import Transactions, translated
from activities.reconciliation import look_again
from domain.errors import CommerceError
from domain.ids import recovered_event_id
from domain.messages import DifferenceInput
from domain.reconciliation import BalanceTransaction, Category, DifferenceKind
from integrations.dispatch import Dispatcher
from integrations.payments import StripePayments
from models.queries import differences, inbox
from models.queries.differences import DifferenceRow

# The event that should have told of a movement: its type, and which object it carries.
_EVENTS = {
    Category.CHARGE: ("payment_intent.succeeded", "payment_intents"),
    Category.CHARGE_FAILURE: ("charge.failed", "charges"),
    Category.REFUND: ("refund.updated", "refunds"),
    Category.REFUND_FAILURE: ("refund.failed", "refunds"),
    Category.DISPUTE: ("charge.dispute.funds_withdrawn", "disputes"),
    Category.DISPUTE_REVERSAL: ("charge.dispute.funds_reinstated", "disputes"),
}


@dataclass(frozen=True)
class RepairStep:
    """How a difference stands: whether it is still open, whether to look again, and what was done."""

    is_open: bool
    waiting: bool
    told: str


class RepairActivities:
    """Steps of the repair workflow; each may be repeated."""

    def __init__(self, transactions: Transactions, dispatcher: Dispatcher, api: StripePayments) -> None:
        self._transactions = transactions
        self._dispatcher = dispatcher
        self._api = api

    @activity.defn
    @translated
    async def repair_difference(self, given: DifferenceInput) -> RepairStep:
        """Ask the processor again; where only its message was lost, send that on the way of a webhook."""
        known = await self._read(given)
        if known.state != "open":
            return RepairStep(is_open=False, waiting=False, told=f"is {known.state}")
        if known.transaction_id is None:
            return await self.check_difference(given)
        found = await self._api.get_balance_transaction(known.transaction_id)
        async with self._transactions.begin() as tx:
            await take_in(tx, found)
        if (await self._read(given)).state != "open":
            return RepairStep(is_open=False, waiting=False, told="the books have it now")
        if known.kind is not DifferenceKind.ENTRY_MISSING:
            return RepairStep(is_open=True, waiting=False, told="still there: a person decides")
        if found.category not in _EVENTS or found.order_id is None:
            return RepairStep(is_open=True, waiting=False, told="nothing here posts this: a person decides")
        return RepairStep(is_open=True, waiting=True, told=await self._send(found))

    @activity.defn
    @translated
    async def check_difference(self, given: DifferenceInput) -> RepairStep:
        """Look whether it still holds, without asking anybody."""
        async with self._transactions.begin() as tx:
            is_open = await look_again(tx, given.difference_id)
        told = "still there: a person decides" if is_open else "it holds now"
        return RepairStep(is_open, waiting=is_open, told=told)

    async def _read(self, given: DifferenceInput) -> DifferenceRow:
        async with self._transactions.begin() as tx:
            known = await differences.get(tx.session, given.difference_id)
        if known is None:
            raise CommerceError(f"difference {given.difference_id} has no row")
        return known

    async def _send(self, found: BalanceTransaction) -> str:
        """Store the event that never came, made of the object as the processor holds it, and dispatch it."""
        assert found.category is not None
        kind, collection = _EVENTS[found.category]
        object_id = found.intent_id if collection == "payment_intents" else found.source
        subject = await self._api.read_object(collection, str(object_id))
        subject.pop("client_secret", None)
        event = {
            "id": recovered_event_id(found.id),
            "object": "event",
            "type": kind,
            "created": int(found.created.timestamp()),
            "data": {"object": subject},
        }
        async with self._transactions.begin() as tx:
            stored = await inbox.store(tx.session, inbox.STRIPE, event, found.order_id)
        outcome = await self._dispatcher.stripe_event(stored)
        async with self._transactions.begin() as tx:
            await inbox.mark_dispatched(tx.session, stored.inbox_id, f"reconciled: {outcome}")
        return f"{kind} sent again: {outcome}"

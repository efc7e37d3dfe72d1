"""Giving store credit: one transaction, under the order's lock where it makes up for an order."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.boundary import Transaction, Transactions, translated
from activities.earnings import ledger_of
from activities.refusals import Refusal, refusal_of
from domain.errors import CommerceError, Conflict, InvalidInput
from domain.ledger import NothingLeft, grant_goodwill
from domain.messages import StoreCreditInput
from domain.money import as_read
from domain.orders import DisputeState, PaymentState
from models.queries import ledger, order_lines, orders, people, recorded_commands, store_credit
from models.queries.recorded_commands import CommandRow


@dataclass(frozen=True)
class CreditGiven:
    """What became of it: given, or refused."""

    summary: str
    refusal: Refusal | None = None


class StoreCreditActivities:
    """The step of the store credit workflow."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    @activity.defn
    @translated
    async def grant_store_credit(self, given: StoreCreditInput) -> CreditGiven:
        """Post the gift and keep whom it went to, once; or say why not."""
        try:
            async with self._transactions.begin() as tx:
                command = await recorded_commands.get(tx.session, given.grant_id)
                if command is None:
                    raise Conflict("nothing was asked under this id")
                if await store_credit.grant(tx.session, command.id) is None:
                    await _grant(tx, command)
                return CreditGiven(f"{as_read(int(command.body['amount']), command.body['currency'])} given")
        except (Conflict, InvalidInput) as error:
            return CreditGiven(f"refused: {error.code}", refusal_of(error))


async def _grant(tx: Transaction, command: CommandRow) -> None:
    body = command.body
    order_id, amount, currency = body["order_id"], int(body["amount"]), str(body["currency"])
    if order_id is not None:
        await _check_order(tx, order_id, amount)
    if await people.get(tx.session, body["user_id"]) is None:
        raise CommerceError(f"user {body['user_id']} has no row")
    outcome = grant_goodwill(command.id, body["user_id"], amount=amount, currency=currency)
    await ledger.post(tx.session, outcome.entries, order_id=order_id, effective_at=datetime.now(UTC))
    await store_credit.insert_grant(
        tx.session,
        {
            "id": command.id,
            "user_id": body["user_id"],
            "order_id": order_id,
            "currency": currency,
            "amount": amount,
            "reason": body["reason"],
            "requested_by": command.user_id,
        },
    )
    if order_id is not None:
        await orders.note(
            tx.session,
            order_id,
            f"credit/{command.id}",
            "store_credit_granted",
            f"Store credit of {as_read(amount, currency)} given as goodwill: {body['reason']}",
        )


async def _check_order(tx: Transaction, order_id: str, amount: int) -> None:
    """Goodwill for an order, with all that went back, is never more than was paid for it."""
    row = await orders.get(tx.session, order_id, lock=True)
    if row is None:
        raise CommerceError(f"order {order_id} has no row")
    if row.payment_state is not PaymentState.PAID or row.amount_paid == 0:
        raise Conflict("nothing was paid for this order", code="not_paid")
    if row.dispute_state is DisputeState.OPEN:
        raise Conflict("a dispute is open; its outcome decides", code="dispute_open")
    lines = [
        ledger_of(line, row.currency) for line in await order_lines.of_order(tx.session, order_id, lock=True)
    ]
    given = sum(grant.amount for grant in await store_credit.grants_of_order(tx.session, order_id))
    left = sum(line.refundable_gross for line in lines) - given
    if amount > left:
        raise NothingLeft(f"{as_read(amount, row.currency)} asked, {as_read(left, row.currency)} left")

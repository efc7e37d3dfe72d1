"""Money between us and payees: payouts that were settled, debts written off, earnings of the wrong payee."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.boundary import Transaction, Transactions, translated
from activities.earnings import ledger_of, post_outcome
from activities.refusals import Refusal, refusal_of
from domain.errors import CommerceError, Conflict, InvalidInput
from domain.event_data import PayeeWrittenOff
from domain.ids import payee_stream
from domain.ledger import reassign, settle_payout, write_off_payee
from domain.messages import CorrectionInput, LineInput, PayoutInput
from domain.money import as_read
from domain.payouts import settlement_of
from integrations.dispatch import Dispatcher
from models.queries import inbox, ledger, order_lines, orders, payees, recorded_commands
from models.queries.outbox import Publication
from models.queries.recorded_commands import CommandRow

log = logging.getLogger(__name__)

WRITE_OFF = "write_off"
REASSIGNMENT = "reassignment"


@dataclass(frozen=True)
class SettledPayout:
    """A payout in the books; amounts in minor units. `excess` went beyond what had been released."""

    payout_id: str
    payee: str
    currency: str
    amount: int
    excess: int


@dataclass(frozen=True)
class Corrected:
    """What became of a correction: done, or refused. `line_id` names the split that is to look again."""

    summary: str
    line_id: str | None = None
    refusal: Refusal | None = None


class PayeeActivities:
    """Steps of the workflows of payouts and corrections."""

    def __init__(self, transactions: Transactions, dispatcher: Dispatcher) -> None:
        self._transactions = transactions
        self._dispatcher = dispatcher

    @activity.defn
    @translated
    async def post_payout(self, given: PayoutInput) -> SettledPayout:
        """Post a payout, once, also one of more than was released: the money has left.

        Such a one is an alarm, and `commerce verify` names it until later earnings or a write-off cover it.
        """
        async with self._transactions.begin() as tx:
            event = await inbox.payload(tx.session, given.inbox_id)
            settled = settlement_of(event.get("data"))
            await payees.lock(tx.session, settled.payee, settled.currency)
            before = await payees.balance_in(tx.session, settled.payee, settled.currency)
            outcome = settle_payout(
                settled.payout_id, settled.payee, amount=settled.amount, currency=settled.currency
            )
            (entry,) = await ledger.post(
                tx.session, outcome.entries, order_id=None, effective_at=datetime.now(UTC)
            )
            excess = max(0, settled.amount - before.payable) if entry.fresh else 0
            if entry.fresh:
                await payees.insert_settlement(
                    tx.session, settled, excess=excess, journal_entry_id=entry.id, inbox_id=given.inbox_id
                )
        if excess:
            log.error(
                "payout %s paid %s to %s, %s more than was released",
                settled.payout_id,
                as_read(settled.amount, settled.currency),
                settled.payee,
                as_read(excess, settled.currency),
            )
        return SettledPayout(settled.payout_id, settled.payee, settled.currency, settled.amount, excess)

    @activity.defn
    @translated
    async def correct(self, given: CorrectionInput) -> Corrected:
        """Write a debt off, or move earnings to another payee, once; or say why not."""
        try:
            async with self._transactions.begin() as tx:
                command = await recorded_commands.get(tx.session, given.correction_id)
                if command is None:
                    raise Conflict("nothing was asked under this id")
                body = command.body
                amount = as_read(body["amount"], body["currency"])
                known = await payees.correction(tx.session, command.id) is not None
                if command.kind == WRITE_OFF:
                    if not known:
                        await _write_off(tx, command)
                    return Corrected(f"{amount} of {body['payee']} written off")
                if not known:
                    await _reassign(tx, command)
                return Corrected(
                    f"{amount} went from {body['payee']} to {body['to_payee']}",
                    line_id=body["line_id"],
                )
        except (Conflict, InvalidInput) as error:
            return Corrected(f"refused: {error.code}", refusal=refusal_of(error))

    @activity.defn
    @translated
    async def tell_split(self, given: LineInput) -> None:
        """Have the line's split look again: what the new payee holds is to be released."""
        await self._dispatcher.resume_split(given.line_id)


async def _write_off(tx: Transaction, command: CommandRow) -> None:
    body = command.body
    payee, currency, amount = body["payee"], body["currency"], body["amount"]
    await payees.lock(tx.session, payee, currency)
    given = body.get("effective_at")
    effective_at = datetime.now(UTC) if given is None else datetime.fromisoformat(given)
    owed = min(
        (await payees.balance_in(tx.session, payee, currency)).receivable,
        await payees.owed_at(tx.session, payee, currency, effective_at),
    )
    if amount > owed:
        raise Conflict(f"{payee} owes {as_read(owed, currency)}", code="write_off_exceeds_debt")
    outcome = write_off_payee(command.id, payee, amount=amount, currency=currency)
    (entry,) = await ledger.post(
        tx.session,
        outcome.entries,
        order_id=None,
        effective_at=effective_at,
        operator_id=command.user_id,
    )
    await payees.insert_correction(
        tx.session,
        command.id,
        WRITE_OFF,
        payee=payee,
        currency=currency,
        amount=amount,
        reason=body["reason"],
        requested_by=command.user_id,
    )
    tx.publish(
        Publication(
            f"payee:{payee}:written_off:{command.id}",
            "payee.written_off",
            payee_stream(payee, currency),
            PayeeWrittenOff(
                write_off_id=command.id,
                payee_ref=payee,
                currency=currency,
                amount=amount,
                reason=body["reason"],
                journal_entry_id=entry.id,
            ),
        )
    )


async def _reassign(tx: Transaction, command: CommandRow) -> None:
    body = command.body
    found = await order_lines.get(tx.session, body["line_id"])
    order = None if found is None else await orders.get(tx.session, found.order_id, lock=True)
    line = await order_lines.get(tx.session, body["line_id"], lock=True)
    if line is None or order is None:
        raise CommerceError(f"order line {body['line_id']} has no row")
    if body["currency"] != order.currency:
        raise InvalidInput(f"the order is in {order.currency}", code="currency_mismatch")
    outcome = reassign(
        command.id,
        ledger_of(line, order.currency),
        amount=body["amount"],
        from_payee=body["payee"],
        to_payee=body["to_payee"],
    )
    await post_outcome(tx, outcome, order, [line], reason=f"reassigned: {body['reason']}")
    await payees.insert_correction(
        tx.session,
        command.id,
        REASSIGNMENT,
        payee=body["payee"],
        to_payee=body["to_payee"],
        line_id=line.id,
        currency=order.currency,
        amount=body["amount"],
        reason=body["reason"],
        requested_by=command.user_id,
    )
    await orders.note(
        tx.session,
        order.id,
        f"reassigned/{command.id}",
        "earnings_reassigned",
        f"{as_read(body['amount'], order.currency)} of {line.title} went from {body['payee']} to "
        f"{body['to_payee']}: {body['reason']}",
    )

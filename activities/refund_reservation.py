"""Reserving a refund: what it takes from which line, and its reversal, before the processor is asked."""

from typing import Any

from activities.boundary import Transaction
from activities.earnings import ledger_of, post_outcome
from activities.refund_books import require_order
from domain.currencies import currency_of
from domain.errors import Conflict
from domain.event_keys import refund_cause
from domain.ledger import LineLedger, Outcome, initiate_refund, plan_refund
from domain.money import as_read
from domain.orders import DisputeState, PaymentState, RefundKind
from domain.store_credit import Tender, refund_tender
from models.queries import order_lines, orders, payments, refunds
from models.queries.recorded_commands import CommandRow
from models.queries.refunds import RefundRow

# On the timeline, and as the reason of earning events.
_NAMES = {
    RefundKind.ORDER: "Refund",
    RefundKind.CORRECTION: "Price correction",
    RefundKind.GOODWILL: "Goodwill refund, borne by the platform,",
}
_WHY = {
    RefundKind.ORDER: "refund",
    RefundKind.CORRECTION: "price correction",
    RefundKind.GOODWILL: "goodwill",
}


async def reserve(tx: Transaction, command: CommandRow) -> None:
    """Reserve what the command asks back and post its reversal, under the locks of the order and its lines.

    Raises Conflict `not_paid`, `dispute_open`, `refund_exceeds_paid`, or InvalidInput: nothing is written.
    """
    body = command.body
    row = await require_order(tx, body["order_id"])
    if row.payment_state is not PaymentState.PAID or row.amount_paid == 0:
        raise Conflict("nothing was paid for this order", code="not_paid")
    if row.dispute_state is DisputeState.OPEN:
        raise Conflict("a dispute is open; its outcome decides", code="dispute_open")
    lines = await order_lines.of_order(tx.session, row.id, lock=True)
    books = [ledger_of(line, row.currency) for line in lines]
    kind = RefundKind(body.get("kind", RefundKind.ORDER))
    outcome, taken = _initiate(command.id, books, body, kind)
    total = sum(taken.values())
    payment = next((p for p in await payments.of_order(tx.session, row.id) if p.applied), None)
    if body.get("as_credit"):  # the buyer chose credit instead of money
        back = Tender(card=0, credit=total)
    else:
        earlier = await refunds.of_order(tx.session, row.id)
        back = _tender(total, books, earlier, 0 if payment is None else payment.amount)
    currency_of(row.currency).require_chargeable(total - back.credit)
    await refunds.insert(
        tx.session,
        refund_id=command.id,
        order_id=row.id,
        payment_id=None if payment is None else payment.id,
        kind=kind,
        amount=total,
        credit_amount=back.credit,
        currency=row.currency,
        reason=body["reason"],
        keep_access=body["keep_access"],
        requested_by=command.user_id,
        lines=taken,
    )
    await post_outcome(tx, outcome, row, lines, reason=_WHY[kind])
    in_credit = f", {as_read(back.credit, row.currency)} of it as store credit" if back.credit else ""
    remark = f" ({body['remark']})" if body.get("remark") else ""
    await orders.note(
        tx.session,
        row.id,
        f"refund/{command.id}/asked",
        "refund_requested",
        f"{_NAMES[kind]} of {as_read(total, row.currency)}{in_credit} asked: {body['reason']}{remark}",
    )


def _initiate(
    refund_id: str, books: list[LineLedger], body: dict[str, Any], kind: RefundKind
) -> tuple[Outcome, dict[str, int]]:
    """The reversal and what it takes from each line; Conflict when that is more than is left."""
    by_line = None
    if body["lines"] is not None:
        by_line = {line["line_id"]: line["amount"] for line in body["lines"]}
    taken = plan_refund(books, amount=body["amount"], by_line=by_line)
    return initiate_refund(
        refund_id, books, amount=body["amount"], by_line=by_line, absorb=kind.absorbed
    ), taken


def _tender(amount: int, books: list[LineLedger], earlier: list[RefundRow], card_paid: int) -> Tender:
    """What of a refund goes to the card, and what is given back as store credit.

    Counted from what stands on the lines: a canceled refund took nothing.
    """
    standing = {taking.cause for line in books for taking in line.takings if taking.gross}
    in_credit = sum(r.credit_amount for r in earlier if refund_cause(r.id) in standing)
    to_card = sum(line.taken_gross for line in books) - in_credit
    return refund_tender(amount, card_left=card_paid - to_card)

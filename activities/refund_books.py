"""What a refund does to rows, ledger, access and documents, in the transaction of its caller."""

from dataclasses import dataclass
from datetime import UTC, datetime

from activities.boundary import Transaction
from activities.credit_notes import canceled_refund_draft, refund_draft
from activities.earnings import ledger_of, post_outcome
from domain import ids
from domain.errors import CommerceError
from domain.event_data import RefundData
from domain.ledger import cancel_refund, fail_refund, settle_refund, void_refund
from domain.money import as_read
from domain.orders import RefundStatus
from models.queries import (
    catalog,
    double_purchases,
    entitlements,
    ledger,
    order_lines,
    orders,
    refunds,
    run_changes,
)
from models.queries.order_lines import LineRow
from models.queries.orders import OrderRow
from models.queries.outbox import Publication
from models.queries.refunds import RefundRow

# Reasons of the processor's that may be gone on another day. For the others a person has to do something:
# the customer's card is closed, or lost.
_PASSING = frozenset({"insufficient_funds", "declined", "unknown"})


_STILL_OWED = "It is still owed to the customer."


@dataclass(frozen=True)
class RefundState:
    """Where a refund stands; amount in minor units. `attempts` counts how often it was issued; `passing`
    says that the reason of its failure may be gone on another day; `canceled` that an operator gave it up."""

    refund_id: str
    order_id: str
    order_number: str
    user_id: str
    status: RefundStatus
    amount: int
    currency: str
    line_ids: list[str]
    course_ids: list[str]
    attempts: int = 1
    passing: bool = False
    canceled: bool = False


async def settle(tx: Transaction, refund: RefundRow, *, seller: dict[str, str]) -> None:
    """The money went back: post it, count it, end the access it paid for, issue the credit note.

    One that had settled before, failed, and was issued again gives no credit and no paper a second time.
    """
    row = await require_order(tx, refund.order_id)
    again = refund.settled_at is not None
    outcome = settle_refund(
        refund.id,
        amount=refund.card_amount if again else refund.amount,
        currency=refund.currency,
        credit=0 if again else refund.credit_amount,
        customer=row.user_id,
        attempt=refund.attempt,
    )
    await ledger.post(tx.session, outcome.entries, order_id=row.id, effective_at=datetime.now(UTC))
    await refunds.set_status(tx.session, refund.id, RefundStatus.SUCCEEDED)
    if refund.kind.takes_from_lines:
        await orders.add_refunded(tx.session, row.id, refund.amount)
        await _end_what_is_refunded(tx, row, refund)
    await note(tx, refund, "succeeded", f"{_sum(refund)} succeeded.")
    publish(tx, "refund.succeeded", refund, row)
    if refund.kind.takes_from_lines:
        fresh = await require_order(tx, row.id)
        if fresh.amount_refunded == fresh.amount_paid:
            publish(tx, "order.refunded", refund, row)
        if not again:
            tx.issue(await refund_draft(tx.session, fresh, refund, seller=seller))


async def fail(tx: Transaction, refund: RefundRow, reason: str) -> None:
    """The processor could not send the money: the duty to pay it back stays on the books."""
    row = await require_order(tx, refund.order_id)
    if refund.status is RefundStatus.SUCCEEDED:
        # Store credit that went back with it stays with the customer.
        outcome = fail_refund(
            refund.id, amount=refund.card_amount, currency=refund.currency, attempt=refund.attempt
        )
        await ledger.post(tx.session, outcome.entries, order_id=row.id, effective_at=datetime.now(UTC))
        if refund.kind.takes_from_lines:
            await orders.add_refunded(tx.session, row.id, -refund.amount)
    await refunds.set_status(tx.session, refund.id, RefundStatus.FAILED, reason)
    owed = "Its payment had been returned: cancel it." if refund.payment_failed else _STILL_OWED
    await note(tx, refund, "failed", f"{_sum(refund)} failed: {reason}. {owed}")
    publish(tx, "refund.failed", refund, row)


async def give_up(tx: Transaction, refund: RefundRow, *, seller: dict[str, str]) -> None:
    """An operator cancels a failed refund: revenue, shares, access and papers are as before it."""
    row = await require_order(tx, refund.order_id)
    if refund.payment_failed:
        await _void(tx, refund, row)
        return
    lines = await order_lines.of_order(tx.session, row.id, lock=True)
    books = [ledger_of(line, row.currency) for line in lines]
    await post_outcome(tx, cancel_refund(refund.id, books), row, lines, reason="refund canceled")
    await refunds.set_canceled(tx.session, refund.id)
    touched = set(await refunds.line_ids(tx.session, refund.id))
    for line_id, item_id in await order_lines.without_seat(tx.session, row.id):
        if line_id not in touched:
            continue
        if await catalog.take_seat(tx.session, item_id):
            await order_lines.set_holds_seat(tx.session, line_id)
        elif not await catalog.is_cancelled(tx.session, item_id):
            touched.remove(line_id)
            await note(
                tx, refund, f"no_seat/{line_id}", "The seat was sold meanwhile: paid for, but without access."
            )
    # In a cancelled run nobody needs a seat: the buyer is asked what to have instead.
    await entitlements.justify_again(tx.session, sorted(touched))
    tx.questions += await double_purchases.ask(tx.session, row.user_id)
    await run_changes.reopen(tx.session, row.id)
    tx.issue(await canceled_refund_draft(tx.session, row, refund, seller=seller))
    await note(
        tx, refund, "canceled", f"{_sum(refund)} was canceled by an operator; the order stands as before."
    )


async def _void(tx: Transaction, refund: RefundRow, row: OrderRow) -> None:
    """Nothing is owed: the bank returned the payment. The sale stays undone."""
    again = refund.settled_at is not None
    outcome = void_refund(
        refund.id,
        amount=refund.card_amount,
        currency=refund.currency,
        credit=0 if again else refund.credit_amount,
        customer=row.user_id,
    )
    await ledger.post(tx.session, outcome.entries, order_id=row.id, effective_at=datetime.now(UTC))
    await refunds.set_canceled(tx.session, refund.id)
    await note(
        tx, refund, "canceled", f"{_sum(refund)} was canceled by an operator; its payment had been returned."
    )


async def state_of(tx: Transaction, refund_id: str) -> RefundState:
    """The refund as its workflow sees it."""
    refund = await require(tx, refund_id)
    row = await require_order(tx, refund.order_id)
    line_ids = await refunds.line_ids(tx.session, refund_id)
    lines = await order_lines.of_order(tx.session, row.id)
    return RefundState(
        refund_id=refund.id,
        order_id=row.id,
        order_number=row.number,
        user_id=row.user_id,
        status=refund.status,
        amount=refund.amount,
        currency=refund.currency,
        line_ids=line_ids,
        course_ids=sorted({line.lms_course_id for line in lines if line.id in line_ids}),
        attempts=refund.attempt,
        passing=refund.failure_reason in _PASSING and not refund.payment_failed,
        canceled=refund.canceled_at is not None,
    )


async def require(tx: Transaction, refund_id: str, *, lock: bool = False) -> RefundRow:
    """The refund's row; with `lock`, its order's before it, as everybody locks them."""
    refund = await refunds.get(tx.session, refund_id)
    if refund is not None and lock:
        await require_order(tx, refund.order_id)
        refund = await refunds.get(tx.session, refund_id, lock=True)
    if refund is None:
        raise CommerceError(f"refund {refund_id} has no row")
    return refund


async def require_order(tx: Transaction, order_id: str) -> OrderRow:
    """The order's row, locked: always before its lines."""
    row = await orders.get(tx.session, order_id, lock=True)
    if row is None:
        raise CommerceError(f"order {order_id} has no row")
    return row


async def note(tx: Transaction, refund: RefundRow, what: str, detail: str) -> None:
    """One line on the order's timeline, once an attempt."""
    key = f"refund/{refund.id}/{what}" + (f"/{refund.attempt}" if refund.attempt > 1 else "")
    await orders.note(tx.session, refund.order_id, key, f"refund_{what}", detail)


def publish(tx: Transaction, kind: str, refund: RefundRow, row: OrderRow) -> None:
    """Tell the outside, once an attempt."""
    key = f"refund:{refund.id}:{kind}" + (f":{refund.attempt}" if refund.attempt > 1 else "")
    tx.publish(
        Publication(
            key,
            kind,
            ids.order_stream(row.id),
            RefundData(
                order_id=row.id,
                number=row.number,
                refund_id=refund.id,
                amount=refund.amount,
                currency=refund.currency,
                reason=refund.reason,
            ),
        )
    )


def _sum(refund: RefundRow) -> str:
    return f"Refund of {as_read(refund.amount, refund.currency)}"


async def _end_what_is_refunded(tx: Transaction, row: OrderRow, refund: RefundRow) -> None:
    """Lines that were paid back in full no longer give access, nor hold a seat.

    What another refund has promised and not sent does not count: the last to succeed ends the access.
    """
    if refund.keep_access:
        return
    lines = await order_lines.of_order(tx.session, row.id, lock=True)
    touched = set(await refunds.line_ids(tx.session, refund.id))
    touched -= await refunds.lines_of_open(tx.session, row.id, apart_from=refund.id)
    ended = [
        line for line in lines if line.id in touched and ledger_of(line, row.currency).refundable_gross == 0
    ]
    await entitlements.unjustify(tx.session, [line.id for line in ended])
    for item_id in await _release_seats(tx, ended):
        await catalog.release_seat(tx.session, item_id)


async def _release_seats(tx: Transaction, lines: list[LineRow]) -> list[str]:
    return await order_lines.release_seats_of(tx.session, [line.id for line in lines if line.holds_seat])

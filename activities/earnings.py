"""Between order lines and the ledger: their state in it, and the earning events that follow from it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from activities.boundary import Transaction
from domain.event_data import EarningData, EarningReversed, Share
from domain.ids import payee_stream
from domain.ledger import Earning, EarningType, LineLedger, Outcome, Recognition, capture
from domain.payee_share import PayeeShare, share_of
from models.queries import ledger, order_lines, volumes
from models.queries.order_lines import LineRow
from models.queries.orders import OrderRow
from models.queries.outbox import Publication


def ledger_of(line: LineRow, currency: str) -> LineLedger:
    """The line's state in the ledger, or its state before anything was posted."""
    if line.ledger is not None:
        return LineLedger.from_dict(line.ledger)
    return LineLedger.new(
        line=line.id,
        currency=currency,
        list_net=line.list_net,
        net=line.net,
        tax={tax["jurisdiction"]: int(tax["amount"]) for tax in line.taxes},
        split=line.split,
        recognition=line.recognition,
        presentation=line.presentation,
        platform_discount=line.platform_discount,
    )


async def capture_order(tx: Transaction, order: OrderRow) -> None:
    """Post the capture of a paid order (nothing, when it cost nothing), its store credit spent."""
    lines = await order_lines.of_order(tx.session, order.id, lock=True)
    books = [ledger_of(line, order.currency) for line in lines]
    prior = await volumes.before(tx.session, (b for b in books if b.recognition is Recognition.ON_PAYMENT))
    outcome = capture(order.id, books, credit_applied=order.store_credit, customer=order.user_id, prior=prior)
    await post_outcome(tx, outcome, order, lines, reason="payment")


async def post_outcome(
    tx: Transaction, outcome: Outcome, order: OrderRow, lines: Sequence[LineRow], *, reason: str
) -> None:
    """Post the entries, keep the lines' new states, and publish the earning events; one transaction."""
    now = datetime.now(UTC)
    posted = await ledger.post(tx.session, outcome.entries, order_id=order.id, effective_at=now)
    for state in outcome.lines:
        await order_lines.save_ledger(tx.session, state)
        await volumes.keep(tx.session, state)
    entry_ids = {entry.event_key: entry.id for entry in posted}
    by_id = {line.id: line for line in lines}
    states = {state.line: state for state in outcome.lines}
    for earning in outcome.earnings:
        line = by_id[earning.line]
        if earning.type is EarningType.ACCRUED:
            await order_lines.mark_accrued(tx.session, line.id)
        share = share_of(states[line.id], earning.payee)
        tx.publish(_publication(earning, share, order, line, entry_ids, now, reason))


def _publication(
    earning: Earning,
    share: PayeeShare,
    order: OrderRow,
    line: LineRow,
    entry_ids: dict[str, str],
    now: datetime,
    reason: str,
) -> Publication:
    entry_id = None if earning.entry_key is None else entry_ids.get(earning.entry_key)
    data = EarningData(
        earning_id=f"{line.id}/{earning.payee}",
        payee_ref=earning.payee,
        order_id=order.id,
        order_line_id=line.id,
        course_id=line.lms_course_id,
        currency=earning.currency,
        amount=earning.amount,
        basis_amount=earning.basis,
        share=Share(kind=share.kind, bps=share.bps, amount=share.amount),
        rule_version=line.split_rule_id,
        reason=reason,
        hold_until=((line.accrued_at or now) + timedelta(seconds=line.hold_seconds)).isoformat(),
        journal_entry_id=entry_id,
    )
    if earning.type is EarningType.REVERSED:
        data = EarningReversed(**data, bucket=earning.bucket, cumulative_reversed=earning.cumulative_reversed)
    # The entry names the business fact; by one entry a payee may lose from both buckets, or on two lines.
    key = f"{earning.entry_key}:{earning.type}:{earning.payee}:{earning.line}:{earning.bucket}"
    return Publication(key, str(earning.type), payee_stream(earning.payee, earning.currency), data)

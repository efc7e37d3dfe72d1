"""Disputes: the bank takes the money, we contest, we win or lose."""

from collections.abc import Sequence

from domain.accounts import Account
from domain.earnings import freezing
from domain.errors import Conflict
from domain.event_keys import dispute_cause, taken_key
from domain.line_ledger import LineLedger
from domain.line_parts import DisputeMark, TakingReason
from domain.outcomes import Outcome, one_entry
from domain.postings import Balances, Earning, EarningType, EntryKind, transfer
from domain.takings import Cause, currency_shared, plan_taking, take


def open_dispute(
    dispute_id: str,
    lines: Sequence[LineLedger],
    *,
    amount: int,
    fee: int = 0,
    fee_currency: str | None = None,
) -> Outcome:
    """The bank withdrew `amount` (minor units of the order's currency), the processor asks `fee`.

    Held earnings of all lines of the order freeze. A dispute that the lines know changes nothing.
    """
    if any(line.dispute(dispute_id) for line in lines):
        return Outcome(lines=tuple(lines))
    code = currency_shared(lines)
    cause = dispute_cause(dispute_id)
    opened = taken_key(cause, "opened")
    frozen = [
        earning for line in lines if not line.frozen for earning in freezing(line, EarningType.FROZEN, opened)
    ]
    after = [line.with_dispute(dispute_id, DisputeMark.OPEN) for line in lines]
    withdrawn = transfer(amount, debit=Account.DISPUTE_RECEIVABLE, credit=Account.PROCESSOR_CLEARING)
    charged = transfer(fee, debit=Account.DISPUTE_FEES, credit=Account.PROCESSOR_CLEARING)
    fee_entry = one_entry(EntryKind.DISPUTE_FEE, taken_key(cause, "fee"), fee_currency or code, charged)
    return one_entry(EntryKind.DISPUTE_OPENED, opened, code, withdrawn, after).then(fee_entry.entries, frozen)


def win_dispute(
    dispute_id: str,
    lines: Sequence[LineLedger],
    *,
    amount: int,
    fee_refund: int = 0,
    fee_currency: str | None = None,
) -> Outcome:
    """The withdrawn `amount` came back, and `fee_refund` of the fee (minor units); earnings are free again.

    A dispute that is over changes nothing. Raises Conflict when it was never opened.
    """
    if _is_over(dispute_id, lines):
        return Outcome(lines=tuple(lines))
    code = currency_shared(lines)
    after = [line.with_dispute(dispute_id, DisputeMark.WON) for line in lines]
    cause = dispute_cause(dispute_id)
    won = taken_key(cause, "won")
    returned = transfer(amount, debit=Account.PROCESSOR_CLEARING, credit=Account.DISPUTE_RECEIVABLE)
    refunded = transfer(fee_refund, debit=Account.PROCESSOR_CLEARING, credit=Account.DISPUTE_FEES)
    key = taken_key(cause, "fee_refunded")
    fee_entry = one_entry(EntryKind.DISPUTE_FEE_REFUNDED, key, fee_currency or code, refunded)
    return one_entry(EntryKind.DISPUTE_WON, won, code, returned, after).then(
        fee_entry.entries, _freed(after, won)
    )


def lose_dispute(dispute_id: str, lines: Sequence[LineLedger], *, amount: int) -> Outcome:
    """The withdrawn `amount` (minor units) is gone: out of sales or deferred revenue, tax, and the shares.

    It spreads over the lines like a refund; what goes beyond all that is left is a loss of the platform's.
    A dispute that is over changes nothing. Raises Conflict when it was never opened.
    """
    if _is_over(dispute_id, lines):
        return Outcome(lines=tuple(lines))
    marked = [line.with_dispute(dispute_id, DisputeMark.LOST) for line in lines]
    left = sum(line.refundable_gross for line in marked)
    taken = min(amount, left)
    plan = plan_taking(marked, amount=taken) if taken else {}
    counter: Balances = {
        (Account.DISPUTE_RECEIVABLE, None): -amount,
        (Account.CHARGEBACK_LOSS, None): amount - taken,
    }
    cause = Cause(dispute_cause(dispute_id), TakingReason.CHARGEBACK, EntryKind.DISPUTE_LOST, "lost")
    outcome = take(marked, plan, cause, counter)
    return outcome.then(earnings=_freed(outcome.lines, taken_key(cause.name, cause.step)))


def _is_over(dispute_id: str, lines: Sequence[LineLedger]) -> bool:
    marks = {line.dispute(dispute_id) for line in lines}
    if None in marks:
        raise Conflict(f"dispute {dispute_id} was not opened", code="dispute_unknown")
    return DisputeMark.OPEN not in marks


def _freed(lines: Sequence[LineLedger], entry_key: str) -> list[Earning]:
    """What is no longer frozen; another dispute may still hold it."""
    return [
        earning
        for line in lines
        if not line.frozen
        for earning in freezing(line, EarningType.UNFROZEN, entry_key)
    ]

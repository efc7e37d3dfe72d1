"""Refunds: promised and reversed, settled, failed, cancelled; and money without an order."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from domain.accounts import Account
from domain.earnings import give, settled
from domain.errors import Conflict
from domain.event_keys import refund_attempt_key, refund_cause, taken_key, unapplied_key
from domain.line_ledger import LineLedger
from domain.line_parts import TakingReason
from domain.outcomes import Outcome, chained, change, one_entry
from domain.postings import Balances, EntryKind, merged, transfer
from domain.takings import Cause, currency_shared, plan_taking, take


def plan_refund(
    lines: Sequence[LineLedger],
    *,
    amount: int | None = None,
    by_line: Mapping[str, int | None] | None = None,
) -> dict[str, int]:
    """What a refund takes from each line, gross in minor units: an amount over the order, named lines (None
    for the rest of one), or without either all that is left.

    Raises Conflict `dispute_open` or `not_paid`, NothingLeft (`refund_exceeds_paid`), InvalidInput.
    """
    if any(line.frozen for line in lines):
        raise Conflict("a dispute is open; its outcome decides", code="dispute_open")
    if not all(line.captured for line in lines):
        raise Conflict("the order was not paid", code="not_paid")
    return plan_taking(lines, amount=amount, by_line=by_line)


def initiate_refund(
    refund_id: str,
    lines: Sequence[LineLedger],
    *,
    amount: int | None = None,
    by_line: Mapping[str, int | None] | None = None,
    absorb: bool = False,
) -> Outcome:
    """Promise a refund: out of deferred revenue or sales, and tax; and take the shares back.

    `lines` are all of the order. With `absorb` the platform bears it (goodwill). A refund that the lines
    know already changes nothing. Raises what `plan_refund` does.
    """
    cause = refund_cause(refund_id)
    if any(line.taking(cause) for line in lines):
        return Outcome(lines=tuple(lines))
    plan = plan_refund(lines, amount=amount, by_line=by_line)
    reason = TakingReason.GOODWILL if absorb else TakingReason.REFUND
    counter: Balances = {(Account.REFUNDS_PAYABLE, None): -sum(plan.values())}
    return take(lines, plan, Cause(cause, reason, EntryKind.REFUND_INITIATED, "initiated"), counter)


def cancel_refund(refund_id: str, lines: Sequence[LineLedger]) -> Outcome:
    """Withdraw a promised refund: the revenue is back where it belongs now, the shares go into held.

    Nothing happens when it was cancelled before. Raises Conflict `refund_unknown` when it never began.
    """
    cause = refund_cause(refund_id)
    takings = {line.line: line.taking(cause) for line in lines}
    if not any(takings.values()):
        raise Conflict(f"refund {refund_id} took nothing from these lines", code="refund_unknown")
    gross = sum(taking.gross for taking in takings.values() if taking)
    if gross == 0:
        return Outcome(lines=tuple(lines))
    after = [
        line.with_taking(replace(taking, gross=0)) if (taking := takings[line.line]) else line
        for line in lines
    ]
    promise: Balances = {(Account.REFUNDS_PAYABLE, None): gross}
    moved = merged(change(lines, after), promise)
    posted = one_entry(
        EntryKind.REFUND_CANCELLED, taken_key(cause, "cancelled"), currency_shared(lines), moved
    )
    reinstated = chained(
        give(line, EntryKind.SPLIT_REINSTATED, taken_key(cause, "reinstated", line.line))
        if takings[line.line]
        else Outcome(lines=(line,))
        for line in after
    )
    return settled(Outcome(posted.entries + reinstated.entries, reinstated.earnings, reinstated.lines))


def void_refund(
    refund_id: str, *, amount: int, currency: str, credit: int = 0, customer: str | None = None
) -> Outcome:
    """A refund that was not sent, of a payment that failed after all: no money is owed to anybody.

    Its `amount` (minor units) became a loss with the failure, because it was promised; it is none. Store
    credit that was to go back with it (`credit`, beside the amount) still goes back to `customer`.
    """
    freed = merged(
        transfer(amount, debit=Account.REFUNDS_PAYABLE, credit=Account.CHARGEBACK_LOSS),
        transfer(credit, debit=Account.REFUNDS_PAYABLE, credit=Account.STORE_CREDIT, customer=customer),
    )
    key = taken_key(refund_cause(refund_id), "cancelled")
    return one_entry(EntryKind.REFUND_CANCELLED, key, currency, freed)


def settle_refund(
    refund_id: str,
    *,
    amount: int,
    currency: str,
    attempt: int = 1,
    credit: int = 0,
    customer: str | None = None,
) -> Outcome:
    """The refund's money (minor units) left the processor; `attempt` counts how often it was issued.

    `credit` of it goes back to `customer` as the store credit that it was paid with, not as money.
    """
    balances = merged(
        transfer(amount - credit, debit=Account.REFUNDS_PAYABLE, credit=Account.PROCESSOR_CLEARING),
        transfer(credit, debit=Account.REFUNDS_PAYABLE, credit=Account.STORE_CREDIT, customer=customer),
    )
    key = refund_attempt_key(refund_id, "settled", attempt)
    return one_entry(EntryKind.REFUND_SETTLED, key, currency, balances)


def fail_refund(refund_id: str, *, amount: int, currency: str, attempt: int = 1) -> Outcome:
    """The money of a settled refund came back: the duty to pay it revives, to be issued again."""
    balances = transfer(amount, debit=Account.PROCESSOR_CLEARING, credit=Account.REFUNDS_PAYABLE)
    key = refund_attempt_key(refund_id, "failed", attempt)
    return one_entry(EntryKind.REFUND_FAILED, key, currency, balances)


def unapply_payment(payment_id: str, *, amount: int, currency: str) -> Outcome:
    """Money (minor units) came without an order to pay for: set it apart."""
    balances = transfer(amount, debit=Account.PROCESSOR_CLEARING, credit=Account.UNAPPLIED_RECEIPTS)
    return one_entry(EntryKind.PAYMENT_UNAPPLIED, unapplied_key(payment_id), currency, balances)


def refund_unapplied(refund_id: str, *, amount: int, currency: str) -> Outcome:
    """Promise money back that was set apart; it settles like any refund."""
    balances = transfer(amount, debit=Account.UNAPPLIED_RECEIPTS, credit=Account.REFUNDS_PAYABLE)
    key = taken_key(refund_cause(refund_id), "initiated")
    return one_entry(EntryKind.REFUND, key, currency, balances)

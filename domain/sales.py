"""From payment to revenue: capture, recognition, and a payment that fails after all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from domain.accounts import Account
from domain.earnings import accrue, volume_of
from domain.errors import InvalidInput
from domain.event_keys import captured_key, order_cause, recognized_key, unapplied_failed_key
from domain.line_ledger import LineLedger
from domain.line_parts import Recognition, TakingReason
from domain.outcomes import Outcome, chained, change, one_entry
from domain.postings import Balances, EntryKind, merged, transfer
from domain.takings import Cause, currency_shared, plan_taking, take


class Trigger(StrEnum):
    """What may make a line's revenue due."""

    PAYMENT = "payment"  # it was paid for
    GRANT = "grant"  # access was given
    COMPLETION = "completion"  # the course was completed
    DEADLINE = "deadline"  # nothing came; the last day has passed


# A later stage implies the earlier ones: who completes a course had access to it.
_STAGE = {Trigger.PAYMENT: 0, Trigger.GRANT: 1, Trigger.COMPLETION: 2, Trigger.DEADLINE: 2}
_STAGE_DUE = {Recognition.ON_PAYMENT: 0, Recognition.ON_GRANT: 1, Recognition.ON_COMPLETION: 2}


def capture(
    order_id: str,
    lines: Sequence[LineLedger],
    *,
    credit_applied: int = 0,
    customer: str | None = None,
    prior: Mapping[str, int] | None = None,
) -> Outcome:
    """Post an order's payment: cash and `customer`'s store credit (minor units) against deferred revenue and
    tax.

    Lines that are recognized on payment are recognized right after, and `prior` is the volume of each payee
    with tiers before the first of them. An order that costs nothing has no
    entry of its own. Raises InvalidInput for more credit than the order costs. Captured lines are left.
    """
    code = currency_shared(lines)
    if all(line.captured for line in lines):
        return Outcome(lines=tuple(lines))
    captured = [replace(line, captured=True) for line in lines]
    gross = sum(line.gross for line in captured)
    if not 0 <= credit_applied <= gross:
        raise InvalidInput(f"credit of {credit_applied} does not fit an order of {gross}")
    received: Balances = {
        (Account.PROCESSOR_CLEARING, None): gross - credit_applied,
        (Account.STORE_CREDIT, customer): credit_applied,
    }
    posted = one_entry(
        EntryKind.PAYMENT_CAPTURED, captured_key(order_id), code, merged(received, change(lines, captured))
    )
    recognized = chained(_recognized_in_turn(captured, prior or {}))
    return Outcome(posted.entries + recognized.entries, recognized.earnings, recognized.lines)


def _recognized_in_turn(lines: Sequence[LineLedger], prior: Mapping[str, int]) -> Iterator[Outcome]:
    """Each line counts for the tiers of the next."""
    volumes = dict(prior)
    for line in lines:
        outcome = recognize(line, Trigger.PAYMENT, prior=volumes)
        yield outcome
        for payee, counted in volume_of(outcome.lines[0]).items():
            volumes[payee] = volumes.get(payee, 0) + counted


def recognize(
    line: LineLedger, trigger: Trigger = Trigger.DEADLINE, *, prior: Mapping[str, int] | None = None
) -> Outcome:
    """Recognize the line's revenue and accrue its earnings, once.

    Nothing happens before payment, when the line's policy waits for a later trigger, when it was recognized
    before, or when all of its money went back. `prior` is the volume of each payee with tiers before it.
    """
    due = _STAGE[trigger] >= _STAGE_DUE[line.recognition]
    if not due or not line.captured or line.recognized or line.nothing_left:
        return Outcome(lines=(line,))
    after = replace(line, recognized=True)
    posted = one_entry(
        EntryKind.REVENUE_RECOGNIZED, recognized_key(line.line), line.currency, change([line], [after])
    )
    accrued = accrue(after, prior)
    return Outcome(posted.entries + accrued.entries, accrued.earnings, accrued.lines)


def fail_late(
    order_id: str,
    lines: Sequence[LineLedger],
    *,
    amount: int | None = None,
    credit_applied: int = 0,
    customer: str | None = None,
) -> Outcome:
    """Undo what is left of an order whose slow payment failed after it had counted as captured.

    Store credit that was spent on it (`credit_applied`, minor units) goes back to `customer`. `amount` is
    what the processor took back, without it all the cash that is left: what goes beyond that had been
    given back before, and is a loss of the platform's.
    """
    cause = order_cause(order_id)
    if any(line.taking(cause) for line in lines):
        return Outcome(lines=tuple(lines))
    gross = sum(line.refundable_gross for line in lines)
    plan = plan_taking(lines) if gross else {}
    credit = min(credit_applied, gross)
    cash = gross - credit if amount is None else amount
    lost: Balances = {
        (Account.PROCESSOR_CLEARING, None): -cash,
        (Account.STORE_CREDIT, customer): -credit,
        (Account.CHARGEBACK_LOSS, None): cash + credit - gross,
    }
    kind = EntryKind.PAYMENT_FAILED_LATE
    return take(lines, plan, Cause(cause, TakingReason.LATE_FAILURE, kind, str(kind)), lost)


def fail_unapplied(payment_id: str, *, amount: int, currency: str) -> Outcome:
    """A payment that paid for no order failed after all: it was promised back, or sent back, already."""
    lost = transfer(amount, debit=Account.CHARGEBACK_LOSS, credit=Account.PROCESSOR_CLEARING)
    return one_entry(EntryKind.PAYMENT_FAILED_LATE, unapplied_failed_key(payment_id), currency, lost)

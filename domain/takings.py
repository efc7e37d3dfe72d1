"""Money that goes back from the lines of an order, whatever the cause: how much of which, how posted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.allocation import largest_remainder
from domain.earnings import settled, take_back
from domain.errors import Conflict, CurrencyMismatch, InvalidInput
from domain.event_keys import taken_key
from domain.line_ledger import LineLedger
from domain.line_parts import Taking, TakingReason
from domain.money import as_read
from domain.outcomes import Outcome, chained, change, one_entry
from domain.postings import Balances, EntryKind, merged


class NothingLeft(Conflict):
    """More was asked back than is left of what was paid."""

    code = "refund_exceeds_paid"


def currency_shared(lines: Sequence[LineLedger]) -> str:
    """The one currency of an order's lines; raises CurrencyMismatch, or InvalidInput without any line."""
    if not lines:
        raise InvalidInput("an order has lines")
    codes = {line.currency for line in lines}
    if len(codes) > 1:
        raise CurrencyMismatch(f"the lines are in {', '.join(sorted(codes))}")
    return lines[0].currency


def plan_taking(
    lines: Sequence[LineLedger],
    *,
    amount: int | None = None,
    by_line: Mapping[str, int | None] | None = None,
) -> dict[str, int]:
    """Gross minor units to take from each line; lines that give nothing are left out.

    `amount` is spread over the order by largest remainder over what is left of each line; `by_line` names
    lines, None for all that is left of one; without either, all that is left. Raises NothingLeft when that
    is more than there is, or nothing at all; InvalidInput for an unknown line or an amount of zero or less.
    """
    left = {line.line: line.refundable_gross for line in lines}
    if amount is not None and by_line is not None:
        raise InvalidInput("give an amount or lines, not both")
    if by_line is not None:
        plan = {line: _asked_of(line, asked, left, lines) for line, asked in by_line.items()}
    elif amount is None:
        plan = left
    elif amount <= 0:
        raise InvalidInput("an amount to give back is positive")
    elif amount > sum(left.values()):
        raise _too_much(amount, sum(left.values()), lines)
    else:
        plan = dict(zip(left, largest_remainder(amount, list(left.values())), strict=True))
    plan = {line: gross for line, gross in plan.items() if gross}
    if not plan:
        raise NothingLeft("nothing is left of what was paid")
    return plan


def _too_much(asked: int, left: int, lines: Sequence[LineLedger]) -> NothingLeft:
    code = currency_shared(lines)
    return NothingLeft(f"{as_read(asked, code)} asked, {as_read(left, code)} left")


def _asked_of(line: str, asked: int | None, left: Mapping[str, int], lines: Sequence[LineLedger]) -> int:
    if line not in left:
        raise InvalidInput(f"no line {line!r} in this order")
    if asked is None:
        asked = left[line]
    elif asked <= 0:
        raise InvalidInput("an amount to give back is positive")
    if asked > left[line] or asked == 0:
        raise _too_much(asked, left[line], lines)
    return asked


@dataclass(frozen=True, slots=True)
class Cause:
    """Why money goes back: the cause that keys are made of, and the entry that tells of it."""

    name: str
    reason: TakingReason
    kind: EntryKind
    step: str


def take(lines: Sequence[LineLedger], plan: Mapping[str, int], cause: Cause, counter: Balances) -> Outcome:
    """Take `plan` (gross by line) from the lines and post it against `counter`; then the splits, per line."""
    after = [
        line.with_taking(Taking(cause.name, cause.reason, plan[line.line])) if line.line in plan else line
        for line in lines
    ]
    moved = merged(change(lines, after), counter)
    posted = one_entry(cause.kind, taken_key(cause.name, cause.step), currency_shared(lines), moved)
    shares = chained(take_back(line, taken_key(cause.name, "reversed", line.line)) for line in after)
    return settled(Outcome(posted.entries + shares.entries, shares.earnings, shares.lines))

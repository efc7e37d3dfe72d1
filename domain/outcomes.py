"""What an event of the ledger leads to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.line_ledger import LineLedger
from domain.postings import Balances, Earning, EntryDraft, EntryKind, drafted, merged


@dataclass(frozen=True, slots=True)
class Outcome:
    """Entries and earnings in the order in which they are to be stored, and the states of all lines given.

    Without entries there was nothing to post: the event was known before, or it moves no money. The states
    of the lines are to be stored all the same.
    """

    entries: tuple[EntryDraft, ...] = ()
    earnings: tuple[Earning, ...] = ()
    lines: tuple[LineLedger, ...] = ()

    def then(self, entries: Iterable[EntryDraft] = (), earnings: Iterable[Earning] = ()) -> "Outcome":
        """The same with more entries and earnings after its own."""
        return Outcome((*self.entries, *entries), (*self.earnings, *earnings), self.lines)


def one_entry(
    kind: EntryKind,
    event_key: str,
    currency: str,
    balances: Balances,
    lines: Sequence[LineLedger] = (),
) -> Outcome:
    """An outcome of one entry in one currency, or of none when all of it is zero."""
    return Outcome(drafted(kind, event_key, {currency: balances}), (), tuple(lines))


def change(before: Sequence[LineLedger], after: Sequence[LineLedger]) -> Balances:
    """How the ledger's balances for these lines move from one state to the next."""
    negated = ({key: -amount for key, amount in line.balances().items()} for line in before)
    return merged(*(line.balances() for line in after), *negated)


def chained(outcomes: Iterable[Outcome]) -> Outcome:
    """Several outcomes in a row, of different lines."""
    together = tuple(outcomes)
    return Outcome(
        tuple(entry for outcome in together for entry in outcome.entries),
        tuple(earning for outcome in together for earning in outcome.earnings),
        tuple(line for outcome in together for line in outcome.lines),
    )

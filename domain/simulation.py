"""What another rule would have paid for lines whose earnings accrued. Amounts in minor units."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.earnings import accrue, volume_of
from domain.line_ledger import LineLedger
from domain.splits import SplitRule

Volumes = dict[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Resplit:
    """A line under its own rule and under another: per payee what each leaves them after the reversals."""

    line: LineLedger
    other: LineLedger

    @property
    def paid(self) -> dict[str, int]:
        """What payees have of it."""
        return {payee.payee: payee.standing for payee in self.line.payees}

    @property
    def would_pay(self) -> dict[str, int]:
        """What payees would have of it."""
        return {payee.payee: payee.standing for payee in self.other.payees}


def resplit(lines: Sequence[tuple[LineLedger, SplitRule]], volumes: Volumes) -> list[Resplit]:
    """Divide each line by the other rule, refunds and chargebacks as they were, in the order given.

    `volumes` is what each payee had come to, by currency, before the first line; tiers go on from there, each
    line counting for the next. Corrections by operators are left out: they were made for the rule of then.
    """
    volumes = dict(volumes)
    found = []
    for line, rule in lines:
        bare = replace(line, split=rule, rows=(), volumes=(), payees=(), corrections=(), disputes=())
        prior = {payee: volumes.get((payee, line.currency), 0) for payee in rule.tiered_payees}
        (other,) = accrue(bare, prior).lines
        for payee, counted in volume_of(other).items():
            key = (payee, line.currency)
            volumes[key] = volumes.get(key, 0) + counted
        found.append(Resplit(line, other))
    return found

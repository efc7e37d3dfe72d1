"""By which terms a payee has a part of a line, told with every earning event."""

from dataclasses import dataclass

from domain.line_ledger import LineLedger
from domain.splits import ShareKind

MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class PayeeShare:
    """`kind` as in the rule, or `mixed` when several of its parts name the payee. `bps` is there where the
    share is one of basis points. `amount` is the whole share before reversals, in minor units."""

    kind: str
    bps: int | None
    amount: int


def share_of(line: LineLedger, payee: str) -> PayeeShare:
    """The payee's share of the line as the ledger has it now."""
    held = [
        (row.kind, amount)
        for row in line.rows
        if row.kind is not ShareKind.PLATFORM
        for holder, amount in row.holders
        if holder == payee
    ]
    amount = sum(part for _, part in held)
    kinds = {kind for kind, _ in held}
    if len(kinds) != 1:
        return PayeeShare(MIXED, None, amount)
    kind = kinds.pop()
    bps: list[int] = []
    if kind is ShareKind.SHARE:
        bps = [share.bps for share in line.split.shares if share.payee == payee and not share.tiers]
    elif kind is ShareKind.OFF_TOP:
        bps = [top.bps for top in line.split.off_top if top.payee == payee]
    return PayeeShare(str(kind), bps[0] if len(bps) == 1 else None, amount)

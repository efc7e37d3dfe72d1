"""The ledger's rules in one place: one pure function per event, from states of lines to entries.

Load and lock the order's lines, call the function, store its entries, earnings and lines in the same
transaction. Every function may be called again with what it returned: a known event changes nothing.
"""

from domain.accounts import Account
from domain.cash import (
    convert_settlement,
    grant_goodwill,
    processor_fee,
    processor_payout,
    settle_payout,
    write_off_payee,
)
from domain.disputes import lose_dispute, open_dispute, win_dispute
from domain.earnings import accrue, reassign, release, settled, split_rows, volume_of
from domain.line_ledger import LineLedger
from domain.line_parts import PayeeEarning, Presentation, Recognition
from domain.outcomes import Outcome
from domain.postings import Bucket, Earning, EarningType, EntryDraft, EntryKind, Posting
from domain.refunds import (
    cancel_refund,
    fail_refund,
    initiate_refund,
    plan_refund,
    refund_unapplied,
    settle_refund,
    unapply_payment,
    void_refund,
)
from domain.sales import Trigger, capture, fail_late, fail_unapplied, recognize
from domain.takings import NothingLeft

__all__ = [
    "Account",
    "Bucket",
    "Earning",
    "EarningType",
    "EntryDraft",
    "EntryKind",
    "LineLedger",
    "NothingLeft",
    "Outcome",
    "PayeeEarning",
    "Posting",
    "Presentation",
    "Recognition",
    "Trigger",
    "accrue",
    "cancel_refund",
    "capture",
    "convert_settlement",
    "fail_late",
    "fail_refund",
    "fail_unapplied",
    "grant_goodwill",
    "initiate_refund",
    "lose_dispute",
    "open_dispute",
    "plan_refund",
    "processor_fee",
    "processor_payout",
    "reassign",
    "recognize",
    "refund_unapplied",
    "release",
    "settle_payout",
    "settle_refund",
    "settled",
    "split_rows",
    "unapply_payment",
    "void_refund",
    "volume_of",
    "win_dispute",
    "write_off_payee",
]

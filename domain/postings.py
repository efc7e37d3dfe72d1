"""Journal entries before they are stored, and the earning events that go with them.

Amounts are integer minor units; in postings debit > 0 and credit < 0, in earnings always positive.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.accounts import Account, Sub
from domain.errors import LedgerError

AccountKey = tuple[Account, str | None]
Balances = Mapping[AccountKey, int]


class EntryKind(StrEnum):
    """What a journal entry records."""

    PAYMENT_CAPTURED = "payment_captured"  # a customer paid for an order
    REVENUE_RECOGNIZED = "revenue_recognized"  # a line was delivered
    SPLIT_ACCRUED = "split_accrued"  # payees earned their shares
    SPLIT_REVERSED = "split_reversed"  # shares taken back
    SPLIT_REINSTATED = "split_reinstated"  # shares given again, into held
    EARNING_RELEASED = "earning_released"  # held shares handed to the payout system
    PAYOUT_SETTLED = "payout_settled"  # the payout system paid a payee
    PAYEE_WRITTEN_OFF = "payee_written_off"  # a payee's debt given up
    REFUND_INITIATED = "refund_initiated"  # a refund promised
    REFUND_SETTLED = "refund_settled"  # the money left
    REFUND_FAILED = "refund_failed"  # the money came back, the promise stands
    REFUND_CANCELLED = "refund_cancelled"  # the promise withdrawn
    GOODWILL_CREDIT = "goodwill_credit"  # store credit given away
    DISPUTE_OPENED = "dispute_opened"  # a bank withdrew the money
    DISPUTE_FEE = "dispute_fee"  # and the processor's fee for it
    DISPUTE_WON = "dispute_won"  # the money came back
    DISPUTE_FEE_REFUNDED = "dispute_fee_refunded"  # a part of the fee came back
    DISPUTE_LOST = "dispute_lost"  # the money is gone
    PAYMENT_FAILED_LATE = "payment_failed_late"  # a slow payment failed after all
    PAYMENT_UNAPPLIED = "payment_unapplied"  # money without an order to pay for
    REFUND = "refund"  # such money promised back
    SETTLEMENT_CONVERTED = "settlement_converted"  # the processor changed currency
    PROCESSOR_FEE = "processor_fee"  # the processor's fee
    PROCESSOR_PAYOUT = "processor_payout"  # the processor paid out to the bank


class EarningType(StrEnum):
    """What happened to a payee's earning."""

    ACCRUED = "earning.accrued"  # earned, or given again: into held
    RELEASED = "earning.released"  # from held to released
    REVERSED = "earning.reversed"  # taken back, from the bucket that stands beside it
    FROZEN = "earning.frozen"  # held while a dispute is open; moves no money
    UNFROZEN = "earning.unfrozen"  # the dispute is over; moves no money

    @property
    def moves_money(self) -> bool:
        """Whether postings to a payee's accounts stand behind it."""
        return self not in (EarningType.FROZEN, EarningType.UNFROZEN)


class Bucket(StrEnum):
    """Where a payee's earning lies."""

    HELD = "held"  # within the hold, account 2210
    RELEASED = "released"  # handed to the payout system, account 2220


@dataclass(frozen=True, slots=True)
class Posting:
    """One side of an entry; raises LedgerError when `sub` does not fit the account, or for zero."""

    account: Account
    sub: str | None
    currency: str
    amount: int

    def __post_init__(self) -> None:
        if (self.account.sub is Sub.NONE) != (self.sub is None):
            raise LedgerError(f"account {self.account} is by {self.account.sub}, not {self.sub!r}")
        if type(self.amount) is not int or self.amount == 0:
            raise LedgerError(f"account {self.account}: {self.amount!r} is no amount to post")


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """A journal entry to be stored under its event key.

    Raises LedgerError unless it has two postings or more, none of them zero, and sums to zero in every
    currency.
    """

    kind: EntryKind
    event_key: str
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        if len(self.postings) < 2:
            raise LedgerError(f"{self.event_key}: an entry has two postings or more")
        sums: dict[str, int] = {}
        for posting in self.postings:
            sums[posting.currency] = sums.get(posting.currency, 0) + posting.amount
        unbalanced = {code: amount for code, amount in sums.items() if amount}
        if unbalanced:
            raise LedgerError(f"{self.event_key}: not balanced, off by {unbalanced}")


@dataclass(frozen=True, slots=True)
class Earning:
    """A change of what one payee earns from one line; `amount` in minor units, the type tells the direction.

    `basis` is what the line's split divided. `cumulative_reversed` is what the payee has lost of the line
    so far, this included. `entry_key` is the event key of the journal entry of the fact behind it.
    """

    type: EarningType
    payee: str
    line: str
    currency: str
    amount: int
    bucket: Bucket | None
    basis: int
    cumulative_reversed: int
    entry_key: str


def drafted(kind: EntryKind, event_key: str, amounts: Mapping[str, Balances]) -> tuple[EntryDraft, ...]:
    """One entry of `amounts` by currency, account and sub; none when every amount is zero.

    Raises LedgerError when what is left does not balance.
    """
    postings = tuple(
        Posting(account, sub, currency, amount)
        for currency, balances in amounts.items()
        for (account, sub), amount in balances.items()
        if amount
    )
    return (EntryDraft(kind, event_key, postings),) if postings else ()


def merged(*parts: Balances) -> dict[AccountKey, int]:
    """Balances added up by account and sub."""
    sums: dict[AccountKey, int] = {}
    for part in parts:
        for key, amount in part.items():
            sums[key] = sums.get(key, 0) + amount
    return sums


def transfer(
    amount: int,
    *,
    debit: Account,
    credit: Account,
    payee: str | None = None,
    customer: str | None = None,
) -> Balances:
    """`amount` minor units from one account to another; the side that has payees or customers names one."""
    subs = {Sub.PAYEE: payee, Sub.CUSTOMER: customer}
    return {(debit, subs.get(debit.sub)): amount, (credit, subs.get(credit.sub)): -amount}

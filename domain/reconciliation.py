"""What a balance transaction of the processor must look like in the books.

The processor's `reporting_category` says what a movement is; nothing is inferred from amounts. Amounts are
integer minor units; a movement out of the account is negative.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.accounts import Account
from domain.cash import convert_settlement, processor_fee, processor_payout
from domain.money import Money
from domain.postings import EntryDraft


class Category(StrEnum):
    """The reporting categories that we know; every other one waits for a person."""

    CHARGE = "charge"  # a customer paid
    REFUND = "refund"  # money went back
    REFUND_FAILURE = "refund_failure"  # and could not be delivered
    CHARGE_FAILURE = "charge_failure"  # a slow payment failed after it had counted as paid
    DISPUTE = "dispute"  # a bank withdrew the money
    DISPUTE_REVERSAL = "dispute_reversal"  # and gave it back
    PAYOUT = "payout"  # to our bank
    PAYOUT_REVERSAL = "payout_reversal"  # the bank sent it back
    FEE = "fee"  # a fee that belongs to no payment


class Standing(StrEnum):
    """Whose a balance transaction is."""

    OURS = "ours"  # posted by its category
    FOREIGN = "foreign"  # of another product in a shared account: counted, never posted
    UNKNOWN_ORDER = "unknown_order"  # names an order that is not here: an operator's task
    UNKNOWN_CATEGORY = "unknown_category"  # nothing that we know how to post: an operator's task


class Part(StrEnum):
    """A balance transaction has one journal entry for each of its parts."""

    PRINCIPAL = "principal"  # the money itself
    FEE = "fee"  # the processor's fee
    CONVERTED = "converted"  # the exchange into the account's currency


class DifferenceKind(StrEnum):
    """How processor and books may differ."""

    ENTRY_MISSING = "entry_missing"  # the processor moved money, the books do not know
    TRANSACTION_MISSING = "transaction_missing"  # the books say that cash moved, the processor does not
    AMOUNT_DIFFERS = "amount_differs"  # both know it, for other amounts: an alarm
    UNKNOWN_CATEGORY = "unknown_category"  # never posted by guess
    UNKNOWN_ORDER = "unknown_order"  # names an order that is not here
    CASH_DIFFERS = "cash_differs"  # a period's cash is off by more than its differences explain
    AMOUNT_AGED = "amount_aged"  # stands on a passing account for too long


# The movements of these belong to a payment; those of all others to the account itself.
_OF_PAYMENTS = frozenset(
    {
        Category.CHARGE,
        Category.REFUND,
        Category.REFUND_FAILURE,
        Category.CHARGE_FAILURE,
        Category.DISPUTE,
        Category.DISPUTE_REVERSAL,
    }
)
_PAYOUTS = frozenset({Category.PAYOUT, Category.PAYOUT_REVERSAL})
_DISPUTES = frozenset({Category.DISPUTE, Category.DISPUTE_REVERSAL})

# What stands on these accounts is on its way somewhere: after so long somebody has to look.
AGEING = {
    Account.REFUNDS_PAYABLE: timedelta(days=10),
    Account.UNAPPLIED_RECEIPTS: timedelta(days=3),
    Account.DISPUTE_RECEIVABLE: timedelta(days=90),
    Account.CURRENCY_CLEARING: timedelta(days=30),
}


@dataclass(frozen=True, slots=True)
class BalanceTransaction:
    """A movement of the processor's balance, as the processor tells it.

    `currency` is that of the account. `source_*` and `intent_id` tell of the object behind it, when there
    is one: a charge, refund, dispute or payout in its own currency. `order_id` is from its metadata.
    """

    id: str
    amount: int
    fee: int
    net: int
    currency: str
    reporting_category: str
    source: str | None
    created: datetime
    available_on: datetime | None
    source_amount: int | None = None
    source_currency: str | None = None
    intent_id: str | None = None
    order_id: str | None = None
    refund_id: str | None = None

    @property
    def category(self) -> Category | None:
        """None for one that we do not know."""
        try:
            return Category(self.reporting_category)
        except ValueError:
            return None

    @property
    def is_foreign(self) -> bool:
        """Of a payment that names no order of ours."""
        return (self.category in _OF_PAYMENTS or self.intent_id is not None) and self.order_id is None

    @property
    def moved(self) -> Money:
        """What moved in the source's own currency; the same as `amount` unless it was converted."""
        if self.source_amount is None or self.source_currency in (None, self.currency):
            return Money(self.amount, self.currency)
        sign = 1 if self.amount >= 0 else -1
        return Money(sign * abs(self.source_amount), str(self.source_currency))

    @property
    def converted(self) -> bool:
        """Whether the processor settled in another currency than the payment's."""
        return self.moved.currency != self.currency


def own_entries(transaction: BalanceTransaction) -> dict[Part, EntryDraft]:
    """The entries that a balance transaction alone is the source of, by part.

    The principal of a payment, refund or dispute, and a dispute's fee, are posted by whoever carries the
    order's state; payouts, other fees and conversions follow from the transaction.
    """
    found: dict[Part, tuple[EntryDraft, ...]] = {}
    category, code = transaction.category, transaction.currency
    if category in _PAYOUTS:
        paid_out = processor_payout(transaction.id, amount=-transaction.amount, currency=code)
        found[Part.PRINCIPAL] = paid_out.entries
    if category is Category.FEE:
        found[Part.FEE] = processor_fee(transaction.id, amount=-transaction.net, currency=code).entries
    elif category is not None and category not in _DISPUTES:
        found[Part.FEE] = processor_fee(transaction.id, amount=transaction.fee, currency=code).entries
    if category in _OF_PAYMENTS and transaction.converted:
        received = Money(transaction.amount, code)
        converted = convert_settlement(transaction.id, given=transaction.moved, received=received)
        found[Part.CONVERTED] = converted.entries
    return {part: entries[0] for part, entries in found.items() if entries}


def expected_cash(transaction: BalanceTransaction) -> dict[Part, dict[str, int]]:
    """What each part's entry must move on 1010, by currency; a part that moves nothing has no entry."""
    code, moved = transaction.currency, transaction.moved
    if transaction.category is Category.FEE:
        return {Part.FEE: {code: transaction.net}} if transaction.net else {}
    parts: dict[Part, dict[str, int]] = {
        Part.PRINCIPAL: {moved.currency: moved.amount},
        Part.FEE: {code: -transaction.fee},
    }
    if transaction.converted:
        parts[Part.CONVERTED] = {moved.currency: -moved.amount, code: transaction.amount}
    return {part: cash for part, cash in parts.items() if any(cash.values())}


@dataclass(frozen=True, slots=True)
class Observation:
    """A difference as it was seen; `subject` and `kind` name it, the same whoever sees it.

    `expected` is what the processor says, `found` what the books say, minor units of `currency`.
    """

    kind: DifferenceKind
    subject: str
    detail: str
    currency: str
    expected: int
    found: int
    transaction_id: str | None = None
    order_id: str | None = None


def compare(
    transaction: BalanceTransaction, part: Part, expected: Mapping[str, int], found: Mapping[str, int] | None
) -> list[Observation]:
    """How one part differs from its entry; `found` is the entry's cash by currency, None without an entry."""
    kind = DifferenceKind.ENTRY_MISSING if found is None else DifferenceKind.AMOUNT_DIFFERS
    cash = found or {}
    told = "has no journal entry" if found is None else "was posted for another amount"
    return [
        Observation(
            kind,
            f"{transaction.id}:{part}:{code}",
            f"{transaction.reporting_category} {transaction.id} ({part}) {told}",
            code,
            expected.get(code, 0),
            cash.get(code, 0),
            transaction.id,
            transaction.order_id,
        )
        for code in sorted(expected.keys() | cash.keys())
        if expected.get(code, 0) != cash.get(code, 0)
    ]


def unposted(transaction: BalanceTransaction, kind: DifferenceKind) -> Observation:
    """A transaction of which nothing may be posted, because nobody knows what it is."""
    why = {
        DifferenceKind.UNKNOWN_CATEGORY: f"is {transaction.reporting_category!r}, which we know nothing of",
        DifferenceKind.UNKNOWN_ORDER: f"names order {transaction.order_id}, which is not here",
    }[kind]
    return Observation(
        kind,
        transaction.id,
        f"balance transaction {transaction.id} {why}",
        transaction.currency,
        transaction.net,
        0,
        transaction.id,
        transaction.order_id,
    )

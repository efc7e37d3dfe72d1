"""Facts about cash, credit and payees that concern no order line. Amounts are integer minor units."""

from domain.accounts import Account
from domain.errors import InvalidInput
from domain.event_keys import goodwill_key, payout_key, processor_key, written_off_key
from domain.money import Money
from domain.outcomes import Outcome, one_entry
from domain.postings import EntryKind, drafted, transfer


def processor_fee(transaction_id: str, *, amount: int, currency: str) -> Outcome:
    """The fee that a balance transaction states; negative when the processor gives one back, zero is none."""
    balances = transfer(amount, debit=Account.PROCESSOR_FEES, credit=Account.PROCESSOR_CLEARING)
    return one_entry(EntryKind.PROCESSOR_FEE, processor_key(transaction_id, "fee"), currency, balances)


def processor_payout(transaction_id: str, *, amount: int, currency: str) -> Outcome:
    """The processor paid out to the bank."""
    balances = transfer(amount, debit=Account.BANK, credit=Account.PROCESSOR_CLEARING)
    return one_entry(EntryKind.PROCESSOR_PAYOUT, processor_key(transaction_id, "payout"), currency, balances)


def convert_settlement(transaction_id: str, *, given: Money, received: Money) -> Outcome:
    """The processor settles in another currency: each currency balances alone through currency clearing.

    Raises InvalidInput when both are in the same currency.
    """
    if given.currency == received.currency:
        raise InvalidInput(f"{given.currency} is not converted to itself")
    amounts = {
        given.currency: transfer(
            given.amount, debit=Account.CURRENCY_CLEARING, credit=Account.PROCESSOR_CLEARING
        ),
        received.currency: transfer(
            received.amount, debit=Account.PROCESSOR_CLEARING, credit=Account.CURRENCY_CLEARING
        ),
    }
    key = processor_key(transaction_id, "converted")
    return Outcome(drafted(EntryKind.SETTLEMENT_CONVERTED, key, amounts))


def grant_goodwill(credit_id: str, customer: str, *, amount: int, currency: str) -> Outcome:
    """Give a customer store credit."""
    balances = transfer(amount, debit=Account.GOODWILL, credit=Account.STORE_CREDIT, customer=customer)
    return one_entry(EntryKind.GOODWILL_CREDIT, goodwill_key(credit_id), currency, balances)


def settle_payout(payout_id: str, payee: str, *, amount: int, currency: str) -> Outcome:
    """The payout system paid a payee for us."""
    balances = transfer(amount, debit=Account.PAYEE_RELEASED, credit=Account.PAYOUT_FUNDING, payee=payee)
    return one_entry(EntryKind.PAYOUT_SETTLED, payout_key(payout_id, payee), currency, balances)


def write_off_payee(write_off_id: str, payee: str, *, amount: int, currency: str) -> Outcome:
    """Give up what a payee owes us after a reversal of earnings that were paid out."""
    balances = transfer(amount, debit=Account.PAYEE_BAD_DEBT, credit=Account.PAYEE_RELEASED, payee=payee)
    return one_entry(EntryKind.PAYEE_WRITTEN_OFF, written_off_key(write_off_id), currency, balances)

"""The chart of accounts. One ledger per legal entity and currency; debit > 0, credit < 0."""

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """On which side an account's balance normally stands."""

    DEBIT = "debit"  # assets and expenses; contra revenue
    CREDIT = "credit"  # liabilities and revenue
    EITHER = "either"  # a position that may turn


class Sub(StrEnum):
    """What an account is subdivided by."""

    NONE = "none"  # not subdivided
    LINE = "line"  # the id of an order line
    JURISDICTION = "jurisdiction"  # a tax jurisdiction, such as DE or US-NY
    PAYEE = "payee"  # an opaque reference of who earns
    CUSTOMER = "customer"  # the opaque id of a user who buys


class Account(StrEnum):
    """An account; its value is the code in postings."""

    PROCESSOR_CLEARING = "1010"  # money at the payment processor
    BANK = "1020"  # money at the bank
    PAYOUT_FUNDING = "1090"  # what the payout system paid out for us
    DISPUTE_RECEIVABLE = "1210"  # withdrawn by a bank, contested by us
    CURRENCY_CLEARING = "1910"  # one currency given for another: the open position
    DEFERRED_REVENUE = "2110"  # paid for, not yet delivered
    TAX_PAYABLE = "2120"  # collected for a tax office
    PAYEE_HELD = "2210"  # earned, still within the hold
    PAYEE_RELEASED = "2220"  # handed to the payout system; turns debit when a payee owes us
    REFUNDS_PAYABLE = "2310"  # promised back, not yet gone
    STORE_CREDIT = "2330"  # what customers may still spend
    UNAPPLIED_RECEIPTS = "2410"  # received without an order to pay for
    COURSE_SALES = "4010"  # sales at list price, net of tax
    DISCOUNTS = "4020"  # contra: discounts, net of tax
    REFUNDS = "4030"  # contra: recognized revenue refunded
    CHARGEBACKS = "4035"  # contra: recognized revenue lost to disputes and failed payments
    GOODWILL = "4040"  # contra: store credit given away
    REVENUE_SHARE = "5010"  # what payees earn, affiliates included
    PROCESSOR_FEES = "5020"  # fees of the payment processor
    DISPUTE_FEES = "5030"  # fees for disputes
    CHARGEBACK_LOSS = "5035"  # lost to a dispute beyond what was left of the order
    PAYEE_BAD_DEBT = "5040"  # receivables from payees given up

    @property
    def normal_side(self) -> Side:
        """Where the balance normally stands."""
        return _FEATURES[self].side

    @property
    def sub(self) -> Sub:
        """What `sub` of its postings holds."""
        return _FEATURES[self].sub

    @property
    def title(self) -> str:  # type: ignore[override]  # hides str.title, which has no use for a code
        """The name for people."""
        return _FEATURES[self].title


@dataclass(frozen=True, slots=True)
class _Features:
    title: str
    side: Side
    sub: Sub = Sub.NONE


_FEATURES = {
    Account.PROCESSOR_CLEARING: _Features("Processor clearing", Side.DEBIT),
    Account.BANK: _Features("Bank", Side.DEBIT),
    Account.PAYOUT_FUNDING: _Features("Payout funding", Side.DEBIT),
    Account.DISPUTE_RECEIVABLE: _Features("Dispute receivable", Side.DEBIT),
    Account.CURRENCY_CLEARING: _Features("Currency clearing", Side.EITHER),
    Account.DEFERRED_REVENUE: _Features("Deferred revenue", Side.CREDIT, Sub.LINE),
    Account.TAX_PAYABLE: _Features("Tax payable", Side.CREDIT, Sub.JURISDICTION),
    Account.PAYEE_HELD: _Features("Payees, held", Side.CREDIT, Sub.PAYEE),
    Account.PAYEE_RELEASED: _Features("Payees, released", Side.CREDIT, Sub.PAYEE),
    Account.REFUNDS_PAYABLE: _Features("Refunds payable", Side.CREDIT),
    Account.STORE_CREDIT: _Features("Store credit", Side.CREDIT, Sub.CUSTOMER),
    Account.UNAPPLIED_RECEIPTS: _Features("Unapplied receipts", Side.CREDIT),
    Account.COURSE_SALES: _Features("Course sales", Side.CREDIT),
    Account.DISCOUNTS: _Features("Discounts", Side.DEBIT),
    Account.REFUNDS: _Features("Refunds", Side.DEBIT),
    Account.CHARGEBACKS: _Features("Chargebacks", Side.DEBIT),
    Account.GOODWILL: _Features("Goodwill", Side.DEBIT),
    Account.REVENUE_SHARE: _Features("Revenue share", Side.DEBIT),
    Account.PROCESSOR_FEES: _Features("Processor fees", Side.DEBIT),
    Account.DISPUTE_FEES: _Features("Dispute fees", Side.DEBIT),
    Account.CHARGEBACK_LOSS: _Features("Chargeback loss", Side.DEBIT),
    Account.PAYEE_BAD_DEBT: _Features("Payee bad debt", Side.DEBIT),
}

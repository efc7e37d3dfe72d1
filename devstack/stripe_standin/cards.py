"""Stripe's test payment methods and card numbers, and what each does (docs.stripe.com/testing)."""

from dataclasses import dataclass, replace
from typing import Literal

After = Literal["dispute", "inquiry"]


@dataclass(frozen=True)
class TestMethod:
    """A test payment method; without a decline it succeeds."""

    __test__ = False  # the name is no test case

    number: str
    brand: str = "visa"
    funding: str = "credit"
    kind: str = "card"
    code: str | None = None
    """The error's code when the bank declines, with `decline_code`."""
    decline_code: str | None = None
    message: str = "Your card was declined."
    three_d_secure: bool = False
    after: After | None = None
    """What the cardholder does a moment after the capture."""
    refund: Literal["succeeded", "pending", "fails"] = "succeeded"

    @property
    def last4(self) -> str:
        """The last four digits."""
        return self.number[-4:]


def _declined(number: str, code: str, decline_code: str, message: str) -> TestMethod:
    return TestMethod(number, code=code, decline_code=decline_code, message=message)


_BANK = TestMethod("000123456789", "bank", kind="us_bank_account")
_SECURE = TestMethod("4000000000003220", three_d_secure=True)

METHODS: dict[str, TestMethod] = {
    "pm_card_visa": TestMethod("4242424242424242"),
    "pm_card_visa_debit": TestMethod("4000056655665556", funding="debit"),
    "pm_card_mastercard": TestMethod("5555555555554444", "mastercard"),
    "pm_card_amex": TestMethod("378282246310005", "amex"),
    "pm_card_chargeDeclined": _declined(
        "4000000000000002", "card_declined", "generic_decline", "Your card was declined."
    ),
    "pm_card_chargeDeclinedInsufficientFunds": _declined(
        "4000000000009995", "card_declined", "insufficient_funds", "Your card has insufficient funds."
    ),
    "pm_card_chargeDeclinedLostCard": _declined(
        "4000000000009987", "card_declined", "lost_card", "Your card was declined."
    ),
    "pm_card_chargeDeclinedStolenCard": _declined(
        "4000000000009979", "card_declined", "stolen_card", "Your card was declined."
    ),
    "pm_card_chargeDeclinedFraudulent": _declined(
        "4100000000000019", "card_declined", "fraudulent", "Your card was declined."
    ),
    "pm_card_chargeDeclinedExpiredCard": _declined(
        "4000000000000069", "expired_card", "expired_card", "Your card has expired."
    ),
    "pm_card_chargeDeclinedIncorrectCvc": _declined(
        "4000000000000127", "incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."
    ),
    "pm_card_chargeDeclinedProcessingError": _declined(
        "4000000000000119",
        "processing_error",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
    "pm_card_authenticationRequired": replace(_SECURE, number="4000002760003184"),
    "pm_card_threeDSecure2Required": _SECURE,
    "pm_card_threeDSecureRequired": replace(_SECURE, number="4000002500003155"),
    "pm_card_refundFail": TestMethod("4000000000005126", refund="fails"),
    "pm_card_pendingRefund": TestMethod("4000000000007726", refund="pending"),
    "pm_card_createDispute": TestMethod("4000000000000259", after="dispute"),
    "pm_card_createDisputeInquiry": TestMethod("4000000000001976", after="inquiry"),
    "pm_usBankAccount_success": _BANK,
    "pm_usBankAccount_processing": replace(_BANK, number="000000000009"),
}
NAME_BY_NUMBER = {method.number: name for name, method in METHODS.items() if method.kind == "card"}

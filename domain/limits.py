"""How often a caller may do what tempts somebody to try it many times.

Each limit lets a burst of `times` through, and then one more every `seconds / times`.
"""

from dataclasses import dataclass
from enum import StrEnum


class By(StrEnum):
    """Whose attempts count together."""

    USER = "user"
    """One signed-in person or machine; nobody in particular counts by address."""
    ADDRESS = "address"
    """One network address (of IPv6, a /64): a household, or a whole campus."""
    ACCOUNT = "account"
    """The account that somebody tries to open, whoever they are."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`times` attempts in `seconds`; `forgiven`: an attempt that goes well was none."""

    name: str
    by: By
    times: int
    seconds: int
    forgiven: bool = False


# Any request; nobody who works with the product comes near it.
ANY = (Limit("any", By.USER, 1200, 60),)
# Guessing of passwords: of one account from everywhere, and of many accounts from one place.
LOGIN = (
    Limit("login_account", By.ACCOUNT, 10, 900, forgiven=True),
    Limit("login_address", By.ADDRESS, 100, 900, forgiven=True),
)
# Accounts made in bulk, for what has a limit by user. A retry registers an account that is there by its
# password, so that each try may be a guess at one: counted with the logins.
REGISTER = (Limit("register", By.ADDRESS, 200, 3600), LOGIN[0])
# Guessing of promotion codes.
PROMOTION = (Limit("promotion", By.USER, 20, 600), Limit("promotion_address", By.ADDRESS, 300, 600))
# Tax calculators and registries are asked from outside, for money or at their own limits.
QUOTE = (Limit("quote", By.USER, 60, 600), Limit("quote_address", By.ADDRESS, 600, 600))
# A PDF takes up to half a second of a processor.
DOCUMENT = (Limit("document", By.USER, 60, 600), Limit("document_address", By.ADDRESS, 300, 600))
# Testing of stolen cards: each checkout is a payment intent to try one with.
CHECKOUT = (Limit("checkout", By.USER, 10, 600), Limit("checkout_address", By.ADDRESS, 300, 600))
# The same, by what the processor tells: who is declined this often gets no further intent to try cards with.
DECLINES = Limit("declines", By.USER, 20, 3600)
# Holding seats and limited promotions: orders of a user that ended unpaid, then no checkout.
UNPAID = Limit("unpaid", By.USER, 10, 86_400)
# Buying and returning in circles.
REFUND = (Limit("refund", By.USER, 10, 3600),)

ALL = (
    *ANY,
    *LOGIN,
    REGISTER[0],
    *PROMOTION,
    *QUOTE,
    *DOCUMENT,
    *CHECKOUT,
    DECLINES,
    UNPAID,
    *REFUND,
)

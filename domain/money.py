"""Amounts of money: integers of minor units with their currency, and the one rounding rule."""

from dataclasses import dataclass
from functools import total_ordering

from domain.currencies import Currency, currency_of
from domain.errors import CommerceError, CurrencyMismatch, InvalidInput


def half_up_div(numerator: int, denominator: int) -> int:
    """The integer nearest to numerator / denominator; a tie goes up (2.5 to 3, -2.5 to -2).

    Raises InvalidInput unless the denominator is positive.
    """
    if denominator <= 0:
        raise InvalidInput(f"can't divide by {denominator}")
    return (2 * numerator + denominator) // (2 * denominator)


def half_up_to_multiple(numerator: int, denominator: int, quantum: int) -> int:
    """The multiple of `quantum` nearest to numerator / denominator, rounded once; a tie goes up."""
    return half_up_div(numerator, denominator * quantum) * quantum


@total_ordering
@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of an ISO 4217 currency.

    Sums, differences and comparisons of two currencies raise CurrencyMismatch; an unknown code raises
    UnknownCurrency, an amount that is no integer InvalidInput.
    """

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount) is not int:
            raise InvalidInput(f"an amount is an integer of minor units, not {self.amount!r}")
        currency_of(self.currency)

    @classmethod
    def zero(cls, code: str) -> "Money":
        """Nothing, in that currency."""
        return cls(0, code)

    @property
    def unit(self) -> Currency:
        """Exponent and quantum of the currency."""
        return currency_of(self.currency)

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.amount - self._same(other), self.currency)

    def __mul__(self, times: int) -> "Money":
        return Money(self.amount * times, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount, self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._same(other)

    def __bool__(self) -> bool:
        return self.amount != 0

    def __str__(self) -> str:
        """Plain digits with the code, for logs and timelines: `-10.50 EUR`, `300 JPY`."""
        return self.unit.written(self.amount)

    def _same(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} don't mix")
        return other.amount


def as_read(amount: int, currency: str) -> str:
    """An amount as people read it: `102.96 USD`, `300 JPY`. For texts only: what can't be put so (a currency
    that we don't sell in) is written in minor units instead of raising."""
    try:
        return str(Money(amount, currency))
    except CommerceError:
        return f"{amount} {currency} (minor units)"

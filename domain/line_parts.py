"""The parts that the ledger's state of an order line is made of."""

from dataclasses import dataclass
from enum import StrEnum

from domain.splits import ShareKind


class Recognition(StrEnum):
    """When a line's revenue is recognized; a snapshot of the item."""

    ON_COMPLETION = "on_completion"  # when the course is completed, or at the deadline
    ON_GRANT = "on_grant"  # when access is given
    ON_PAYMENT = "on_payment"  # with the payment


class Presentation(StrEnum):
    """As what the platform sells; a snapshot of the item."""

    PRINCIPAL = "principal"  # gross: payees' shares are an expense
    AGENT = "agent"  # net: payees' shares lower the sales


class TakingReason(StrEnum):
    """Why money of a line went back."""

    REFUND = "refund"  # refunded; payees bear their shares
    GOODWILL = "goodwill"  # refunded; the platform bears it
    CHARGEBACK = "chargeback"  # lost to a dispute
    LATE_FAILURE = "late_failure"  # the payment failed after it had counted


class DisputeMark(StrEnum):
    """How a dispute over the line's order stands."""

    OPEN = "open"  # earnings are frozen
    WON = "won"  # decided for us
    LOST = "lost"  # decided for the cardholder


@dataclass(frozen=True, slots=True)
class Taking:
    """Gross minor units taken from the line by one cause, such as `refund:<id>`; 0 once cancelled."""

    cause: str
    reason: TakingReason
    gross: int


@dataclass(frozen=True, slots=True)
class SplitRow:
    """A row of the line's allocation, as persisted at accrual.

    `holders` are who has it now, amounts summing to the row's: it changes only when earnings are reassigned.
    """

    kind: ShareKind
    amount: int
    holders: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class PayeeEarning:
    """What one payee has earned from the line, all cumulative and in minor units."""

    payee: str
    accrued: int = 0
    released: int = 0
    reversed_held: int = 0
    reversed_released: int = 0

    @property
    def held(self) -> int:
        """Earned and not yet released."""
        return self.accrued - self.released - self.reversed_held

    @property
    def reversed(self) -> int:
        """Taken back, from both buckets."""
        return self.reversed_held + self.reversed_released

    @property
    def standing(self) -> int:
        """What the payee keeps at present."""
        return self.accrued - self.reversed

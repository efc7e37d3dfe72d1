"""What promotions take off the lines of an order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.allocation import largest_remainder
from domain.errors import InvalidInput
from domain.money import half_up_div, half_up_to_multiple

_BPS_WHOLE = 10_000


class Funding(StrEnum):
    """Who bears a discount."""

    SHARED = "shared"  # it lowers the basis of the split
    PLATFORM = "platform"  # payees earn as if there were no discount


@dataclass(frozen=True, slots=True)
class PercentPromotion:
    """Basis points off each line; `max_discount` (minor units) caps the whole discount of the promotion.

    `lines` are the ids it applies to, None is all of them. `priority` and `id` only order promotions.
    """

    bps: int
    max_discount: int | None = None
    lines: frozenset[str] | None = None
    funding: Funding = Funding.SHARED
    id: str = ""
    priority: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.bps <= _BPS_WHOLE:
            raise InvalidInput(f"a discount is 0 to {_BPS_WHOLE} basis points, not {self.bps}")
        if self.max_discount is not None and self.max_discount < 0:
            raise InvalidInput("the cap of a discount is not negative")

    def discounts(self, left: Sequence[int], quantum: int) -> list[int]:
        """Minor units off each line, of which `left` is what it still costs; rounded half up per line."""
        plain = [min(amount, half_up_to_multiple(amount * self.bps, _BPS_WHOLE, quantum)) for amount in left]
        if self.max_discount is None or sum(plain) <= self.max_discount:
            return plain
        return _spread(self.max_discount // quantum, left, quantum)


@dataclass(frozen=True, slots=True)
class FixedPromotion:
    """`amount` minor units off, spread over the lines by what they still cost.

    `lines` are the ids it applies to, None is all of them. `priority` and `id` only order promotions.
    """

    amount: int
    lines: frozenset[str] | None = None
    funding: Funding = Funding.SHARED
    id: str = ""
    priority: int = 0

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise InvalidInput("a discount is not negative")

    def discounts(self, left: Sequence[int], quantum: int) -> list[int]:
        """Minor units off each line, of which `left` is what it still costs; never more than that."""
        if self.amount >= sum(left):
            return list(left)
        return _spread(half_up_div(self.amount, quantum), left, quantum)


Promotion = PercentPromotion | FixedPromotion


def in_order(promotions: Iterable[Promotion]) -> list[Promotion]:
    """Several promotions of one order: by priority (lowest number first), percent before fixed, id."""
    return sorted(promotions, key=lambda p: (p.priority, isinstance(p, FixedPromotion), p.id))


def _spread(steps: int, left: Sequence[int], quantum: int) -> list[int]:
    """`steps` quanta over the lines by largest remainder; no line falls below zero."""
    parts = largest_remainder(steps, left)
    return [min(part * quantum, amount) for part, amount in zip(parts, left, strict=True)]

"""Exact division of an integer amount: once (largest remainder), and step by step (fixed tick order)."""

from collections.abc import Sequence

from domain.errors import InvalidInput
from domain.money import half_up_div


class NotAllocatable(InvalidInput):
    """The amount can't be divided over these parts."""

    code = "not_allocatable"


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Divide `total` in proportion to `weights`; the parts sum to it exactly.

    Hamilton's method: each gets its quota rounded down, units left over go to the largest remainders, ties
    to the lowest ordinal. A part never exceeds its quota rounded up, so never its weight while `total` is
    at most the sum of weights. Raises NotAllocatable for negative numbers or nothing to divide over.
    """
    whole = sum(weights)
    if total < 0 or any(weight < 0 for weight in weights):
        raise NotAllocatable("neither the total nor a weight may be negative")
    if whole == 0:
        if total:
            raise NotAllocatable(f"{total} can't be divided over weights that are all zero")
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for ordinal in by_remainder[: total - sum(parts)]:
        parts[ordinal] += 1
    return parts


def ticks_reversed(parts: Sequence[int], count: int) -> list[int]:
    """How much of each of `parts` is reversed when `count` units of their sum are.

    Unit k of a part a has the tick (2k - 1) / (2a), Sainte-Laguë's sequence; units are reversed in order of
    ticks, equal ticks by ordinal. The order is fixed, so each part grows monotonically with `count`, never
    exceeds its original, and is exact at 0 and at the sum: what largest remainder does not give. Time is
    quadratic in the number of parts and does not depend on the amounts. Raises NotAllocatable unless
    0 <= count <= sum(parts).
    """
    whole = sum(parts)
    if any(part < 0 for part in parts) or not 0 <= count <= whole:
        raise NotAllocatable(f"can't reverse {count} of {whole}")
    if count == 0:
        return [0] * len(parts)
    # All units with a tick of at most count / whole: a prefix of the order, off by less than a unit a part.
    taken = [half_up_div(part * count, whole) for part in parts]
    excess = sum(taken) - count
    for _ in range(excess):
        taken[_last(parts, taken)] -= 1
    for _ in range(-excess):
        taken[_next(parts, taken)] += 1
    return taken


def _last(parts: Sequence[int], taken: Sequence[int]) -> int:
    """Ordinal of the part that owns the last unit taken: the greatest tick, then the highest ordinal."""
    best = -1
    for i, part in enumerate(parts):
        if taken[i] == 0:
            continue
        # (2t_i - 1) / a_i >= (2t_b - 1) / a_b, without a division
        if best < 0 or (2 * taken[i] - 1) * parts[best] >= (2 * taken[best] - 1) * part:
            best = i
    return best


def _next(parts: Sequence[int], taken: Sequence[int]) -> int:
    """Ordinal of the part that owns the next unit: the smallest tick, then the lowest ordinal."""
    best = -1
    for i, part in enumerate(parts):
        if taken[i] == part:
            continue
        if best < 0 or (2 * taken[i] + 1) * parts[best] < (2 * taken[best] + 1) * part:
            best = i
    return best

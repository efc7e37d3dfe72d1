"""Exact division: once, and step by step."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.allocation import NotAllocatable, largest_remainder, ticks_reversed
from tests.domain.seeds import seeded

parts_lists = st.lists(st.integers(0, 60), min_size=1, max_size=6)
large_parts = st.lists(st.integers(0, 10**12), min_size=1, max_size=8)


def ticks_by_definition(parts, count):
    """Sainte-Laguë's ticks, sorted, unit by unit: slow and plainly right."""
    units = sorted(
        (Fraction(2 * k - 1, 2 * part), i) for i, part in enumerate(parts) for k in range(1, part + 1)
    )
    taken = [0] * len(parts)
    for _, i in units[:count]:
        taken[i] += 1
    return taken


@given(st.integers(0, 10**12), large_parts)
def test_largest_remainder_is_exact_and_within_its_quota(total, weights):
    if sum(weights) == 0:
        return
    parts = largest_remainder(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        quota = Fraction(total * weight, sum(weights))
        assert quota - 1 < part < quota + 1


def test_ties_go_to_the_lowest_ordinal():
    assert largest_remainder(100, [1, 1, 1]) == [34, 33, 33]
    assert largest_remainder(1, [1, 1]) == [1, 0]


@pytest.mark.parametrize(("total", "weights"), [(-1, [1]), (1, [-1, 2]), (1, []), (1, [0, 0])])
def test_what_cannot_be_divided_is_refused(total, weights):
    with pytest.raises(NotAllocatable):
        largest_remainder(total, weights)


def test_nothing_over_nothing_is_nothing():
    assert largest_remainder(0, [0, 0]) == [0, 0]


@given(parts_lists, st.data())
@settings(max_examples=300)
def test_ticks_follow_the_definition(parts, data):
    count = data.draw(st.integers(0, sum(parts)))
    assert ticks_reversed(parts, count) == ticks_by_definition(parts, count)


@given(parts_lists)
def test_ticks_are_monotone_and_exact_at_both_ends(parts):
    steps = [ticks_reversed(parts, count) for count in range(sum(parts) + 1)]
    assert steps[0] == [0] * len(parts)
    assert steps[-1] == parts
    for before, after in pairwise(steps):
        assert sum(after) == sum(before) + 1
        assert all(a >= b for a, b in zip(after, before, strict=True))


@given(large_parts, st.data())
def test_ticks_of_large_amounts_are_fast_exact_and_monotone(parts, data):
    count = data.draw(st.integers(0, sum(parts)))
    taken = ticks_reversed(parts, count)
    assert sum(taken) == count
    assert all(0 <= t <= part for t, part in zip(taken, parts, strict=True))
    if count < sum(parts):
        following = ticks_reversed(parts, count + 1)
        assert sorted(b - a for a, b in zip(taken, following, strict=True))[-2:] in ([1], [0, 1])


@pytest.mark.parametrize(("parts", "count"), [([3], 4), ([3], -1), ([-1, 5], 2), ([], 1)])
def test_no_more_than_all_is_reversed(parts, count):
    with pytest.raises(NotAllocatable):
        ticks_reversed(parts, count)


def falling_steps(reverse, parts):
    """Where a further unit reversed would give something back to a part."""
    steps = [reverse(parts, count) for count in range(sum(parts) + 1)]
    return [
        count
        for count, (before, after) in enumerate(pairwise(steps), start=1)
        if any(a < b for a, b in zip(after, before, strict=True))
    ]


def naive_reversal(parts, count):
    """The bug: each cumulative amount divided anew by largest remainder."""
    return largest_remainder(count, parts)


def floored_reversal(parts, count):
    """The other bug: each refund of one unit divided by itself and rounded down."""
    return [count * (part // sum(parts)) for part in parts]


def test_the_check_catches_a_naive_reversal():
    assert naive_reversal([6, 6, 2], 10) == [4, 4, 2]
    assert naive_reversal([6, 6, 2], 11) == [5, 5, 1]
    assert falling_steps(naive_reversal, [6, 6, 2]) == [4, 11]
    assert falling_steps(ticks_reversed, [6, 6, 2]) == []
    assert floored_reversal([6, 6, 2], 14) != [6, 6, 2]


def test_naive_reversal_is_not_just_a_rare_accident():
    chosen = seeded("naive reversal")
    vectors = [[chosen.randint(1, 40) for _ in range(chosen.randint(3, 5))] for _ in range(200)]
    assert sum(bool(falling_steps(naive_reversal, parts)) for parts in vectors) > 100
    assert not any(falling_steps(ticks_reversed, parts) for parts in vectors)

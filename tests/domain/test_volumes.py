"""Volumes of payees and the tiers that count them; another rule tried on past lines; a payee's share told."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ledger import (
    Trigger,
    accrue,
    capture,
    initiate_refund,
    reassign,
    recognize,
    volume_of,
)
from domain.payee_share import PayeeShare, share_of
from domain.simulation import resplit
from domain.splits import SplitRule
from tests.domain.books import line
from tests.domain.test_ledger_properties import order_lines, small_refunds

TIERS = {"shares": [{"payee": "a", "tiers": [{"upto": 100, "bps": 5000}, {"upto": None, "bps": 10_000}]}]}


def sold(number, net=100, split=TIERS, **more):
    """A captured line of so much."""
    new = line(f"L{number}", list_net=net, net=net, tax={}, split=split, **more)
    return capture(f"O{number}", [new]).lines[0]


def test_each_line_of_an_order_paid_at_once_counts_for_the_next():
    lines = [
        line(f"L{n}", list_net=80, net=80, tax={}, split=TIERS, recognition="on_payment") for n in (1, 2, 3)
    ]
    outcome = capture("O1", lines, prior={"a": 20})
    assert [state.payees[0].accrued for state in outcome.lines] == [40, 80, 80]
    assert [dict(state.volumes) for state in outcome.lines] == [{"a": 20}, {"a": 100}, {"a": 180}]
    assert sum(earning.amount for earning in outcome.earnings) == 200


def test_volume_is_what_the_shares_were_taken_of_less_what_went_back():
    split = {
        "shares": [{"payee": "a", "bps": 5000}, {"payee": "b", "bps": 1000}],
        "off_top": [{"payee": "x", "bps": 1000}],
        "fixed": [{"payee": "y", "amount": 100}],
        "fee_fixed": 30,
    }
    state = sold(1, 1030, split)
    assert volume_of(state) == {}
    (state,) = recognize(state).lines
    assert volume_of(state) == {"a": 800, "b": 800}
    (state,) = initiate_refund("R1", [state], amount=515).lines
    assert volume_of(state) == {"a": 400, "b": 400}
    (state,) = initiate_refund("R2", [state]).lines
    assert volume_of(state) == {"a": 0, "b": 0}


@given(order_lines(), st.integers(1, 400))
@settings(max_examples=80, deadline=None)
def test_the_volume_only_falls_with_refunds_and_ends_at_zero(lines, step):
    states = small_refunds(lines[0], max(step, lines[0].gross // 25))
    volumes = [volume_of(state) for state in states]
    for earlier, later in pairwise(volumes):
        assert all(0 <= later[payee] <= earlier[payee] for payee in earlier)
    if states[-1].gross:
        assert not any(volumes[-1].values())


@given(st.lists(st.integers(0, 300), min_size=1, max_size=8), st.integers(0, 300))
@settings(max_examples=200, deadline=None)
def test_by_tiers_many_sales_earn_what_one_would_to_a_unit_each(nets, prior):
    volumes, earned = {"a": prior}, 0
    for number, net in enumerate(nets):
        (state,) = recognize(sold(number, net), prior=volumes).lines
        earned += sum(payee.accrued for payee in state.payees)
        volumes["a"] += volume_of(state)["a"]
    assert volumes["a"] == prior + sum(nets)
    whole = SplitRule.from_dict(TIERS).shares[0].claim(sum(nets), prior)
    assert abs(earned * 10_000 - whole) <= 10_000 * len(nets)


@given(order_lines())
@settings(max_examples=120, deadline=None)
def test_by_its_own_rule_every_line_would_be_paid_what_it_was(lines):
    states = []
    for number, new in enumerate(lines):
        (state,) = recognize(capture(f"O{number}", [new]).lines[0], Trigger.DEADLINE).lines
        if state.refundable_gross > 1:
            (state,) = initiate_refund(f"R{number}", [state], amount=state.refundable_gross // 2).lines
        states.append(state)
    for one in resplit([(state, state.split) for state in states], {}):
        assert {p: a for p, a in one.paid.items() if a} == {p: a for p, a in one.would_pay.items() if a}
        assert one.other.basis == one.line.basis


def test_another_rule_goes_on_from_the_volumes_and_leaves_the_line_alone():
    (first,) = recognize(sold(1, 100, {"shares": [{"payee": "b", "bps": 1000}]})).lines
    (second,) = recognize(replace(sold(2), currency="EUR")).lines
    rule = SplitRule.from_dict(TIERS)
    found = resplit([(first, rule), (second, rule)], {("a", first.currency): 50})
    assert [one.would_pay for one in found] == [{"a": 75}, {"a": 100}]
    assert [one.paid for one in found] == [{"b": 10}, {"a": 50}]
    assert found[0].line is first


def test_a_share_is_told_by_its_terms():
    split = {
        "shares": [{"payee": "a", "bps": 5000}, {"payee": "x", "bps": 1000}],
        "off_top": [{"payee": "x", "bps": 1000}],
        "fixed": [{"payee": "y", "amount": 100}],
    }
    (state,) = accrue(replace(sold(1, 1000, split), recognized=True)).lines
    assert share_of(state, "a") == PayeeShare("share", 5000, 400)
    assert share_of(state, "x") == PayeeShare("mixed", None, 180)
    assert share_of(state, "y") == PayeeShare("fixed", None, 100)
    (moved,) = reassign("C1", state, amount=400, from_payee="a", to_payee="z").lines
    assert share_of(moved, "z") == PayeeShare("share", None, 400)
    (tiered,) = recognize(sold(2)).lines
    assert share_of(tiered, "a") == PayeeShare("share", None, 50)

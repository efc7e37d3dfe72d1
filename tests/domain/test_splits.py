"""Split rules: reading, refusing, dividing."""

import json

import pytest

from domain.currencies import currency_of
from domain.split_json import SplitRuleInvalid
from domain.splits import PLATFORM, Share, ShareKind, SplitRule, allocate, basis_of
from tests.domain.seeds import seeded

FULL_RULE = {
    "shares": [
        {"payee": "a", "bps": 4000, "min": 500},
        {"payee": "b", "tiers": [{"upto": 1000, "bps": 1000}, {"upto": None, "bps": 2000}]},
    ],
    "fixed": [{"payee": "c", "amount": 250}],
    "off_top": [{"payee": "d", "bps": 1000}],
    "fee_bps": 290,
    "fee_fixed": 30,
    "platform_discount": "absorbed",
}


def amounts(basis, rule, **given):
    return [(row.payee, row.amount) for row in allocate(basis, SplitRule.from_dict(rule), **given)]


def test_a_rule_survives_its_json():
    rule = SplitRule.from_dict(json.loads(json.dumps(FULL_RULE)))
    assert rule.to_dict() == FULL_RULE
    assert rule.payees == ("d", "c", "a", "b")


@pytest.mark.parametrize(
    "rule",
    [
        {"shares": [{"payee": "a", "bps": 6000}, {"payee": "b", "bps": 4001}]},
        {"off_top": [{"payee": "a", "bps": 6000}, {"payee": "b", "bps": 4001}]},
        {"shares": [{"payee": "a", "bps": -1}]},
        {"shares": [{"payee": "a", "bps": 10.5}]},
        {"shares": [{"payee": "a", "bps": True}]},
        {"shares": [{"payee": "a"}]},
        {"shares": [{"payee": "", "bps": 1}]},
        {"shares": [{"payee": PLATFORM, "bps": 1}]},
        {"shares": [{"payee": "a", "bps": 1, "min": -5}]},
        {"shares": [{"payee": "a", "bps": 1, "tiers": []}]},
        {"shares": [{"payee": "a", "tiers": [{"upto": 5, "bps": 1}, {"upto": 5, "bps": 2}]}]},
        {"shares": [{"payee": "a", "tiers": [{"upto": None, "bps": 1}, {"upto": 5, "bps": 2}]}]},
        {"shares": {"payee": "a"}},
        {"fixed": [{"payee": "a", "amount": "5"}]},
        {"fixed": [{"payee": "a", "amount": 5, "bps": 1}]},
        {"fee_bps": 10001},
        {"fee_fixed": -1},
        {"platform_discount": "shared"},
        {"share": []},
    ],
)
def test_a_rule_that_cannot_be_applied_is_refused(rule):
    with pytest.raises(SplitRuleInvalid) as refusal:
        SplitRule.from_dict(rule)
    assert refusal.value.code == "split_rule_invalid"


def test_without_a_rule_all_is_the_platforms():
    assert amounts(100, {}) == [(PLATFORM, 100)]


def test_rows_stand_in_the_order_of_the_rule():
    rows = allocate(10_000, SplitRule.from_dict(FULL_RULE))
    assert [row.kind for row in rows] == [
        ShareKind.OFF_TOP,
        ShareKind.FIXED,
        ShareKind.SHARE,
        ShareKind.SHARE,
        ShareKind.PLATFORM,
    ]
    # 1000 off the top, 250 fixed; of 8750: 40 %, and 10 % of 1000 plus 20 % of 7750
    assert [row.amount for row in rows] == [1000, 250, 3500, 1650, 3600]


def test_tiers_go_on_from_what_came_before():
    rule = {
        "shares": [{"payee": "a", "tiers": [{"upto": 100_000, "bps": 5000}, {"upto": None, "bps": 7000}]}]
    }
    assert amounts(10_000, rule) == [("a", 5000), (PLATFORM, 5000)]
    assert amounts(10_000, rule, prior={"a": 95_000}) == [("a", 6000), (PLATFORM, 4000)]
    assert amounts(10_000, rule, prior={"a": 100_000}) == [("a", 7000), (PLATFORM, 3000)]


def test_beyond_closed_tiers_nothing_is_earned():
    rule = {"shares": [{"payee": "a", "tiers": [{"upto": 100, "bps": 5000}]}]}
    assert amounts(200, rule) == [("a", 50), (PLATFORM, 150)]


def test_a_guarantee_comes_out_of_the_platforms_share_only():
    rule = {"shares": [{"payee": "a", "bps": 2000, "min": 900}, {"payee": "b", "bps": 3000, "min": 900}]}
    assert amounts(1000, rule) == [("a", 700), ("b", 300), (PLATFORM, 0)]


def test_basis_knows_fee_and_platform_discount():
    plain = SplitRule(shares=(Share("a", 5000),), fee_bps=300, fee_fixed=30)
    assert basis_of(10_000, plain) == 9670
    assert basis_of(20, plain) == 0
    assert basis_of(8000, plain, platform_discount=2000) == 7730
    assert basis_of(8000, plain.absorbing_discount(), platform_discount=2000) == 9670


def random_rule(chosen, basis):
    """A rule with a bit of everything."""
    bounds = sorted(chosen.randint(0, 10_000) for _ in range(chosen.randint(1, 5)))
    shares = [
        {"payee": f"p{i}", "bps": high - low}
        for i, (low, high) in enumerate(zip([0, *bounds], bounds, strict=False))
    ]
    if chosen.random() < 0.3:
        shares[0]["min"] = chosen.randint(0, basis + 1)
    if chosen.random() < 0.3:
        most = shares[-1].pop("bps")
        uptos = sorted({chosen.randint(1, 2 * basis + 2) for _ in range(2)})
        shares[-1]["tiers"] = [{"upto": upto, "bps": chosen.randint(0, most)} for upto in [*uptos, None]]
    rule = {"shares": shares}
    if chosen.random() < 0.4:
        rule["off_top"] = [
            {"payee": f"o{i}", "bps": chosen.randint(0, 5000)} for i in range(chosen.randint(1, 2))
        ]
    if chosen.random() < 0.4:
        rule["fixed"] = [{"payee": f"f{i}", "amount": chosen.randint(0, basis // 2 + 1)} for i in range(2)]
    return rule


def test_ten_thousand_random_splits_are_exact():
    chosen = seeded("random splits")
    for _ in range(10_000):
        unit = currency_of(chosen.choice(["JPY", "KRW", "EUR", "USD", "KWD", "BHD"]))
        basis = chosen.randint(0, chosen.choice([3, 1000, 100_000])) * 10**unit.exponent // unit.quantum
        rule = random_rule(chosen, basis)
        prior = {f"p{i}": chosen.randint(0, 2 * basis + 1) for i in range(5)}
        rows = allocate(basis, SplitRule.from_dict(rule), prior=prior)
        assert sum(row.amount for row in rows) == basis, (basis, rule)
        assert all(row.amount >= 0 for row in rows), (basis, rule)
        assert rows[-1].payee == PLATFORM

"""Pricing: order of steps, rounding, caps, quanta, funding."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.currencies import UnknownCurrency
from domain.errors import InvalidInput
from domain.pricing import PricedBundle, PricedLine, PricingRequest, TaxBehavior, price
from domain.promotions import FixedPromotion, Funding, PercentPromotion, in_order
from domain.tax import TaxRate

VAT = (TaxRate("DE", 190_000),)


def quoted(lines, *, currency="EUR", **given):
    return price(PricingRequest(currency, tuple(lines), **given))


def nets(quote):
    return [line.net for line in quote.lines]


def test_each_promotion_applies_to_what_the_one_before_left():
    lines = [PricedLine("a", 10_000), PricedLine("b", 5000)]
    percent, fixed = PercentPromotion(1000), FixedPromotion(1500)
    assert nets(quoted(lines, promotions=(percent, fixed))) == [8000, 4000]
    assert nets(quoted(lines, promotions=(fixed, percent))) == [8100, 4050]


def test_the_cap_holds_for_the_whole_discount():
    lines = [PricedLine("a", 10_000), PricedLine("b", 5000)]
    quote = quoted(lines, promotions=(PercentPromotion(2000, max_discount=2000),))
    assert [line.discount_net for line in quote.lines] == [1333, 667]
    uncapped = quoted(lines, promotions=(PercentPromotion(2000, max_discount=3000),))
    assert uncapped.discount_net == 3000


def test_percentages_round_half_up_per_line():
    lines = [PricedLine("a", 5), PricedLine("b", 5)]
    assert [line.discount_net for line in quoted(lines, promotions=(PercentPromotion(1000),)).lines] == [1, 1]


def test_a_promotion_of_other_lines_leaves_this_one():
    quote = quoted([PricedLine("a", 900)], promotions=(FixedPromotion(500, lines=frozenset({"b"})),))
    assert quote.net == 900


def test_tax_is_rounded_per_line_not_per_order():
    lines = [PricedLine(name, 3, VAT) for name in "abc"]  # 0.57 each: 1 each, not 2 in all
    assert quoted(lines).tax == 3
    assert quoted(lines).taxes[0].amount == 3


def test_inclusive_prices_keep_their_gross():
    two = (TaxRate("US-NY", 40_000), TaxRate("US-NYC", 45_000))
    line = quoted([PricedLine("a", 9999, two)], tax_behavior=TaxBehavior.INCLUSIVE).lines[0]
    assert (line.net, line.gross) == (9216, 9999)
    assert [tax.amount for tax in line.taxes] == [368, 415]


def test_reverse_charge_leaves_a_row_of_zero():
    line = quoted([PricedLine("a", 10_000, (TaxRate("FR-RC", 0),))]).lines[0]
    assert [(tax.jurisdiction, tax.amount) for tax in line.taxes] == [("FR-RC", 0)]
    inclusive = quoted([PricedLine("a", 10_000, (TaxRate("FR-RC", 0),))], tax_behavior=TaxBehavior.INCLUSIVE)
    assert inclusive.gross == inclusive.net == 10_000


def test_discount_and_tax_are_multiples_of_the_quantum():
    rate = (TaxRate("KW", 50_000),)
    lines = [PricedLine("a", 12_340, rate), PricedLine("b", 10_010, rate)]
    quote = quoted(lines, currency="KWD", promotions=(PercentPromotion(1000), FixedPromotion(1005)))
    for line in quote.lines:
        assert line.discount_net % 10 == line.tax % 10 == line.gross % 10 == 0
    # 1230 + 1000 by percent, then 1010 over 11110 and 9010
    assert [line.discount_net for line in quote.lines] == [1790, 1450]
    assert [line.tax for line in quote.lines] == [530, 430]


def test_a_cap_is_not_exceeded_for_the_sake_of_the_quantum():
    quote = quoted(
        [PricedLine("a", 10_000)], currency="KWD", promotions=(PercentPromotion(5000, max_discount=1009),)
    )
    assert quote.discount_net == 1000


def test_who_funds_a_discount_is_kept_apart():
    lines = [PricedLine("a", 11_900, VAT)]
    shared = FixedPromotion(1190)
    platform = FixedPromotion(2380, funding=Funding.PLATFORM)
    quote = quoted(lines, tax_behavior=TaxBehavior.INCLUSIVE, promotions=(shared, platform))
    line = quote.lines[0]
    assert (line.list_net, line.net, line.discount_net, line.platform_discount) == (10_000, 7000, 3000, 2000)


def test_bundles_are_exploded_and_discounted_like_lines():
    bundle = PricedBundle((PricedLine("a", 4900, VAT), PricedLine("b", 3900), PricedLine("c", 5900)), 9999)
    quote = quoted([PricedLine("x", 100), bundle], promotions=(PercentPromotion(1000),))
    assert [(line.line, line.list_net, line.bundle) for line in quote.lines] == [
        ("x", 100, None),
        ("a", 3333, 1),
        ("b", 2653, 1),
        ("c", 4013, 1),
    ]
    assert quote.lines[1].tax == 570


def test_a_bundle_of_free_members_is_divided_evenly():
    bundle = PricedBundle((PricedLine("a", 0), PricedLine("b", 0)), 101)
    assert nets(quoted([bundle])) == [51, 50]


def test_parts_of_a_bundle_can_be_charged_alone():
    bundle = PricedBundle((PricedLine("a", 1000), PricedLine("b", 1000), PricedLine("c", 1000)), 1000)
    assert nets(quoted([bundle], currency="KWD")) == [340, 330, 330]


def test_quantity_multiplies_the_list_price():
    assert quoted([PricedLine("a", 250, quantity=3)]).list_net == 750


def test_order_of_several_promotions():
    promotions = [
        FixedPromotion(1, id="b"),
        PercentPromotion(1, id="z"),
        FixedPromotion(1, id="a"),
        FixedPromotion(1, id="y", priority=-1),
    ]
    assert [promotion.id for promotion in in_order(promotions)] == ["y", "z", "a", "b"]


@pytest.mark.parametrize(
    "lines",
    [
        [PricedLine("a", -1)],
        [PricedLine("a", 1), PricedLine("a", 1)],
        [PricedLine("a", 1, quantity=0)],
        [PricedLine("a", 1, (TaxRate("DE", -1),))],
        [PricedBundle((), 5)],
        [PricedBundle((PricedLine("a", 1),), -5)],
    ],
)
def test_nonsense_is_refused(lines):
    with pytest.raises(InvalidInput):
        quoted(lines)


def test_a_currency_must_be_known():
    with pytest.raises(UnknownCurrency):
        quoted([PricedLine("a", 1)], currency="ABC")


rates = st.lists(st.builds(TaxRate, st.sampled_from(["A", "B"]), st.integers(0, 300_000)), max_size=2)
line_lists = st.lists(st.tuples(st.integers(0, 100_000), rates), min_size=1, max_size=5)
fundings = st.sampled_from(Funding)
promotion_lists = st.lists(
    st.one_of(
        st.builds(
            PercentPromotion,
            st.integers(0, 10_000),
            max_discount=st.none() | st.integers(0, 50_000),
            funding=fundings,
        ),
        st.builds(FixedPromotion, st.integers(0, 200_000), funding=fundings),
    ),
    max_size=3,
)


@given(line_lists, promotion_lists, st.sampled_from(TaxBehavior), st.sampled_from(["JPY", "EUR", "KWD"]))
def test_every_quote_adds_up(given_lines, promotions, behavior, currency):
    lines = [PricedLine(str(i), amount * 10, tuple(r)) for i, (amount, r) in enumerate(given_lines)]
    quote = quoted(lines, currency=currency, promotions=tuple(promotions), tax_behavior=behavior)
    for line in quote.lines:
        assert line.list_net - line.discount_net == line.net >= 0
        assert line.net + line.tax == line.gross
        assert line.tax == sum(tax.amount for tax in line.taxes)
        assert 0 <= line.platform_discount <= line.discount_net
        if behavior is TaxBehavior.INCLUSIVE:
            assert line.gross == line.list_amount - line.discount_amount
        if currency == "KWD":
            assert line.gross % 10 == 0
    assert quote.net + quote.tax == quote.gross == sum(line.gross for line in quote.lines)
    assert quote.list_net - quote.discount_net == quote.net
    json.dumps(asdict(quote))

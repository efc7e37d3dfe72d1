"""Tax that a calculator states: taken as it is, and only for what it was asked about."""

import pytest

from domain.pricing import PricedLine, PricingRequest, StatedTaxOutdated, TaxBehavior, price
from domain.promotions import Funding, PercentPromotion
from domain.tax import TaxAmount
from domain.taxation import StatedTax, TaxDecision, TaxProvider, VatCheck


def request(behavior, *stated, promotions=()):
    return PricingRequest(
        "USD", (PricedLine("a", 9900), PricedLine("b", 100)), behavior, promotions=promotions, stated=stated
    )


ODD = (TaxAmount("US-NY", 40_000, 397), TaxAmount("US-NY City", 45_000, 1))  # no rounding of ours


def test_amounts_are_taken_as_they_are():
    quote = price(request(TaxBehavior.EXCLUSIVE, StatedTax("a", 9900, ODD), StatedTax("b", 100, ())))
    first, second = quote.lines
    assert (first.net, first.taxes, first.tax, first.gross) == (9900, ODD, 398, 10_298)
    assert (second.tax, quote.gross) == (0, 10_398)


def test_an_inclusive_price_holds_the_stated_tax():
    quote = price(request(TaxBehavior.INCLUSIVE, StatedTax("a", 9900, ODD), StatedTax("b", 100, ())))
    assert (quote.lines[0].net, quote.lines[0].list_net, quote.lines[0].gross) == (9502, 9502, 9900)


@pytest.mark.parametrize("behavior", list(TaxBehavior))
def test_a_discount_that_the_platform_funds_stays_within_the_discount(behavior):
    half = PercentPromotion(5000, funding=Funding.PLATFORM)
    stated = (StatedTax("a", 4950, ODD), StatedTax("b", 50, ()))
    for line in price(request(behavior, *stated, promotions=(half,))).lines:
        assert 0 <= line.platform_discount <= line.discount_net
        assert line.net + line.tax == line.gross


@pytest.mark.parametrize(
    "stated",
    [
        (StatedTax("a", 9800, ODD), StatedTax("b", 100, ())),
        (StatedTax("a", 9900, ODD),),
        (),
    ],
)
def test_tax_for_other_amounts_or_lines_is_refused(stated):
    with pytest.raises(StatedTaxOutdated) as caught:
        price(request(TaxBehavior.EXCLUSIVE, *stated))
    assert caught.value.code == "price_changed"


def test_a_decision_survives_json():
    decision = TaxDecision(
        TaxProvider.STRIPE,
        "DE136695976",
        reverse_charge=True,
        check=VatCheck("vies", "2026-03-01T00:00:00+00:00", "WAPI1"),
        calculation_id="taxcalc_1",
        stated=(StatedTax("a", 9900, ODD), StatedTax("b", 100, ())),
    )
    assert TaxDecision.from_dict(decision.to_dict()) == decision
    assert TaxDecision.from_dict(None) == TaxDecision()
    assert TaxDecision.from_dict(TaxDecision().to_dict()) == TaxDecision()

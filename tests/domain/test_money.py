"""Money, currencies, rounding."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.currencies import CURRENCIES, NotChargeable, UnknownCurrency, currency_of
from domain.errors import CurrencyMismatch, InvalidInput
from domain.money import Money, as_read, half_up_div, half_up_to_multiple


@pytest.mark.parametrize(
    ("numerator", "denominator", "nearest"),
    [(5, 2, 3), (-5, 2, -2), (4, 3, 1), (5, 3, 2), (0, 7, 0), (-1, 3, 0), (1, 2, 1)],
)
def test_half_goes_up(numerator, denominator, nearest):
    assert half_up_div(numerator, denominator) == nearest


@given(st.integers(-(10**15), 10**15), st.integers(1, 10**9))
def test_rounding_is_within_half_a_unit(numerator, denominator):
    error = half_up_div(numerator, denominator) - Fraction(numerator, denominator)
    assert Fraction(-1, 2) < error <= Fraction(1, 2)


def test_rounding_to_a_quantum_rounds_once():
    # 1234.5 to tens: 1230. Rounded to 1235 first, it would become 1240.
    assert half_up_to_multiple(12345, 10, 10) == 1230
    assert half_up_to_multiple(12350, 10, 10) == 1240


def test_division_by_nothing_is_refused():
    with pytest.raises(InvalidInput):
        half_up_div(1, 0)


def test_two_currencies_do_not_mix():
    euro, dollar = Money(1, "EUR"), Money(1, "USD")
    with pytest.raises(CurrencyMismatch):
        euro + dollar
    with pytest.raises(CurrencyMismatch):
        euro - dollar
    with pytest.raises(CurrencyMismatch):
        assert euro < dollar
    assert euro != dollar


def test_arithmetic_and_text():
    assert Money(1050, "EUR") + Money(950, "EUR") * 2 == Money(2950, "EUR")
    assert -Money(5, "JPY") - Money(5, "JPY") == Money(-10, "JPY")
    assert Money(1, "EUR") <= Money(1, "EUR") < Money(2, "EUR")
    assert [str(Money(-1050, code)) for code in ("EUR", "JPY", "KWD")] == [
        "-10.50 EUR",
        "-1050 JPY",
        "-1.050 KWD",
    ]
    assert not Money.zero("EUR")


@pytest.mark.parametrize("amount", [1.0, "1", True, None])
def test_an_amount_is_an_integer(amount):
    with pytest.raises(InvalidInput):
        Money(amount, "EUR")


@pytest.mark.parametrize("code", ["eur", "XXX", "", "EURO"])
def test_unknown_currencies_are_refused(code):
    with pytest.raises(UnknownCurrency):
        Money(1, code)


def test_table_of_currencies():
    assert len(CURRENCIES) > 150
    assert {currency_of(code).exponent for code in ("JPY", "KRW", "CLP", "ISK", "XOF")} == {0}
    assert {currency_of(code).exponent for code in ("USD", "EUR", "HUF", "TWD")} == {2}
    for code in ("KWD", "BHD", "JOD", "OMR", "TND"):
        assert (currency_of(code).exponent, currency_of(code).quantum) == (3, 10)


def test_only_multiples_of_the_quantum_are_charged():
    assert currency_of("KWD").require_chargeable(12340) == 12340
    with pytest.raises(NotChargeable, match=r"12\.345 KWD is not a multiple of 0\.010 KWD"):
        currency_of("KWD").require_chargeable(12345)


def test_processor_counts_some_currencies_otherwise():
    assert currency_of("ISK").to_processor(500) == 50000
    assert currency_of("ISK").from_processor(50000) == 500
    assert currency_of("EUR").to_processor(500) == currency_of("EUR").from_processor(500) == 500
    assert currency_of("MGA").to_processor(500) == 5
    assert currency_of("MGA").from_processor(5) == 500
    with pytest.raises(NotChargeable):
        currency_of("ISK").from_processor(50050)
    with pytest.raises(NotChargeable):
        currency_of("MGA").to_processor(550)


def test_amounts_are_told_as_people_read_them():
    assert as_read(10296, "USD") == "102.96 USD"
    assert as_read(10296, "JPY") == "10296 JPY"
    assert as_read(10296, "KWD") == "10.296 KWD"
    assert as_read(10296, "XTS") == "10296 XTS (minor units)", "a text raises nothing"

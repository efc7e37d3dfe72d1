"""Tax rates by place, day and kind of goods."""

from datetime import date

import pytest

from domain.tax import TaxRate, TaxTableRow, rates_for, reverse_charge_applies

TABLE = [
    TaxTableRow("DE", "DE", 190_000, date(2007, 1, 1), date(2020, 7, 1)),
    TaxTableRow("DE", "DE", 160_000, date(2020, 7, 1), date(2021, 1, 1)),
    TaxTableRow("DE", "DE", 190_000, date(2021, 1, 1)),
    TaxTableRow("DE", "DE", 70_000, date(2019, 12, 18), tax_code="ebook"),
    TaxTableRow("US", "US-NY", 40_000, date(2005, 6, 1), state="NY"),
    TaxTableRow("US", "US-NYC", 45_000, date(2009, 8, 1), state="NY"),
]


def looked_up(country, state, on_date, tax_code="course", **given):
    return [
        (rate.jurisdiction, rate.ppm) for rate in rates_for(TABLE, country, state, on_date, tax_code, **given)
    ]


@pytest.mark.parametrize(
    ("on_date", "ppm"),
    [
        (date(2020, 6, 30), 190_000),
        (date(2020, 7, 1), 160_000),
        (date(2020, 12, 31), 160_000),
        (date(2021, 1, 1), 190_000),
    ],
)
def test_the_day_decides_the_rate(on_date, ppm):
    assert looked_up("DE", None, on_date) == [("DE", ppm)]


def test_a_rate_for_the_kind_of_goods_goes_first():
    assert looked_up("DE", None, date(2026, 1, 1), "ebook") == [("DE", 70_000)]


def test_a_state_adds_its_jurisdictions():
    assert looked_up("US", "NY", date(2026, 1, 1)) == [("US-NY", 40_000), ("US-NYC", 45_000)]
    assert looked_up("US", "OR", date(2026, 1, 1)) == []
    assert looked_up("US", None, date(2026, 1, 1)) == []


def test_no_rate_where_none_is_known():
    assert looked_up("FR", None, date(2026, 1, 1)) == []
    assert looked_up("DE", None, date(1990, 1, 1)) == []


def test_a_rate_ends_before_its_last_day():
    ended = [TaxTableRow("FI", "FI", 240_000, date(2013, 1, 1), date(2024, 9, 1))]
    assert rates_for(ended, "FI", None, date(2024, 8, 31), "course") == [TaxRate("FI", 240_000)]
    assert rates_for(ended, "FI", None, date(2024, 9, 1), "course") == []


def test_reverse_charge_is_one_rate_of_zero():
    rates = rates_for(TABLE, "DE", None, date(2026, 1, 1), "course", reverse_charge=True)
    assert rates == [TaxRate("DE-RC", 0)]


@pytest.mark.parametrize(
    ("seller", "buyer", "valid", "applies"),
    [
        ("DE", "FR", True, True),
        ("DE", "FR", False, False),
        ("DE", "DE", True, False),
        ("DE", "GB", True, True),
        ("GB", "DE", True, True),
        ("US", "FR", True, True),
        ("GB", "GB", True, False),
        ("DE", "US", True, False),
        ("GB", "DE", False, False),
    ],
)
def test_reverse_charge_needs_a_business_in_another_country_with_vat(seller, buyer, valid, applies):
    assert reverse_charge_applies(seller, buyer, vat_id_valid=valid) is applies

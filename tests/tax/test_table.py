"""The table that the migrations load: every country, every day since its first."""

from datetime import date

import pytest

from domain.tax import EU_COUNTRIES
from models.database import Database
from models.queries import tax_rates

CODE = "txcd_20060158"


@pytest.fixture(scope="module")
async def store(database_url: str):  # type: ignore[no-untyped-def]
    found = Database(database_url, pool_size=1)
    yield found
    await found.aclose()


async def rates(
    store: Database, country: str, on_date: date, state: str | None = None
) -> list[tuple[str, int]]:
    async with store.transaction() as session:
        found = await tax_rates.at(
            session, {"country": country, "state": state}, on_date, reverse_charge=False
        )
    return [(rate.jurisdiction, rate.ppm) for rate in found.of(CODE)]


@pytest.mark.parametrize("on_date", [date(2024, 1, 1), date(2025, 3, 1), date(2026, 3, 1)])
async def test_every_country_with_vat_has_one_rate_on_every_day(store: Database, on_date: date) -> None:
    for country in EU_COUNTRIES | {"GB"}:
        ((jurisdiction, ppm),) = await rates(store, country, on_date)
        assert jurisdiction == country
        assert 170_000 <= ppm <= 270_000


@pytest.mark.parametrize(
    ("country", "last_day", "before", "after"),
    [
        ("FI", date(2024, 8, 31), 240_000, 255_000),
        ("SK", date(2024, 12, 31), 200_000, 230_000),
        ("EE", date(2025, 6, 30), 220_000, 240_000),
        ("RO", date(2025, 7, 31), 190_000, 210_000),
    ],
)
async def test_a_rate_changes_on_its_day(
    store: Database, country: str, last_day: date, before: int, after: int
) -> None:
    assert await rates(store, country, last_day) == [(country, before)]
    assert await rates(store, country, date.fromordinal(last_day.toordinal() + 1)) == [(country, after)]


async def test_states_of_the_united_states(store: Database) -> None:
    today = date(2026, 3, 1)
    assert await rates(store, "US", today, "US-NY") == [("US-NY", 40_000)]
    assert await rates(store, "US", today, "CA") == [("US-CA", 72_500)]
    assert await rates(store, "US", today) == []

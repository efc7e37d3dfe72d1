"""Times in requests are RFC 3339, written out: whatever else a parser would make something of is refused."""

import pytest

from tests.api.callers import Gateway

NO_TIMES = (
    "0",
    "1763890000",
    "-1763890000.5",
    "1_763_890_000",
    "-6.515747502065623e-207",
    "1e9",
    "nan",
    "null",
    "2026",
    "2026-11-23",
    "2026-11-23T09:30Z",
    "2026-11-23T09:30:00",
    "2026-11-23_09:30:00Z",
    "2026-11-23T09:30:00+0100",
    "2026-11-23T09:30:00Z ",
    "2026-13-23T09:30:00Z",
    "2026-11-23T25:30:00Z",
    "٢٠٢٦-11-23T09:30:00Z",
)
TIMES = (
    "2026-11-23T09:30:00Z",
    "2026-11-23t09:30:00z",
    "2026-11-23 09:30:00.123456Z",
    "2026-11-23T09:30:00-23:59",
)
NO_DAYS = ("0", "20780", "1e4", "2026", "2026-11", "2026-11-31", "2026-11-23T00:00:00Z")


@pytest.mark.parametrize("value", NO_TIMES)
async def test_what_is_no_time_is_refused(gateway: Gateway, value: str) -> None:
    for path, name in (("trial-balance", "at"), ("journals", "from"), ("export", "to")):
        answer = await gateway.operator.send("GET", f"/v1/ledger/{path}", **{name: value})
        assert answer.status_code == 422, answer.text
        assert name in str(answer.json()["errors"])


@pytest.mark.parametrize("value", TIMES)
async def test_a_time_may_have_any_offset_and_fraction(gateway: Gateway, value: str) -> None:
    await gateway.operator.ok("GET", "/v1/ledger/trial-balance", at=value)


@pytest.mark.parametrize("value", NO_DAYS)
async def test_what_is_no_day_is_refused(gateway: Gateway, value: str) -> None:
    answer = await gateway.operator.send("GET", "/v1/tax-rates", on=value)
    assert answer.status_code == 422, answer.text


async def test_a_day_is_written_out(gateway: Gateway) -> None:
    await gateway.operator.ok("GET", "/v1/tax-rates", on="2026-11-23")

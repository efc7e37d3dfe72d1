"""Closing and opening periods of the ledger over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.queries import ledger
from tests.api.callers import Gateway
from tests.ledger.books import fee

NOW = datetime.now(UTC)


def month(back: int) -> str:
    """The id of the month so many before the present one."""
    count = NOW.year * 12 + NOW.month - 1 - back
    return f"{count // 12}-{count % 12 + 1:02d}"


@pytest.fixture(scope="module", autouse=True)
async def entries(gateway: Gateway) -> None:
    """An entry five months ago, and one now."""
    for at in (datetime.fromisoformat(f"{month(5)}-15T12:00:00Z"), NOW):
        async with gateway.services.database.transaction() as session:
            await ledger.post(session, [fee()], order_id=None, effective_at=at)


async def change(gateway: Gateway, period: str, action: str, **body: Any) -> Any:
    return await gateway.operator.ok("POST", f"/v1/ledger/periods/{period}/{action}", body)


async def refused(gateway: Gateway, period: str, action: str, **body: Any) -> tuple[int, str]:
    return await gateway.operator.refused("POST", f"/v1/ledger/periods/{period}/{action}", body)


async def test_a_close_is_seen_and_soft_ones_are_undone(gateway: Gateway) -> None:
    closed = await change(gateway, month(4), "close", kind="soft", reason="books of the quarter")
    assert closed == closed | {
        "id": month(4),
        "status": "soft_closed",
        "changed_by": gateway.operator.user_id,
        "reason": "books of the quarter",
        "entries": 0,
        "starts_at": f"{month(4)}-01T00:00:00Z",
        "ends_at": f"{month(3)}-01T00:00:00Z",
    }
    page = await gateway.operator.ok("GET", "/v1/ledger/periods", limit=4)
    rest = await gateway.operator.ok("GET", "/v1/ledger/periods", cursor=page["next_cursor"])
    found = [(row["id"], row["status"], row["entries"]) for row in page["data"] + rest["data"]]
    assert found == [
        (month(0), "open", 1),
        (month(1), "open", 0),
        (month(2), "open", 0),
        (month(3), "open", 0),
        (month(4), "soft_closed", 0),
        (month(5), "soft_closed", 1),
    ]
    assert rest["next_cursor"] is None
    opened = await change(gateway, month(5), "reopen", reason="a late invoice")
    assert (opened["status"], opened["reason"]) == ("open", "a late invoice")


async def test_what_is_closed_for_good_stays_closed(gateway: Gateway) -> None:
    assert (await change(gateway, month(5), "close", kind="hard"))["status"] == "closed"
    assert await refused(gateway, month(5), "close", kind="soft") == (409, "period_closed")
    assert await refused(gateway, month(5), "reopen", reason="please") == (409, "period_closed")
    assert (await change(gateway, month(5), "close", kind="hard"))["status"] == "closed"


async def test_what_can_not_be_closed_is_refused(gateway: Gateway) -> None:
    assert await refused(gateway, month(0), "close", kind="soft") == (409, "period_not_over")
    for unknown in (month(6), month(-1), "2026-13", "march", "2026-1", "1999-01", "2026-01-01"):
        assert await refused(gateway, unknown, "close", kind="soft") == (404, "not_found"), unknown
    for body in ({}, {"kind": "gently"}, {"kind": "soft", "more": 1}):
        assert await refused(gateway, month(1), "close", **body) == (422, "invalid_request")
    assert await refused(gateway, month(1), "reopen") == (422, "invalid_request")
    for cursor in ("x", "WyJ4Il0", "WzFd", "e30"):
        answer = await gateway.operator.refused("GET", "/v1/ledger/periods", cursor=cursor)
        assert answer == (422, "invalid_cursor"), cursor


async def test_periods_are_operators_business(gateway: Gateway) -> None:
    for role in ("learner", "instructor", "service"):
        caller = await gateway.person(role)
        assert await caller.refused("GET", "/v1/ledger/periods") == (403, "forbidden")
        path = f"/v1/ledger/periods/{month(1)}/close"
        assert await caller.refused("POST", path, {"kind": "soft"}) == (403, "forbidden")


async def test_a_fact_of_a_closed_month_says_both_dates(gateway: Gateway) -> None:
    await change(gateway, month(5), "close", kind="hard")
    then = datetime.fromisoformat(f"{month(5)}-20T12:00:00Z")
    draft = fee()
    async with gateway.services.database.transaction() as session:
        await ledger.post(session, [draft], order_id=None, effective_at=then)
    page = await gateway.operator.ok("GET", "/v1/ledger/journals", account="5020")
    (entry,) = [entry for entry in page["data"] if entry["event_key"] == draft.event_key]
    assert datetime.fromisoformat(entry["occurred_at"]) == then
    assert entry["effective_at"] == f"{month(4)}-01T00:00:00Z"
    assert (entry["operator_id"], entry["position"]) == (None, None)
    end_of_month = datetime.fromisoformat(f"{month(4)}-01T00:00:00Z") - timedelta(seconds=1)
    balance = await gateway.operator.ok("GET", "/v1/ledger/trial-balance", at=end_of_month.isoformat())
    assert [row["amount"] for row in balance["accounts"] if row["account"] == "5020"] == [30]
    then_known = await gateway.operator.ok(
        "GET", "/v1/ledger/trial-balance", recorded_at=(NOW - timedelta(days=1)).isoformat()
    )
    assert then_known["accounts"] == []


async def test_accounts_come_page_by_page(gateway: Gateway) -> None:
    found: list[tuple[str, str]] = []
    params: dict[str, Any] = {"limit": 1}
    while True:
        page = await gateway.operator.ok("GET", "/v1/ledger/accounts", **params)
        found += [(row["account"], row["currency"]) for row in page["data"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert found == sorted(found)
    assert ("1010", "USD") in found
    assert ("5020", "USD") in found
    only = await gateway.operator.ok("GET", "/v1/ledger/accounts", account="5020")
    assert {row["account"] for row in only["data"]} == {"5020"}

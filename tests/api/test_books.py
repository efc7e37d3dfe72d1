"""The ledger as operators read it, and earnings as instructors do."""

import asyncio
import json
import os
import uuid
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from cli import app
from domain.ledger import Account, EntryDraft, EntryKind, Posting
from models.queries import ledger
from tests.api.callers import Caller, Gateway, usd

NOW = datetime.now(UTC).replace(microsecond=0)
CLEARING, DEFERRED, TAX = Account.PROCESSOR_CLEARING, Account.DEFERRED_REVENUE, Account.TAX_PAYABLE
FEES = Account.PROCESSOR_FEES


async def post(
    gateway: Gateway, *sides: tuple[Account, str | None, int], order_id: str | None = None, days_ago: int = 0
) -> str:
    """One entry; its event key."""
    key = f"test:{uuid.uuid4()}"
    postings = tuple(Posting(account, sub, "USD", amount) for account, sub, amount in sides)
    draft = EntryDraft(EntryKind.PAYMENT_CAPTURED, key, postings)
    async with gateway.services.database.transaction() as session:
        await ledger.post(session, [draft], order_id=order_id, effective_at=NOW - timedelta(days=days_ago))
    return key


async def sold(gateway: Gateway, order_id: str, *, days_ago: int = 0) -> str:
    """A captured payment of 119 dollars."""
    return await post(
        gateway,
        (CLEARING, None, 11_900),
        (DEFERRED, order_id, -10_000),
        (TAX, "DE", -1900),
        order_id=order_id,
        days_ago=days_ago,
    )


async def keys(gateway: Gateway, **params: Any) -> list[str]:
    """The event keys of all pages, in order."""
    found: list[str] = []
    while True:
        page = await gateway.operator.ok("GET", "/v1/ledger/journals", limit=2, **params)
        found += [entry["event_key"] for entry in page["data"]]
        if page["next_cursor"] is None:
            return found
        params["cursor"] = page["next_cursor"]


async def test_an_entry_shows_its_postings(gateway: Gateway) -> None:
    order_id = str(uuid.uuid4())
    key = await sold(gateway, order_id)
    page = await gateway.operator.ok("GET", "/v1/ledger/journals", order_id=order_id)
    entry = page["data"][0]
    assert set(entry) == {
        "id", "event_key", "kind", "occurred_at", "effective_at", "recorded_at", "order_id", "reverses",
        "operator_id", "position", "postings"
    }  # fmt: skip
    assert (entry["event_key"], entry["kind"], entry["order_id"]) == (key, "payment_captured", order_id)
    assert datetime.fromisoformat(entry["effective_at"]) == NOW
    assert entry["postings"] == [
        {"account": "1010", "sub": None, "currency": "USD", "amount": 11_900},
        {"account": "2110", "sub": order_id, "currency": "USD", "amount": -10_000},
        {"account": "2120", "sub": "DE", "currency": "USD", "amount": -1900},
    ]


async def test_journals_are_narrowed_by_order_account_and_time(gateway: Gateway) -> None:
    order_id = str(uuid.uuid4())
    old, older = await sold(gateway, order_id, days_ago=1), await sold(gateway, order_id, days_ago=2)
    fee = await post(gateway, (FEES, None, 30), (CLEARING, None, -30), order_id=order_id)
    assert await keys(gateway, order_id=order_id) == [fee, older, old]
    assert await keys(gateway, order_id=order_id, account="5020") == [fee]
    assert await keys(gateway, order_id=order_id, account="9999") == []
    yesterday = (NOW - timedelta(days=1)).isoformat()
    assert await keys(gateway, order_id=order_id, **{"from": yesterday}) == [fee, old]
    assert await keys(gateway, order_id=order_id, to=yesterday) == [older]
    assert await keys(gateway, order_id=str(uuid.uuid4())) == []


async def test_all_journals_come_page_by_page(gateway: Gateway) -> None:
    made = [await sold(gateway, str(uuid.uuid4())) for _ in range(5)]
    found = await keys(gateway)
    assert found[:5] == made[::-1]
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    "params", [{"account": "cash"}, {"from": "yesterday"}, {"to": "2026-01-01"}, {"account": "10101"}]
)
async def test_filters_out_of_form_are_refused(gateway: Gateway, params: dict[str, str]) -> None:
    refusal = await gateway.operator.refused("GET", "/v1/ledger/journals", **params)
    assert refusal == (422, "invalid_request")


async def test_balances_sum_to_zero_and_go_back_in_time(gateway: Gateway) -> None:
    order_id = str(uuid.uuid4())
    before = await gateway.operator.ok("GET", "/v1/ledger/trial-balance")
    await sold(gateway, order_id, days_ago=100)
    await post(gateway, (FEES, None, 70), (CLEARING, None, -70), order_id=order_id)
    after = await gateway.operator.ok("GET", "/v1/ledger/trial-balance")
    sums: dict[str, int] = defaultdict(int)
    for account in after["accounts"]:
        sums[account["currency"]] += account["amount"]
    assert set(sums.values()) == {0}

    def amount(balance: Any, code: str) -> int:
        return sum(row["amount"] for row in balance["accounts"] if row["account"] == code)

    assert amount(after, "1010") - amount(before, "1010") == 11_830
    then = (NOW - timedelta(days=50)).isoformat()
    middle = await gateway.operator.ok("GET", "/v1/ledger/trial-balance", at=then)
    assert (amount(middle, "1010"), amount(middle, "5020")) == (11_900, 0)
    start = await gateway.operator.ok("GET", "/v1/ledger/trial-balance", at="2000-01-01T00:00:00Z")
    assert start["accounts"] == []
    accounts = (await gateway.operator.ok("GET", "/v1/ledger/accounts", sub=order_id))["data"]
    assert accounts == [
        {"account": "2110", "name": "Deferred revenue", "sub": order_id, "currency": "USD", "amount": -10_000}
    ]


async def test_the_ledger_is_operators_business(gateway: Gateway) -> None:
    for role in ("learner", "instructor", "service"):
        caller = await gateway.person(role)
        for path in ("journals", "accounts", "trial-balance", "export", "periods"):
            assert await caller.refused("GET", f"/v1/ledger/{path}") == (403, "forbidden")


async def earned(gateway: Gateway, payees: list[dict[str, Any]], *, course: str, held: bool) -> None:
    """An order line whose payees stand like this, still within the hold or past it."""
    learner = await gateway.person()
    item = await gateway.nobody().ok("GET", f"/v1/catalog/items/{course}")
    async with gateway.services.database.transaction() as session:
        await session.execute(
            text(
                "WITH cart AS (INSERT INTO cart (user_id, open) VALUES (:u, false) RETURNING id), "
                "o AS (INSERT INTO orders (id, number, user_id, cart_id, currency, subtotal, discount, tax, "
                "total, expires_at) SELECT uuidv7(), gen_random_uuid()::text, :u, id, 'USD', 0, 0, 0, 0, "
                "now() FROM cart RETURNING id) "
                "INSERT INTO order_line (order_id, ordinal, item_id, title, lms_course_id, unit_price, "
                "list_net, discount_net, net, tax, gross, recognition, refund_window_days, hold_seconds, "
                "accrued_at, ledger) SELECT id, 1, :item, 't', :course, 0, 0, 0, 0, 0, 0, 'on_grant', 0, "
                ":hold, now() - interval '1 hour', CAST(:ledger AS jsonb) FROM o"
            ),
            {
                "u": learner.user_id,
                "item": item["id"],
                "course": course,
                "hold": 7200 if held else 1800,
                "ledger": json.dumps({"payees": payees}),
            },
        )


def stands(payee: Caller, accrued: int, released: int, held_back: int, clawed_back: int) -> dict[str, Any]:
    return {
        "payee": f"lms:{payee.lms_user_id}",
        "accrued": accrued,
        "released": released,
        "reversed_held": held_back,
        "reversed_released": clawed_back,
    }


async def test_instructors_see_their_own_earnings_by_course(gateway: Gateway) -> None:
    ann, ben, new = [await gateway.person("instructor") for _ in range(3)]
    both = [stands(ann, 700, 0, 100, 0), stands(ben, 200, 0, 0, 0)]
    await earned(gateway, both, course="python-101", held=True)
    await earned(gateway, [stands(ann, 500, 0, 50, 0)], course="python-101", held=False)
    await earned(gateway, [stands(ann, 300, 300, 0, 40)], course="data-science", held=False)
    assert await ann.ok("GET", "/v1/earnings") == {
        "payee_ref": f"lms:{ann.lms_user_id}",
        "data": [
            {
                "course_id": "data-science",
                "currency": "USD",
                "accrued": usd(300),
                "held": usd(0),
                "releasable": usd(0),
                "released": usd(300),
                "reversed": usd(40),
            },
            {
                "course_id": "python-101",
                "currency": "USD",
                "accrued": usd(1200),
                "held": usd(1050),
                "releasable": usd(450),
                "released": usd(0),
                "reversed": usd(150),
            },
        ],
        "balances": [],
    }
    assert [row["accrued"] for row in (await ben.ok("GET", "/v1/earnings"))["data"]] == [usd(200)]
    assert (await new.ok("GET", "/v1/earnings"))["data"] == []


async def test_who_teaches_nothing_has_no_earnings_page(gateway: Gateway) -> None:
    for role in ("learner", "service"):
        caller = await gateway.person(role)
        for path in ("/v1/earnings", "/v1/earnings/entries", "/v1/earnings/payouts"):
            assert await caller.refused("GET", path) == (403, "forbidden")
    assert await gateway.nobody().refused("GET", "/v1/earnings") == (401, "unauthenticated")


async def test_the_ledger_is_exported_as_text(gateway: Gateway) -> None:
    key = await sold(gateway, str(uuid.uuid4()))
    for form, kind in (("csv", "text/csv"), ("beancount", "text/plain"), ("ledger", "text/plain")):
        answer = await gateway.operator.send("GET", "/v1/ledger/export", format=form)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert key in answer.text
    until = (NOW - timedelta(days=40)).isoformat()
    assert key not in (await gateway.operator.send("GET", "/v1/ledger/export", to=until)).text
    for wrong in ({"format": "xlsx"}, {"from": "yesterday"}):
        assert await gateway.operator.refused("GET", "/v1/ledger/export", **wrong) == (422, "invalid_request")
    learner = await gateway.person()
    assert await learner.refused("GET", "/v1/ledger/export") == (403, "forbidden")


async def test_the_command_exports_the_same(
    gateway: Gateway, environment: dict[str, str], tmp_path: Path
) -> None:
    await sold(gateway, str(uuid.uuid4()))
    since = (NOW - timedelta(days=30)).replace(tzinfo=None)
    served = await gateway.operator.send(
        "GET", "/v1/ledger/export", format="beancount", **{"from": since.isoformat() + "Z"}
    )
    target = tmp_path / "books.beancount"
    arguments = ["ledger", "export", "--from", since.isoformat(), "--format", "beancount"]
    run = partial(CliRunner().invoke, app, env=os.environ | environment)
    to_file = await asyncio.to_thread(run, [*arguments, "--output", str(target)])
    assert to_file.exit_code == 0, to_file.output
    assert target.read_text(encoding="utf-8") == served.text
    printed = await asyncio.to_thread(run, arguments)
    assert printed.stdout == served.text
    wrong = await asyncio.to_thread(run, ["ledger", "export", "--format", "xlsx"])
    assert wrong.exit_code == 2
    for anchor in ("head", "1:abc", ":" + "0" * 64):
        wrong = await asyncio.to_thread(run, ["verify", "--anchor", anchor])
        assert wrong.exit_code == 2, anchor

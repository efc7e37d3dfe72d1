"""Every list of the OpenAPI document: its limit, its cursor, its pages while rows come in, its filters.

Lists are found in the document: a new one fails here until `ROWS` says how a row of it comes about, and a
new filter until `FILTERS` says what it lets through.
"""

import re
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from api.openapi import product_routes
from domain.ledger import Account
from tests.api.callers import Gateway
from tests.api.test_books import post
from tests.api.test_reservations import order_of

NOBODY = "00000000-0000-7000-8000-000000000000"
LISTS = {
    str(route.operation_id): route.path
    for route in product_routes()
    if {"limit", "cursor"}
    <= {
        parameter.alias
        for part in (route.dependant, *route.dependant.dependencies)
        for parameter in part.query_params
    }
}
# Answers that are lists and have no pages: few rows, by nature.
SHORT = {"find_users", "list_documents", "get_order_timeline", "get_earnings"}


class World:
    """What rows hang on, by name, for one gateway."""

    def __init__(self, gateway: Gateway, names: dict[str, str]) -> None:
        self.gateway, self.names = gateway, names

    async def insert(self, table: str, **values: Any) -> str:
        """The id of a new row; a value `@name` is one of the world's."""
        given = {
            name: self.names[value[1:]] if isinstance(value, str) and value.startswith("@") else value
            for name, value in values.items()
        }
        columns, marks = ", ".join(given), ", ".join(f":{name}" for name in given)
        statement = f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING id"
        async with self.gateway.services.database.transaction() as session:
            if "id" in given and given["id"] is None:
                given["id"] = (await session.execute(text("SELECT uuidv7()"))).scalar_one()
            return str((await session.execute(text(statement), given)).scalar_one())

    async def made(self, path: str, body: dict[str, Any]) -> str:
        """The id of what an operator made over the API."""
        return str((await self.gateway.operator.ok("POST", path, body))["id"])

    async def order(self) -> str:
        async with self.gateway.services.database.transaction() as session:
            return await order_of(session, self.names["user"])

    async def payment(self) -> str:
        order = await self.order()
        return await self.insert(
            "payment", order_id=order, attempt=1, status="created", amount=100, currency="USD"
        )

    async def line(self) -> str:
        zero = dict.fromkeys(
            ("ordinal", "unit_price", "list_net", "discount_net", "net", "tax", "gross", "hold_seconds"), 0
        )
        return await self.insert(
            "order_line",
            order_id=await self.order(),
            item_id="@item",
            title="T",
            lms_course_id="c",
            recognition="on_completion",
            refund_window_days=14,
            **zero,
        )

    async def entry(self, days_ago: int = 0) -> str:
        """The id of a journal entry that gives the user store credit."""
        sides = (
            (Account.PROCESSOR_CLEARING, None, 100),
            (Account.STORE_CREDIT, self.names["user"], -100),
        )
        key = await post(self.gateway, *sides, order_id=self.names["order"], days_ago=days_ago)
        async with self.gateway.services.database.transaction() as session:
            found = await session.execute(
                text("SELECT id FROM journal_entry WHERE event_key = :key"), {"key": key}
            )
            return str(found.scalar_one())

    async def event(self) -> str:
        return await self.insert(
            "outbound_event",
            event_key=uuid.uuid4().hex,
            type="earning.accrued",
            stream=uuid.uuid4().hex,
            stream_seq=1,
            data=(
                '{"payee_ref": "lms:lists", "course_id": "c-lists", "currency": "USD", "amount": 5, '
                '"order_id": "o", "line_id": "l"}'
            ),
        )

    async def payout(self) -> str:
        unique = uuid.uuid4().hex
        async with self.gateway.services.database.transaction() as session:
            inbox = await session.execute(
                text(
                    "INSERT INTO inbound_event (source, event_id, type, payload) "
                    "VALUES ('payout', :id, 'payout.settled', '{}') RETURNING id"
                ),
                {"id": unique},
            )
            inbox_id = str(inbox.scalar_one())
        return await self.insert(
            "payout_settlement",
            payout_id=unique,
            payee_ref="lms:lists",
            currency="USD",
            amount=5,
            excess=0,
            journal_entry_id=await self.entry(),
            inbox_id=inbox_id,
        )

    async def account(self) -> str:
        """The sub of an account that has a balance."""
        sub = uuid.uuid4().hex
        await post(self.gateway, (Account.TAX_PAYABLE, sub, -5), (Account.PROCESSOR_CLEARING, None, 5))
        return sub

    async def tax_rate(self) -> str:
        first = (datetime.now(UTC) + timedelta(days=next(self._days))).date()
        body = {"country": "ZW", "rate_ppm": 5, "valid_from": first.isoformat(), "source": "of a test"}
        return await self.made("/v1/tax-rates", body)

    _days = iter(range(1, 100))


Row = Callable[[World], Awaitable[str]]


def _name() -> str:
    return f"l-{uuid.uuid4().hex[:12]}"


async def _resolution(world: World) -> str:
    return await world.insert(
        "resolution",
        line_id=await world.line(),
        lms_course_id="c",
        cause="run_cancelled",
        reason="r",
        state="withdrawn",
        run_change_id="@run_change",
    )


async def _delivery(world: World) -> str:
    return await world.insert("webhook_delivery", endpoint_id="@endpoint_id", event_id=await world.event())


async def _erasure(world: World) -> str:
    person = (await world.gateway.person()).user_id
    return await world.insert("person_erasure", id=None, user_id=person, source="operator")


ROWS: dict[str, Row] = {
    "list_erasures": _erasure,
    "list_items": lambda w: w.made(
        "/v1/catalog/items",
        {
            "slug": _name(),
            "type": "registration",
            "title": "Of lists",
            "lms_course_id": "c",
            "prices": [{"amount": 5, "currency": "NOK"}],
            "tax_code": "t",
            "capacity": 5,
        },
    ),
    "list_run_changes": lambda w: w.insert(
        "run_change",
        id=None,
        item_id="@item",
        kind="cancelled",
        reason="of a test",
        deadline=datetime.now(UTC),
        requested_by="@user",
    ),
    "list_promotions": lambda w: w.made(
        "/v1/promotions", {"code": _name(), "kind": "percent", "percent_bp": 5}
    ),
    "list_orders": World.order,
    "list_refunds": lambda w: w.insert(
        "refund",
        id=None,
        order_id="@order",
        payment_id="@payment",
        kind="goodwill",
        amount=5,
        currency="USD",
        reason="r",
    ),
    "list_resolutions": _resolution,
    "list_disputes": lambda w: w.insert(
        "dispute",
        provider_id=_name(),
        order_id="@order",
        payment_id="@payment",
        amount=5,
        currency="USD",
        reason="general",
        status="won",
        state="won",
        suspended_lines="[]",
    ),
    "list_store_credit_entries": World.entry,
    "list_payments": World.payment,
    "list_entitlements": lambda w: w.insert("entitlement", user_id="@user", lms_course_id=_name()),
    "list_tax_rates": World.tax_rate,
    "list_split_rules": lambda w: w.made(
        "/v1/split-rules",
        {
            "scope": {"channel": _name()},
            "valid_from": "2040-01-01T00:00:00Z",
            "shares": [{"payee": "lms:102", "bps": 5000}],
        },
    ),
    "list_affiliates": lambda w: w.made("/v1/affiliates", {"code": _name(), "payee_ref": "aff:1"}),
    "list_earning_entries": World.event,
    "list_payouts": World.payout,
    "list_corrections": lambda w: w.insert(
        "payee_correction",
        id=None,
        kind="write_off",
        payee_ref="lms:lists",
        currency="USD",
        amount=5,
        reason="r",
        requested_by="@user",
    ),
    "list_journals": World.entry,
    "list_accounts": World.account,
    "list_reconciliation_runs": lambda w: w.insert(
        "reconciliation_run",
        id=None,
        workflow_id=_name(),
        period_from=datetime.now(UTC),
        period_to=datetime.now(UTC),
    ),
    "list_reconciliation_differences": lambda w: w.insert(
        "reconciliation_difference",
        kind="amount_aged",
        subject=_name(),
        currency="USD",
        expected=0,
        found=0,
        detail="d",
        state="accepted",
        run_id="@run",
    ),
    "list_webhook_endpoints": lambda w: w.made(
        "/v1/webhook-endpoints", {"url": "https://receiver.example/", "event_types": []}
    ),
    "list_webhook_deliveries": _delivery,
    "list_tasks": lambda w: w.insert(
        "operator_task", task_key=_name(), kind="completion_taken_back", user_id="@user", what="w"
    ),
    "list_audit_entries": lambda w: w.insert(
        "audit_entry",
        actor_kind="command",
        actor_id="lists",
        action="of_a_test",
        request_id="r-lists",
        objects=["o-lists"],
    ),
}
# Months are there once each, and stand as they are: tests/api/test_periods.py.
BY_NATURE = {"list_periods"}
# What the list is asked with, where it would not be answered, or be long, without.
ALWAYS = {
    "list_store_credit_entries": {"user_id": "{user}"},
    "list_earning_entries": {"payee": "lms:lists"},
    "list_tax_rates": {"country": "ZW"},
    "list_accounts": {"account": Account.TAX_PAYABLE.value},
    "list_audit_entries": {"action": "of_a_test"},
}
TODAY, LONG_AGO, FAR = datetime.now(UTC).date(), "2001-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
MINE = {"user_id": ("{user}", NOBODY)}
# Of each filter a value that lets the rows of ROWS through, and one that does not.
FILTERS: dict[str, dict[str, tuple[str, str]]] = {
    "list_erasures": {"open": ("true", "false")},
    "list_items": {
        "type": ("registration", "course"),
        "q": ("of LISTS", "of cats"),
        "currency": ("NOK", "SEK"),
    },
    "list_run_changes": {"item_id": ("{item}", NOBODY)},
    "list_orders": {"status": ("pending_payment", "paid"), **MINE},
    "list_refunds": {"status": ("pending", "failed")},
    "list_resolutions": {"state": ("withdrawn", "open"), "run_change_id": ("{run_change}", NOBODY), **MINE},
    "list_disputes": {"state": ("won", "lost")},
    "list_store_credit_entries": MINE,
    "list_payments": MINE,
    "list_entitlements": MINE,
    "list_tax_rates": {"country": ("ZW", "DE"), "on": (str(TODAY + timedelta(days=50)), str(TODAY))},
    "list_earning_entries": {
        "payee": ("lms:lists", "lms:102"),
        "course_id": ("c-lists", "c"),
        "currency": ("USD", "EUR"),
    },
    "list_payouts": {"payee": ("lms:lists", "lms:102")},
    "list_corrections": {"payee": ("lms:lists", "lms:102")},
    "list_journals": {
        "order_id": ("{order}", NOBODY),
        "account": (Account.STORE_CREDIT.value, Account.TAX_PAYABLE.value),
        "from": (LONG_AGO, FAR),
        "to": (FAR, LONG_AGO),
    },
    "list_accounts": {"account": (Account.TAX_PAYABLE.value, "1000")},
    "list_reconciliation_differences": {
        "state": ("accepted", "open"),
        "kind": ("amount_aged", "cash_differs"),
        "run_id": ("{run}", NOBODY),
    },
    "list_webhook_deliveries": {"status": ("pending", "delivered")},
    "list_tasks": {
        "status": ("open", "closed"),
        "kind": ("completion_taken_back", "merged_payee"),
    },
    "list_audit_entries": {
        "actor_id": ("lists", "others"),
        "action": ("of_a_test", "other"),
        "object_id": ("o-lists", "others"),
        "request_id": ("r-lists", "others"),
    },
}
ELSEWHERE = {("list_accounts", "sub")}  # each row of ROWS has its own: tests/api/test_books.py


@pytest.fixture(scope="module")
async def world(gateway: Gateway) -> World:
    made = World(gateway, {"user": (await gateway.person()).user_id})
    made.names["item"] = (await gateway.item())["id"]
    made.names["order"] = await made.order()
    made.names["payment"] = await made.payment()
    for name, maker in (
        ("run", "list_reconciliation_runs"),
        ("run_change", "list_run_changes"),
        ("endpoint_id", "list_webhook_endpoints"),
    ):
        made.names[name] = await ROWS[maker](made)
    return made


@pytest.fixture(scope="module")
async def document(gateway: Gateway) -> dict[str, Any]:
    found: dict[str, Any] = await gateway.nobody().ok("GET", "/openapi.json")
    return found


def test_every_list_has_pages_and_every_filter_a_test(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    lists, filters = set(), set()
    for path in document["paths"].values():
        operation = path.get("get")
        answer = (operation or {}).get("responses", {}).get("200", {}).get("content", {})
        name = answer.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        if "data" not in schemas.get(name, {}).get("properties", {}):
            continue
        lists.add(operation["operationId"])
        queries = {found["name"] for found in operation["parameters"] if found["in"] == "query"}
        filters |= {(operation["operationId"], query) for query in queries - {"limit", "cursor"}}
        if operation["operationId"] not in SHORT:
            assert "next_cursor" in schemas[name]["properties"]
            assert {"limit", "cursor"} <= queries
    assert lists - SHORT == set(LISTS) == set(ROWS) | BY_NATURE
    tried = {(name, filtered) for name, given in FILTERS.items() for filtered in given}
    assert {found for found in filters if found[0] not in SHORT} == tried | ELSEWHERE


GARBAGE = {
    "limit": ("0", "101", "-1", "1e1", "1.5", "x", "", "99999999999999999999"),
    "cursor": ("x", "", "%", "AAAA", "bnVsbA", "W10", "A" * 22 + "????", "A" * 23, "ä", "A" * 5000, "\x00"),
}


@pytest.mark.parametrize("name", LISTS)
async def test_a_limit_or_cursor_that_is_none_is_refused(world: World, name: str) -> None:
    operator, path = world.gateway.operator, LISTS[name].format_map(world.names)
    always = {key: value.format_map(world.names) for key, value in ALWAYS.get(name, {}).items()}
    for parameter, values in GARBAGE.items():
        for value in values:
            answer = await operator.send("GET", path, **always, **{parameter: value})
            assert answer.status_code == 422, (parameter, value, answer.text)
            assert answer.json()["code"] in ("invalid_request", "invalid_cursor")
    for limit in ("1", "100"):
        assert len((await operator.ok("GET", path, **always, limit=limit))["data"]) <= int(limit)


async def ids(world: World, name: str, cursor: str | None = None, limit: int = 100, **params: str) -> Any:
    """Ids of a page, and its next cursor."""
    given = ALWAYS.get(name, {}) | params
    asked = {key: value.format_map(world.names) for key, value in given.items()}
    page = await world.gateway.operator.ok(
        "GET",
        LISTS[name].format_map(world.names),
        limit=limit,
        **asked,
        **({} if cursor is None else {"cursor": cursor}),
    )
    return [row["id"] if "id" in row else row["sub"] for row in page["data"]], page["next_cursor"]


@pytest.mark.parametrize("name", ROWS)
async def test_pages_show_each_row_once_newest_first_while_rows_come_in(world: World, name: str) -> None:
    before = [await ROWS[name](world) for _ in range(3)]
    seen, cursor = await ids(world, name, limit=1)
    late = await ROWS[name](world)
    while cursor is not None:
        found, cursor = await ids(world, name, cursor, limit=1)
        seen += found
        assert len(seen) < 100
    everything, rest = await ids(world, name)
    assert (len(set(seen)), rest) == (len(seen), None)
    assert set(before) <= set(seen)
    if name == "list_accounts":
        assert everything == sorted(everything)
        return
    assert everything == [late, *seen]
    assert seen[:3] == before[::-1]
    assert re.fullmatch(r"[0-9a-f-]{36}", late)


@pytest.mark.parametrize("name", FILTERS)
async def test_a_filter_lets_through_what_it_says(world: World, name: str) -> None:
    row = await ROWS[name](world)
    for filtered, (mine, others) in FILTERS[name].items():
        assert row in (await ids(world, name, **{filtered: mine}))[0], filtered
        assert row not in (await ids(world, name, **{filtered: others}))[0], filtered


async def test_a_learners_filter_is_no_way_to_others(world: World) -> None:
    """It is passed over: the list is the caller's own in any case."""
    learner = await world.gateway.person()
    for name in ("list_orders", "list_payments", "list_entitlements", "list_resolutions"):
        await ROWS[name](world)
        page = await learner.ok("GET", LISTS[name], user_id=world.names["user"])
        assert page == {"data": [], "next_cursor": None}, name

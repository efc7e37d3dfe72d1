"""Split rules as operators keep them, and trying one out."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.callers import Gateway, usd

SHARES = [{"payee": "lms:102", "bps": 5000}, {"payee": "lms:103", "bps": 2000}]


def version(**changes: Any) -> dict[str, Any]:
    return {"scope": {}, "valid_from": "2040-01-01T00:00:00Z", "shares": SHARES} | changes


async def test_a_rule_is_made_listed_and_found_by_its_item(gateway: Gateway) -> None:
    course = await gateway.item()
    body = version(
        scope={"item_id": course["id"]},
        valid_from="2020-01-01T00:00:00Z",
        fixed=[{"payee": "lms:7", "amount": 100}],
        affiliate={"payee": "aff:1", "bps": 500},
        guarantee={"payee": "lms:102", "amount": 3000},
        contractual_fee={"bps": 290, "fixed": 30},
    )
    answer = await gateway.operator.send("POST", "/v1/split-rules", body)
    assert answer.status_code == 201
    made = answer.json()
    assert made["scope"] == {"item_id": course["id"], "channel": None, "payee": None}
    assert made["rule"] == {
        "shares": [{"payee": "lms:102", "bps": 5000, "min": 3000}, {"payee": "lms:103", "bps": 2000}],
        "fixed": [{"payee": "lms:7", "amount": 100}],
        "off_top": [{"payee": "aff:1", "bps": 500}],
        "fee_bps": 290,
        "fee_fixed": 30,
    }
    assert (await gateway.operator.ok("GET", "/v1/split-rules", limit=1))["data"] == [made]
    shown = await gateway.operator.ok("GET", f"/v1/catalog/items/{course['id']}")
    assert shown["payees"] == ["aff:1", "lms:7", "lms:102", "lms:103"]


async def test_versions_of_one_scope_do_not_overlap(gateway: Gateway) -> None:
    course = await gateway.item()
    scope = {"item_id": course["id"]}
    first = version(scope=scope, valid_from="2030-01-01T00:00:00Z", valid_to="2031-01-01T00:00:00Z")
    key = str(uuid.uuid4())
    made = await gateway.operator.ok("POST", "/v1/split-rules", first, key=key)
    assert await gateway.operator.ok("POST", "/v1/split-rules", first, key=key) == made
    overlap = (409, "split_rule_overlap")
    assert await gateway.operator.refused("POST", "/v1/split-rules", first) == overlap
    until_ever = version(scope=scope, valid_from="2030-12-31T23:00:00-01:00")
    await gateway.operator.ok("POST", "/v1/split-rules", until_ever)
    earlier = version(scope=scope, valid_from="2029-01-01T00:00:00Z")
    assert await gateway.operator.refused("POST", "/v1/split-rules", earlier) == overlap
    await gateway.operator.ok("POST", "/v1/split-rules", earlier | {"priority": 1})
    await gateway.operator.ok("POST", "/v1/split-rules", earlier | {"scope": scope | {"channel": "web"}})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"shares": [{"payee": "a", "bps": 6000}, {"payee": "b", "bps": 5000}]}, "split_rule_invalid"),
        ({"shares": [{"payee": "a", "bps": 10_001}]}, "invalid_request"),
        ({"shares": [{"payee": "a", "bps": -1}]}, "invalid_request"),
        ({"shares": [{"payee": "platform", "bps": 100}]}, "split_rule_invalid"),
        ({"shares": [{"payee": "", "bps": 100}]}, "invalid_request"),
        ({"shares": [{"payee": "a\x00", "bps": 100}]}, "invalid_request"),
        ({"fixed": [{"payee": "a", "amount": -5}]}, "invalid_request"),
        ({"guarantee": {"payee": "nobody", "amount": 5}}, "split_rule_invalid"),
        ({"tiers": {"payee": "lms:102", "tiers": [{"upto": 5, "bps": 1}, {"upto": 5, "bps": 2}]}},
         "split_rule_invalid"),
        ({"valid_to": "2040-01-01T00:00:00Z"}, "split_rule_invalid"),
        ({"valid_from": "2040-01-01"}, "invalid_request"),
        ({"scope": {"course": "x"}}, "invalid_request"),
        ({"rule": {}}, "invalid_request"),
    ],
)  # fmt: skip
async def test_a_rule_that_can_not_be_is_refused(gateway: Gateway, change: dict[str, Any], code: str) -> None:
    body = version(scope={"channel": uuid.uuid4().hex}) | change
    assert await gateway.operator.refused("POST", "/v1/split-rules", body) == (422, code)


async def test_a_rule_for_an_unknown_item_is_refused(gateway: Gateway) -> None:
    for item_id in (str(uuid.uuid4()), "nothing"):
        body = version(scope={"item_id": item_id})
        assert await gateway.operator.refused("POST", "/v1/split-rules", body) == (404, "not_found")


def rows(simulation: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(row["kind"], row["payee"], row["amount"]["amount"]) for row in simulation["rows"]]


async def test_a_sale_is_simulated_by_the_rule_in_force(gateway: Gateway) -> None:
    item = await gateway.nobody().ok("GET", "/v1/catalog/items/data-science")
    path = "/v1/split-rules/simulate"
    found = await gateway.operator.ok("POST", path, {"amount": usd(10_001), "item_id": item["id"]})
    assert rows(found) == [
        ("share", "lms:102", 5001), ("share", "lms:103", 2000), ("platform", "platform", 3000),
    ]  # fmt: skip
    default = await gateway.operator.ok("POST", path, {"amount": usd(1000)})
    assert rows(default) == [("share", "lms:102", 700), ("platform", "platform", 300)]
    assert default["rule_id"] not in {None, found["rule_id"]}
    long_ago = await gateway.operator.ok("POST", path, {"amount": usd(1000), "at": "2001-01-01T00:00:00Z"})
    assert (rows(long_ago), long_ago["rule_id"]) == ([("platform", "platform", 1000)], None)


async def test_a_rule_is_tried_out_before_it_is_made(gateway: Gateway) -> None:
    before = await gateway.operator.ok("GET", "/v1/split-rules", limit=100)
    rule = {
        "shares": SHARES,
        "fixed": [{"payee": "lms:7", "amount": 100}],
        "affiliate": {"payee": "aff:1", "bps": 1000},
        "guarantee": {"payee": "lms:103", "amount": 1700},
        "contractual_fee": {"bps": 0, "fixed": 1000},
    }
    body = {"amount": usd(10_000), "rule": rule}
    found = await gateway.operator.ok("POST", "/v1/split-rules/simulate", body)
    assert found["basis"] == usd(9000)
    assert rows(found) == [
        ("off_top", "aff:1", 900),
        ("fixed", "lms:7", 100),
        ("share", "lms:102", 4000),
        ("share", "lms:103", 1700),
        ("platform", "platform", 2300),
    ]
    assert sum(amount for _, _, amount in rows(found)) == 9000
    assert await gateway.operator.ok("GET", "/v1/split-rules", limit=100) == before
    refused = body | {"rule": {"shares": [{"payee": "a", "bps": 9000}, {"payee": "b", "bps": 9000}]}}
    refusal = await gateway.operator.refused("POST", "/v1/split-rules/simulate", refused)
    assert refusal == (422, "split_rule_invalid")


async def test_split_rules_are_operators_business(gateway: Gateway) -> None:
    for role in ("learner", "instructor", "service"):
        caller = await gateway.person(role)
        assert await caller.refused("GET", "/v1/split-rules") == (403, "forbidden")
        assert await caller.refused("POST", "/v1/split-rules", version()) == (403, "forbidden")
        refusal = await caller.refused("POST", "/v1/split-rules/simulate", {"amount": usd(1)})
        assert refusal == (403, "forbidden")


async def test_a_rule_that_begins_tomorrow_holds_from_then(gateway: Gateway) -> None:
    course = await gateway.item()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    body = version(scope={"item_id": course["id"]}, valid_from=tomorrow.isoformat())
    made = await gateway.operator.ok("POST", "/v1/split-rules", body)
    path, sale = "/v1/split-rules/simulate", {"amount": usd(100), "item_id": course["id"]}
    assert (await gateway.operator.ok("POST", path, sale))["rule_id"] != made["id"]
    found = await gateway.operator.ok("POST", path, sale | {"at": tomorrow.isoformat()})
    assert found["rule_id"] == made["id"]

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
    assert made["scope"] == {
        "order_line_id": None, "item_id": course["id"], "channel": None, "payee": None, "currency": None,
    }  # fmt: skip
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
        ({"fixed": [{"payee": "a", "amount": 5}, {"payee": "a", "amount": 6}]}, "invalid_request"),
        ({"shares": [{"payee": "a", "bps": 5}, {"payee": "a", "bps": 6}]}, "invalid_request"),
        ({"affiliate": {"bps": 10_001}}, "invalid_request"),
        ({"scope": {"currency": "XXX"}}, "unknown_currency"),
        ({"scope": {"order_line_id": str(uuid.uuid4()), "channel": "web"}}, "invalid_request"),
        ({"hold_days": -1}, "invalid_request"),
        ({"release": "at_once"}, "invalid_request"),
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


async def test_a_rule_for_something_unknown_is_refused(gateway: Gateway) -> None:
    before = await gateway.operator.ok("GET", "/v1/split-rules", limit=100)
    for member in ("item_id", "order_line_id"):
        for nothing in (str(uuid.uuid4()), "nothing"):
            body = version(scope={member: nothing})
            assert await gateway.operator.refused("POST", "/v1/split-rules", body) == (404, "not_found")
    assert await gateway.operator.ok("GET", "/v1/split-rules", limit=100) == before


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


async def test_the_most_specific_scope_wins_then_the_priority(gateway: Gateway) -> None:
    """Item and channel, item, instructor, platform."""
    first, second, channel = (f"x-{uuid.uuid4().hex[:8]}" for _ in range(3))
    course = await gateway.item(payees=[first, second])
    item = {"item_id": course["id"]}
    sale = {"amount": usd(100), **item, "channel": channel}

    async def rule(scope: dict[str, Any], **more: Any) -> str:
        body = version(scope=scope, valid_from="2020-01-01T00:00:00Z", **more)
        made = await gateway.operator.ok("POST", "/v1/split-rules", body)
        return str(made["id"])

    async def chosen(**changes: Any) -> str | None:
        found = await gateway.operator.ok("POST", "/v1/split-rules/simulate", sale | changes)
        rule_id: str | None = found["rule_id"]
        return rule_id

    default = await chosen()
    of_channel = await rule({"channel": channel})
    assert await chosen() == of_channel
    of_second = await rule({"payee": second})
    assert await chosen() == of_second
    of_first = await rule({"payee": first})
    assert await chosen() == of_first
    of_item = await rule(item)
    assert await chosen() == of_item
    assert await chosen(channel="elsewhere") == of_item
    both = await rule(item | {"channel": channel})
    assert await chosen() == both
    assert await chosen(channel="elsewhere") == of_item
    in_dollars = await rule(item | {"channel": channel, "currency": "USD"})
    assert await chosen() == in_dollars
    assert await chosen(amount={"amount": 100, "currency": "JPY"}) == both
    urgent = await rule(item | {"channel": channel, "currency": "USD"}, priority=5)
    assert await chosen() == urgent
    await rule({"channel": channel}, priority=50)
    assert await chosen() == urgent, "no priority lifts a rule over a more specific scope"
    other = await gateway.item()
    assert await chosen(item_id=other["id"], channel="elsewhere") == default


async def test_rules_that_differ_by_currency_do_not_overlap(gateway: Gateway) -> None:
    scope = {"channel": uuid.uuid4().hex}
    for currency in (None, "USD", "JPY"):
        await gateway.operator.ok("POST", "/v1/split-rules", version(scope=scope | {"currency": currency}))
    again = version(scope=scope | {"currency": "JPY"})
    refusal = await gateway.operator.refused("POST", "/v1/split-rules", again)
    assert refusal == (409, "split_rule_overlap")


async def test_a_bundle_has_no_rule_of_its_own(gateway: Gateway) -> None:
    bundle = await gateway.nobody().ok("GET", "/v1/catalog/items/career-bundle")
    body = version(scope={"item_id": bundle["id"]})
    refusal = await gateway.operator.refused("POST", "/v1/split-rules", body)
    assert refusal == (422, "split_rule_invalid")


async def test_whoever_brought_the_sale_is_paid_off_the_top(gateway: Gateway) -> None:
    course = await gateway.item()
    body = version(
        scope={"item_id": course["id"]},
        valid_from="2020-01-01T00:00:00Z",
        affiliate={"bps": 1000},
        hold_days=7,
        release="on_completion",
    )
    made = await gateway.operator.ok("POST", "/v1/split-rules", body)
    assert (made["affiliate_bps"], made["hold_days"], made["release"]) == (1000, 7, "on_completion")
    assert "off_top" not in made["rule"]
    sale = {"amount": usd(10_000), "item_id": course["id"]}
    path = "/v1/split-rules/simulate"
    brought = await gateway.operator.ok("POST", path, sale | {"affiliate": "aff:9"})
    assert rows(brought)[:2] == [("off_top", "aff:9", 1000), ("share", "lms:102", 4500)]
    assert rows(await gateway.operator.ok("POST", path, sale))[0] == ("share", "lms:102", 5000)


async def test_affiliates_have_codes_that_checkout_takes(gateway: Gateway) -> None:
    code = f"partner-{uuid.uuid4().hex[:8]}"
    learner = await gateway.person()
    checkout = {"billing_address": {"country": "US", "state": "NY"}, "channel": "web", "affiliate": code}
    unknown = (422, "affiliate_unknown")
    assert await learner.refused("POST", "/v1/checkout", checkout) == unknown
    body = {"code": code, "payee_ref": "aff:9"}
    made = await gateway.operator.ok("POST", "/v1/affiliates", body)
    assert (made["code"], made["payee_ref"], made["active"]) == (code, "aff:9", True)
    assert await gateway.operator.refused("POST", "/v1/affiliates", body) == (409, "code_taken")
    assert (await gateway.operator.ok("GET", "/v1/affiliates", limit=1))["data"] == [made]
    assert await learner.refused("POST", "/v1/checkout", checkout) == (409, "cart_empty")
    path = f"/v1/affiliates/{made['id']}"
    assert (await gateway.operator.ok("PATCH", path, {"active": False}))["active"] is False
    assert await learner.refused("POST", "/v1/checkout", checkout) == unknown
    own = {"code": f"own-{uuid.uuid4().hex[:8]}", "payee_ref": f"lms:{learner.lms_user_id}"}
    await gateway.operator.ok("POST", "/v1/affiliates", own)
    mine = checkout | {"affiliate": own["code"]}
    assert await learner.refused("POST", "/v1/checkout", mine) == unknown
    assert await learner.refused("POST", "/v1/affiliates", body) == (403, "forbidden")
    assert await learner.refused("GET", "/v1/affiliates") == (403, "forbidden")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"from": "2030-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z"},
        {"amount": usd(1), "from": "2030-01-01T00:00:00Z"},
        {"order_ids": []},
        {"from": "2030-01-01T00:00:00Z", "affiliate": "a"},
    ],
)
async def test_a_simulation_has_one_subject(gateway: Gateway, body: dict[str, Any]) -> None:
    refusal = await gateway.operator.refused("POST", "/v1/split-rules/simulate", body)
    assert refusal == (422, "invalid_request")


async def test_nothing_is_simulated_where_nothing_was_sold(gateway: Gateway) -> None:
    body = {"from": "2001-01-01T00:00:00Z", "to": "2002-01-01T00:00:00Z", "rule": {"shares": SHARES}}
    found = await gateway.operator.ok("POST", "/v1/split-rules/simulate", body)
    unknown = {"order_ids": [str(uuid.uuid4())]}
    refusal = await gateway.operator.refused("POST", "/v1/split-rules/simulate", unknown)
    assert refusal == (404, "not_found")
    assert found["orders"] == {"line_count": 0, "not_accrued": 0, "totals": [], "lines": []}


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

"""Promotion codes as operators keep them."""

import uuid
from typing import Any

import pytest

from tests.api.callers import Gateway, usd

BASE: dict[str, Any] = {"code": "NEVER-MADE", "kind": "percent", "percent_bp": 1000}
FIXED: dict[str, Any] = {
    "code": "NEVER-MADE", "kind": "fixed", "percent_bp": None, "amount_off": 500, "currency": "USD",
}  # fmt: skip


async def test_a_promotion_is_made_read_and_listed(gateway: Gateway) -> None:
    course = await gateway.item()
    code = f"spring-{uuid.uuid4().hex[:8]}"
    body = {
        **FIXED,
        "code": code,
        "item_ids": [course["id"]],
        "min_subtotal": 1000,
        "usage_limit": 5,
        "usage_limit_per_user": 1,
        "first_purchase_only": True,
        "funding": "platform",
        "ends_at": "2100-01-01T00:00:00Z",
    }
    answer = await gateway.operator.send("POST", "/v1/promotions", body)
    assert answer.status_code == 201
    made = answer.json()
    assert made == made | {**body, "code": code.upper(), "uses": 0, "active": True}
    read = await gateway.operator.send("GET", f"/v1/promotions/{made['id']}")
    assert (read.json(), read.headers["ETag"]) == (made, answer.headers["ETag"])
    page = await gateway.operator.ok("GET", "/v1/promotions", limit=1)
    assert page["data"] == [made]
    following = await gateway.operator.ok("GET", "/v1/promotions", limit=1, cursor=page["next_cursor"])
    assert following["data"][0]["id"] < made["id"]


@pytest.mark.parametrize(
    "body",
    [
        BASE | {"percent_bp": 0},
        BASE | {"percent_bp": 10_001},
        BASE | {"percent_bp": None},
        BASE | {"amount_off": 5},
        BASE | {"kind": "gift"},
        BASE | {"uses": 3},
        BASE | {"code": "WITH SPACE"},
        BASE | {"code": ""},
        BASE | {"currency": "usd"},
        BASE | {"usage_limit": -1},
        BASE | {"usage_limit": 2**31},
        BASE | {"item_ids": ["no id"]},
        BASE | {"item_ids": [str(uuid.uuid4())]},
        BASE | {"starts_at": "2030-01-01T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z"},
        FIXED | {"currency": None},
        FIXED | {"amount_off": 0},
        FIXED | {"percent_bp": 5},
    ],
)
async def test_a_promotion_out_of_form_is_refused(gateway: Gateway, body: dict[str, Any]) -> None:
    assert await gateway.operator.refused("POST", "/v1/promotions", body) == (422, "invalid_request")


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00Z"]
)
async def test_the_ends_of_time_are_no_server_error(gateway: Gateway, moment: str) -> None:
    body = BASE | {"code": f"T-{uuid.uuid4().hex}", "starts_at": moment}
    answer = await gateway.operator.send("POST", "/v1/promotions", body)
    assert answer.status_code in {201, 422}, answer.text
    listed = await gateway.operator.send("GET", "/v1/promotions")
    assert listed.status_code == 200


async def test_a_code_is_taken_once_whatever_its_case(gateway: Gateway) -> None:
    promotion = await gateway.promotion()
    again = BASE | {"code": promotion["code"].lower()}
    assert await gateway.operator.refused("POST", "/v1/promotions", again) == (409, "code_taken")


async def test_limits_dates_scope_and_activity_change(gateway: Gateway) -> None:
    course = await gateway.item()
    promotion = await gateway.promotion(usage_limit=5)
    path = f"/v1/promotions/{promotion['id']}"
    change = {
        "usage_limit": None,
        "usage_limit_per_user": 2,
        "ends_at": "2100-01-01T00:00:00Z",
        "item_ids": [course["id"]],
        "active": False,
        "priority": None,
    }
    changed = await gateway.operator.ok("PATCH", path, change)
    assert changed == promotion | change | {"priority": 0}
    for refused in ({"percent_bp": 1}, {"code": "OTHER"}, {"item_ids": [str(uuid.uuid4())]}):
        assert (await gateway.operator.refused("PATCH", path, refused))[0] == 422
    late = {"starts_at": "2101-01-01T00:00:00Z"}
    assert await gateway.operator.refused("PATCH", path, late) == (422, "invalid_request")
    assert await gateway.operator.ok("GET", path) == changed


async def test_a_stale_change_is_refused(gateway: Gateway) -> None:
    promotion = await gateway.promotion()
    path = f"/v1/promotions/{promotion['id']}"
    tag = (await gateway.operator.send("GET", path)).headers["ETag"]
    first = await gateway.operator.send("PATCH", path, {"usage_limit": 1}, headers={"If-Match": tag})
    assert first.status_code == 200
    refusal = await gateway.operator.refused("PATCH", path, {"usage_limit": 2}, headers={"If-Match": tag})
    assert refusal == (412, "precondition_failed")


async def test_promotions_are_operators_business(gateway: Gateway) -> None:
    promotion = await gateway.promotion()
    for role in ("learner", "instructor", "service"):
        caller = await gateway.person(role)
        assert await caller.refused("GET", "/v1/promotions") == (403, "forbidden")
        assert await caller.refused("GET", f"/v1/promotions/{promotion['id']}") == (403, "forbidden")
        assert await caller.refused("POST", "/v1/promotions", BASE) == (403, "forbidden")
    assert await gateway.nobody().refused("GET", "/v1/promotions") == (401, "unauthenticated")
    assert await gateway.operator.refused("GET", "/v1/promotions/nothing") == (404, "not_found")


async def cart_after(gateway: Gateway, promotion: dict[str, Any], *prices: int) -> Any:
    """The cart of a learner with new courses at these prices and the code."""
    learner = await gateway.person()
    for price in prices:
        await learner.add((await gateway.item(prices=[usd(price)]))["slug"])
    return await learner.ok("PUT", "/v1/cart/promo", {"code": promotion["code"].lower()})


@pytest.mark.parametrize(
    ("terms", "prices", "discount"),
    [
        ({"percent_bp": 1000}, (9905,), 991),
        ({"percent_bp": 10_000}, (9900, 100), 10_000),
        ({"percent_bp": 5000, "max_discount": 700}, (9900, 100), 700),
        ({**FIXED}, (9900, 100), 500),
        ({**FIXED, "amount_off": 20_000}, (9900,), 9900),
    ],
)
async def test_what_a_promotion_takes_off(
    gateway: Gateway, terms: dict[str, Any], prices: tuple[int, ...], discount: int
) -> None:
    promotion = await gateway.promotion(**{**terms, "code": f"D-{uuid.uuid4().hex[:8]}"})
    totals = (await cart_after(gateway, promotion, *prices))["totals"]
    assert totals["discount"] == usd(discount)
    assert totals["total"] == usd(sum(prices) - discount)

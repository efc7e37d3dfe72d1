"""Promotions at checkout: several, who pays for them, and those that no longer fit."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devstack.shopper import ApiProblem, Shopper, wait_for
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean


async def promotion(operator: Shopper, **terms: Any) -> dict[str, Any]:
    body = {"code": f"E-{uuid.uuid4().hex[:10].upper()}", "kind": "percent", "percent_bp": 1000} | terms
    made: dict[str, Any] = await operator.call("POST", "/v1/promotions", body)
    return made


async def uses(operator: Shopper, *promotions: dict[str, Any]) -> list[int]:
    found = [await operator.call("GET", f"/v1/promotions/{one['id']}") for one in promotions]
    return [int(one["uses"]) for one in found]


async def test_stacked_codes_are_reserved_released_and_consumed_together(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    shared = await promotion(operator, stackable=True, usage_limit=1)
    platform = await promotion(operator, stackable=True, usage_limit=1, funding="platform")
    await learner.add("python-101")
    for one in (shared, platform):
        await learner.promo(one["code"])
    answer = await learner.checkout()
    # 99 dollars, 10 % off, and 10 % of what is left.
    assert answer["order"]["discount"]["amount"] == 990 + 891
    assert answer["order"]["promo_codes"] == [shared["code"], platform["code"]]
    assert await uses(operator, shared, platform) == [1, 1]
    await learner.call("POST", f"/v1/orders/{answer['order']['id']}/cancel", {})
    assert await uses(operator, shared, platform) == [0, 0]
    cart = await learner.call("GET", "/v1/cart")
    assert cart["promo_codes"] == [shared["code"], platform["code"]]
    answer = await learner.checkout()
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    order = await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    states = await shop.query("SELECT state FROM promotion_use WHERE order_id = %s", order["id"])
    assert [row["state"] for row in states] == ["consumed", "consumed"]
    # Payees earn as if the platform's code did not exist: 70 % of 99 less 9.90, by the shared one alone.
    await shop.lms.complete(learner.user["lms_user_id"], "python-101")
    (earned,) = await wait_for(
        lambda: shop.query(
            "SELECT data FROM outbound_event WHERE type = 'earning.accrued' AND data->>'order_id' = %s",
            order["id"],
        ),
        bool,
        what="the earning",
    )
    percents = {shared["id"]: "shared", platform["id"]: "platform"}
    first = percents[min(percents)]  # same priority, same kind: by id
    funded = 891 if first == "shared" else 990
    net = order["subtotal"]["amount"] - order["discount"]["amount"]
    assert earned["data"]["basis_amount"] == net + funded
    assert earned["data"]["amount"] == (net + funded) * 7 // 10
    await assert_clean(shop.stack)


@pytest.mark.parametrize(
    ("change", "status", "code", "reason"),
    [
        (
            {"ends_at": (datetime.now(UTC) - timedelta(minutes=1)).isoformat()},
            422,
            "promo_invalid",
            "expired",
        ),
        ({"active": False}, 422, "promo_invalid", "unknown"),
        ({"min_subtotal": 9901}, 422, "promo_invalid", "below_minimum"),
        ({"usage_limit": 0}, 409, "promo_used_up", None),
    ],
)
async def test_a_code_that_no_longer_fits_is_refused_and_nothing_written(
    shop: Shop, change: dict[str, Any], status: int, code: str, reason: str | None
) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    good = await promotion(operator, stackable=True)
    changed = await promotion(operator, stackable=True)
    await learner.add("python-101")
    for one in (good, changed):
        await learner.promo(one["code"])
    await operator.call("PATCH", f"/v1/promotions/{changed['id']}", change)
    with pytest.raises(ApiProblem) as caught:
        await learner.checkout()
    problem = caught.value.problem
    assert (caught.value.status, caught.value.code, problem.get("reason")) == (status, code, reason)
    assert changed["code"] in problem["detail"]
    assert (await learner.call("GET", "/v1/orders"))["data"] == []
    assert len((await learner.call("GET", "/v1/cart"))["lines"]) == 1
    assert await uses(operator, good, changed) == [0, 0]
    await learner.call("DELETE", f"/v1/cart/promo?code={changed['code']}", None)
    assert (await learner.checkout())["order"]["discount"]["amount"] == 990

"""Several promotion codes on one cart: who may stand beside whom, and what they take off together."""

import uuid
from typing import Any

from tests.api.callers import Caller, Gateway, usd


async def buyer(gateway: Gateway, *prices: int) -> Caller:
    learner = await gateway.person()
    for amount in prices:
        await learner.add((await gateway.item(prices=[usd(amount)]))["slug"])
    return learner


async def put(learner: Caller, *promotions: Any) -> Any:
    cart = None
    for promotion in promotions:
        cart = await learner.ok("PUT", "/v1/cart/promo", {"code": promotion["code"]})
    return cart


def fixed(amount: int, **more: Any) -> dict[str, Any]:
    return {"kind": "fixed", "percent_bp": None, "amount_off": amount, "currency": "USD", **more}


async def test_a_code_takes_the_place_of_another_by_default(gateway: Gateway) -> None:
    learner = await buyer(gateway, 10_000)
    alone, stackable = await gateway.promotion(), await gateway.promotion(percent_bp=2000, stackable=True)
    for first, second in ((alone, stackable), (stackable, alone), (alone, alone)):
        cart = await put(learner, first, second)
        assert (cart["promo_code"], cart["promo_codes"]) == (second["code"], [second["code"]])


async def test_stackable_ones_stand_together_percent_before_fixed(gateway: Gateway) -> None:
    """10 % of 100 dollars, then 20 off; in any order of typing."""
    percent = await gateway.promotion(stackable=True)
    off = await gateway.promotion(**fixed(2000, stackable=True))
    for order in ((percent, off), (off, percent)):
        learner = await buyer(gateway, 10_000)
        cart = await put(learner, *order, order[0])
        assert cart["promo_codes"] == [promotion["code"] for promotion in order]
        assert cart["promo_code"] == order[0]["code"]
        assert (cart["totals"]["discount"], cart["totals"]["total"]) == (usd(3000), usd(7000))


async def test_priority_goes_before_kind(gateway: Gateway) -> None:
    """20 off first: 10 % of 80 dollars is 8."""
    percent = await gateway.promotion(stackable=True, priority=5)
    off = await gateway.promotion(**fixed(2000, stackable=True, priority=-5))
    cart = await put(await buyer(gateway, 10_000), percent, off)
    assert cart["totals"]["discount"] == usd(2800)


async def test_together_they_take_no_more_than_there_is(gateway: Gateway) -> None:
    whole = await gateway.promotion(stackable=True, percent_bp=10_000)
    off = await gateway.promotion(**fixed(500, stackable=True))
    cart = await put(await buyer(gateway, 9900, 1), whole, off)
    assert (cart["totals"]["discount"], cart["totals"]["total"]) == (usd(9901), usd(0))


async def test_one_code_is_taken_off_or_all(gateway: Gateway) -> None:
    first, second = await gateway.promotion(stackable=True), await gateway.promotion(stackable=True)
    learner = await buyer(gateway, 10_000)
    await put(learner, first, second)
    cart = await learner.ok("DELETE", "/v1/cart/promo", code=first["code"].lower())
    assert (cart["promo_codes"], cart["totals"]["discount"]) == ([second["code"]], usd(1000))
    assert (await learner.ok("DELETE", "/v1/cart/promo", code="NOBODY"))["promo_codes"] == [second["code"]]
    await put(learner, first)
    assert (await learner.ok("DELETE", "/v1/cart/promo"))["promo_codes"] == []


async def test_a_code_that_does_not_apply_leaves_the_others(gateway: Gateway) -> None:
    first = await gateway.promotion(stackable=True)
    dear = await gateway.promotion(stackable=True, min_subtotal=10_001)
    learner = await buyer(gateway, 10_000)
    await put(learner, first)
    answer = await learner.send("PUT", "/v1/cart/promo", {"code": dear["code"]})
    assert (answer.status_code, answer.json()["reason"]) == (422, "below_minimum")
    assert (await learner.ok("GET", "/v1/cart"))["promo_codes"] == [first["code"]]


async def test_what_no_longer_stacks_is_a_problem_of_the_cart(gateway: Gateway) -> None:
    first, second = await gateway.promotion(stackable=True), await gateway.promotion(stackable=True)
    learner = await buyer(gateway, 10_000)
    await put(learner, first, second)
    await gateway.operator.ok("PATCH", f"/v1/promotions/{second['id']}", {"stackable": False})
    cart = await learner.ok("GET", "/v1/cart")
    assert [(p["code"], p["reason"]) for p in cart["problems"]] == [("promo_invalid", "not_applicable")]
    assert second["code"] in cart["problems"][0]["detail"]
    assert cart["totals"]["discount"] == usd(1000)


async def test_codes_have_an_end(gateway: Gateway) -> None:
    learner = await buyer(gateway, 10_000)
    ten = [await gateway.promotion(stackable=True, percent_bp=1) for _ in range(10)]
    await put(learner, *ten)
    more = await gateway.promotion(stackable=True, code=f"M-{uuid.uuid4().hex[:8]}")
    answer = await learner.send("PUT", "/v1/cart/promo", {"code": more["code"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "promo_invalid")

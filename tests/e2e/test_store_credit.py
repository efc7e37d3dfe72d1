"""Store credit over HTTP: given, reserved, spent, given back; and raced for."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from devstack.shopper import US_ADDRESS, ApiProblem, Shopper, wait_for
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean

ROUNDS = 3
CALLERS = 32


async def give(shop: Shop, learner: Shopper, amount: int) -> None:
    operator = await shop.operator()
    body = {
        "user_id": learner.user["id"],
        "amount": {"amount": amount, "currency": "USD"},
        "reason": "welcome back",
    }
    granted = await operator.call("POST", "/v1/store-credit/grants", body)
    assert granted["amount"] == body["amount"]


async def credit(learner: Shopper) -> tuple[int, int]:
    """(balance, reserved) in USD."""
    balances = (await learner.call("GET", "/v1/store-credit"))["balances"]
    found = next((b for b in balances if b["currency"] == "USD"), None)
    return (0, 0) if found is None else (found["balance"]["amount"], found["reserved"]["amount"])


async def refunded(shop: Shop, order: dict[str, Any], amount: int | None = None) -> dict[str, Any]:
    operator = await shop.operator()
    asked = {} if amount is None else {"amount": {"amount": amount, "currency": "USD"}}
    made = await operator.refund(order["id"], **asked)
    found = await wait_for(
        lambda: operator.order(order["id"]),
        lambda o: next(r for r in o["refunds"] if r["id"] == made["id"])["status"] == "succeeded",
        what="the refund",
    )
    refund: dict[str, Any] = next(r for r in found["refunds"] if r["id"] == made["id"])
    return refund


async def test_credit_pays_a_part_and_a_refund_goes_to_the_card_first(shop: Shop) -> None:
    learner = await shop.learner()
    await give(shop, learner, 1500)
    await learner.add("python-101")
    quote = await learner.call(
        "POST", "/v1/checkout/quote", {"billing_address": US_ADDRESS, "use_store_credit": True}
    )
    total = quote["totals"]["total"]["amount"]
    assert (quote["store_credit"]["amount"], quote["due"]["amount"]) == (1500, total - 1500)
    answer = await learner.checkout(use_store_credit=True, expected_due=quote["due"])
    order = answer["order"]
    assert order["tax"] == quote["totals"]["tax"], "credit is tender: it lowers no tax"
    assert (order["store_credit"], order["amount_due"]) == (quote["store_credit"], quote["due"])
    assert await credit(learner) == (1500, 1500)
    intent = answer["payment"]["payment_intent_id"]
    assert (await shop.stripe.confirm(intent, "pm_card_visa"))["amount"] == total - 1500
    order = await learner.wait_for_status(order["id"], "fulfilled")
    assert order["amount_paid"]["amount"] == total
    assert await credit(learner) == (0, 0)
    await assert_clean(shop.stack)

    card = total - 1500
    first = await refunded(shop, order, card - 100)
    assert first["store_credit"]["amount"] == 0
    second = await refunded(shop, order, 300)
    assert second["store_credit"]["amount"] == 200
    assert await credit(learner) == (200, 0)
    last = await refunded(shop, order)
    assert (last["amount"]["amount"], last["store_credit"]["amount"]) == (1300, 1300)
    assert await credit(learner) == (1500, 0)
    assert (await learner.order(order["id"]))["status"] == "refunded"
    await assert_clean(shop.stack)


async def test_credit_that_covers_all_needs_no_processor(shop: Shop) -> None:
    learner = await shop.learner()
    await give(shop, learner, 100_000)
    answer = await shop.place(learner, use_store_credit=True)
    assert answer["payment"] is None
    order = await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    total = order["total"]["amount"]
    assert order["payments"] == []
    assert (order["amount_due"]["amount"], order["amount_paid"]["amount"]) == (0, total)
    assert await credit(learner) == (100_000 - total, 0)
    refund = await refunded(shop, order)
    assert refund["store_credit"]["amount"] == total
    assert await credit(learner) == (100_000, 0)
    await wait_for(
        lambda: learner.order(order["id"]),
        lambda o: o["entitlements"][0]["status"] == "revoked",
        what="the revocation",
    )
    await assert_clean(shop.stack)


async def test_a_rest_that_no_card_can_pay_takes_less_credit(shop: Shop) -> None:
    learner = await shop.learner()
    await learner.add("python-101")
    total = (await learner.call("POST", "/v1/checkout/quote", {"billing_address": US_ADDRESS}))["totals"]
    await give(shop, learner, total["total"]["amount"] - 20)
    answer = await learner.checkout(use_store_credit=True)
    assert answer["order"]["amount_due"]["amount"] == 50
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    assert await credit(learner) == (30, 0)


async def test_a_canceled_order_gives_its_credit_free_and_an_expected_rest_is_kept_to(shop: Shop) -> None:
    learner = await shop.learner()
    await give(shop, learner, 1000)
    answer = await shop.place(learner, use_store_credit=True)
    due = answer["order"]["amount_due"]
    assert await credit(learner) == (1000, 1000)
    await learner.add("web-design")
    with pytest.raises(ApiProblem) as refused:
        await learner.checkout(use_store_credit=True, expected_due=due)
    assert refused.value.code == "price_changed"
    assert refused.value.problem["quote"]["store_credit"]["amount"] == 0
    await learner.call("POST", f"/v1/orders/{answer['order']['id']}/cancel", {})
    assert await credit(learner) == (1000, 0)


async def test_only_operators_give_and_read_the_credit_of_others(shop: Shop) -> None:
    learner, other = await shop.learner(), await shop.learner()
    await give(shop, other, 100)
    answer = await learner.send("GET", f"/v1/store-credit?user_id={other.user['id']}")
    assert answer.status_code == 404
    answer = await learner.send("GET", f"/v1/store-credit/entries?user_id={other.user['id']}")
    assert answer.status_code == 404
    body = {"user_id": learner.user["id"], "amount": {"amount": 100, "currency": "USD"}, "reason": "me"}
    assert (await learner.send("POST", "/v1/store-credit/grants", body)).status_code == 403
    operator = await shop.operator()
    read = await operator.call("GET", f"/v1/store-credit?user_id={other.user['id']}")
    assert read["balances"][0]["available"]["amount"] == 100


async def test_of_checkouts_that_race_for_the_same_credit_one_reserves_it(shop: Shop) -> None:
    """Two tabs have the same cart, so only one of them gets as far as the credit."""
    learner = await shop.learner()
    await give(shop, learner, 1000)

    async def outcome() -> str:
        body = {"billing_address": US_ADDRESS, "use_store_credit": True}
        answer = await learner.insist("POST", "/v1/checkout", body)
        if answer.status_code == 201:
            return str(answer.json()["order"]["id"])
        return str(answer.json()["code"])

    await learner.add("python-101")
    for _ in range(ROUNDS):
        found = Counter(await asyncio.gather(*(outcome() for _ in range(CALLERS))))
        (order_id,) = found.keys() - {"cart_empty"}
        assert found == {"cart_empty": CALLERS - 1, order_id: 1}
        assert await credit(learner) == (1000, 1000)
        await learner.call("POST", f"/v1/orders/{order_id}/cancel", {})
        assert await credit(learner) == (1000, 0)

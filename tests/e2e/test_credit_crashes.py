"""The worker is killed in the middle: credit is given once, spent once, and comes back once."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from devstack.shopper import US_ADDRESS, ApiProblem, Shopper, wait_for
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean
from tests.e2e.test_store_credit import credit, give

# Between the caller's request and the end of the last step.
MOMENT_SECONDS = 0.04


async def until_answered(
    caller: Shopper, method: str, path: str, body: dict[str, Any], reason: str | None = None
) -> dict[str, Any]:
    """What a front end does: the same key again until there is an answer."""
    key = str(uuid.uuid4())
    for _ in range(100):
        response = await caller.send(method, path, body, key=key, reason=reason)
        if response.status_code < 400:
            answer: dict[str, Any] = response.json()
            return answer
        problem = ApiProblem(response)
        if problem.status != 503 and problem.code != "idempotency_key_in_use":
            raise problem
        await asyncio.sleep(0.2)
    raise AssertionError(f"{path} never answered")


async def with_a_kill(shop: Shop, asked: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """The answer, although the worker died on the way."""
    asking = asyncio.ensure_future(asked)
    await asyncio.sleep(MOMENT_SECONDS)
    await shop.stack.kill("worker")
    await shop.stack.restart("worker")
    return await asking


async def test_credit_is_given_and_spent_once(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    body = {
        "user_id": learner.user["id"],
        "amount": {"amount": 100_000, "currency": "USD"},
        "reason": "once",
    }
    await with_a_kill(shop, until_answered(operator, "POST", "/v1/store-credit/grants", body))
    assert await credit(learner) == (100_000, 0)
    await learner.add("python-101")
    checkout = {"billing_address": US_ADDRESS, "use_store_credit": True}
    answer = await with_a_kill(shop, until_answered(learner, "POST", "/v1/checkout", checkout))
    order = await learner.wait_for_status(answer["order"]["id"], "fulfilled", seconds=60)
    assert answer["payment"] is None
    assert await credit(learner) == (100_000 - order["total"]["amount"], 0)
    await assert_clean(shop.stack)


async def test_a_refund_to_card_and_credit_survives_every_step(shop: Shop) -> None:
    """Killed after the reservation, and after the processor did it and its answer was lost.

    The first try is cut: the worker dies before the second.
    """
    learner, operator = await shop.learner(), await shop.operator()
    await give(shop, learner, 1500)
    answer = await shop.place(learner, use_store_credit=True)
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    order = await learner.wait_for_status(answer["order"]["id"], "fulfilled")

    async def refunds() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await learner.order(order["id"]))["refunds"]
        return found

    card = order["amount_due"]["amount"]
    kills: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: shop.stripe.fault("POST", "/v1/refunds", "cut_before", count=1),
        lambda: shop.stripe.fault("POST", "/v1/refunds", "cut_after", count=1),
    )
    for prepare, amount in zip(kills, (card - 500, 900), strict=True):
        await prepare()
        body = {"amount": {"amount": amount, "currency": "USD"}, "reason": "partly"}
        await until_answered(operator, "POST", f"/v1/orders/{order['id']}/refunds", body)
        await shop.stack.kill("worker")
        await shop.stack.restart("worker")
        await wait_for(
            refunds,
            lambda found: {r["status"] for r in found} == {"succeeded"},
            what="the refund",
            seconds=60,
        )
    assert [r["store_credit"]["amount"] for r in sorted(await refunds(), key=lambda r: r["created_at"])] == [
        0,
        400,
    ]
    assert await credit(learner) == (400, 0)
    await assert_clean(shop.stack)

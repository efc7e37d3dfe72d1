"""Raced through HTTP and workflows: the last seat, the last use of a promotion, one winner each."""

import asyncio
import uuid
from collections import Counter

from devstack.shopper import US_ADDRESS, Shopper
from tests.e2e.conftest import Shop

ROUNDS = 3
CALLERS = 32


async def outcome(shopper: Shopper) -> str:
    """The code of a checkout; a front end repeats what it was told to repeat."""
    answer = await shopper.insist("POST", "/v1/checkout", {"billing_address": US_ADDRESS})
    return "won" if answer.status_code == 201 else str(answer.json()["code"])


async def test_the_last_seat_is_sold_once(shop: Shop) -> None:
    operator = await shop.operator()
    learners = [await shop.learner() for _ in range(CALLERS)]
    for _ in range(ROUNDS):
        slug = await shop.seat(operator, capacity=1, course=f"seminar-{uuid.uuid4().hex[:8]}")
        for learner in learners:
            await learner.add(slug)
        outcomes = Counter(await asyncio.gather(*(outcome(learner) for learner in learners)))
        assert outcomes == {"won": 1, "sold_out": CALLERS - 1}
        assert (await operator.item(slug))["seats_left"] == 0
        for learner in learners:
            for line in (await learner.call("GET", "/v1/cart"))["lines"]:
                await learner.call("DELETE", f"/v1/cart/items/{line['id']}")


async def test_the_last_use_of_a_promotion_goes_to_one(shop: Shop) -> None:
    operator = await shop.operator()
    for _ in range(ROUNDS):
        code = f"LAST{uuid.uuid4().hex[:8]}".upper()
        await operator.call(
            "POST",
            "/v1/promotions",
            {"code": code, "kind": "percent", "percent_bp": 5000, "usage_limit": 1},
        )
        learners = [await shop.learner() for _ in range(CALLERS // 2)]
        for learner in learners:
            await learner.add("python-101")
            await learner.promo(code)
        outcomes = Counter(await asyncio.gather(*(outcome(learner) for learner in learners)))
        assert outcomes == {"won": 1, "promo_used_up": len(learners) - 1}

"""Refunds race the grants of their orders over HTTP: never access without payment, never payment without
access or refund."""

import asyncio
import random
import time
from typing import Any

from devstack.lms_standin.faults import Kind
from devstack.shopper import US_ADDRESS, Shopper, wait_for
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean

COURSE = "python-101"
BUYERS = 16
# What happens to the grant, and for how many seconds: beyond the first heartbeat of its activity, beyond the
# time-out of its request, or when nobody waits for it any more.
TROUBLES: tuple[tuple[Kind | None, float, float], ...] = (
    (None, 0, 0),
    ("latency", 0.1, 1),
    ("latency", 3, 4.5),
    ("latency", 5.5, 8),
    ("timeout_after_effect", 6, 8),
    ("cut_before_effect", 3, 8),
    ("error_after_effect", 0, 0),
)


async def story(
    shop: Shop, operator: Shopper, chance: random.Random, paid: asyncio.Semaphore, *, keeps: bool
) -> tuple[Shopper, str]:
    """Buys, and asks for the money back at once, a little later or not at all; who, and which order."""
    learner = await shop.learner()
    kind, shortest, longest = chance.choice(TROUBLES)
    if kind is not None:
        user_id = learner.user["lms_user_id"]
        await shop.lms.fault("grant", kind, seconds=chance.uniform(shortest, longest), user_id=user_id)
    await learner.add(COURSE)
    placed = await learner.insist("POST", "/v1/checkout", {"billing_address": US_ADDRESS})
    assert placed.status_code == 201, placed.text
    answer = placed.json()
    order_id = str(answer["order"]["id"])
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    await learner.wait_for_status(order_id, "paid", "fulfilling", "fulfilled", seconds=60)
    paid.release()
    if not keeps:
        await asyncio.sleep(chance.choice((0, chance.uniform(0, 0.5), chance.uniform(0, 5))))
        asked = await operator.insist("POST", f"/v1/orders/{order_id}/refunds", {"reason": "race"})
        assert asked.status_code == 202, asked.text
    return learner, order_id


async def at_rest(shop: Shop, learner: Shopper, order_id: str, *, keeps: bool) -> dict[str, Any]:
    """The order when nothing more is to come, and no late call is waited for."""
    status, access = ("fulfilled", "granted") if keeps else ("refunded", "revoked")
    order = await wait_for(
        lambda: learner.order(order_id),
        lambda o: (o["status"], o["entitlements"][0]["status"]) == (status, access),
        what=f"order {order_id} {status}",
        seconds=90,
    )
    owed = "SELECT 1 FROM entitlement WHERE user_id = %s AND status = 'revoked' AND "
    await wait_for(
        lambda: shop.query(f"{owed} grant_may_land_until IS NOT NULL", learner.user["id"]),
        lambda rows: not rows,
        what=f"the last word about order {order_id}",
        seconds=60,
    )
    return order


async def test_refunds_race_grants_that_are_slow_lost_or_late_and_a_worker_is_killed(shop: Shop) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance, operator = random.Random(seed), await shop.operator()
    paid, began = asyncio.Semaphore(0), time.monotonic()

    async def one(number: int) -> tuple[str, bool]:
        keeps = number % 8 == 0
        its_chance = random.Random(f"{seed}/{number}")
        learner, order_id = await story(shop, operator, its_chance, paid, keeps=keeps)
        order = await at_rest(shop, learner, order_id, keeps=keeps)
        went_back = sum(r["amount"]["amount"] for r in order["refunds"] if r["status"] == "succeeded")
        assert went_back == (0 if keeps else order["total"]["amount"])
        return str(learner.user["lms_user_id"]), keeps

    async def kill() -> None:
        """In the middle of the last grants and refunds."""
        for _ in range(BUYERS):
            await paid.acquire()
        await asyncio.sleep(chance.uniform(0, 2))
        await shop.stack.kill("worker")
        await shop.stack.restart("worker")

    *found, _ = await asyncio.gather(*(one(number) for number in range(BUYERS)), kill())
    enrolled = {one.user_id for one in await shop.lms.enrolments(course_id=COURSE)}
    wrong = [user for user, keeps in found if (user in enrolled) is not keeps]
    assert not wrong, f"seed {seed}: {wrong}"
    print(f"{BUYERS} orders in {time.monotonic() - began:.0f} s")
    await assert_clean(shop.stack, seconds=60)

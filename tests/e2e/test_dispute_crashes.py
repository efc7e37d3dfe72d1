"""The worker is killed while disputes are opened and decided: each is booked once, access follows."""

import asyncio
from collections import Counter
from typing import Any

from devstack.shopper import Shopper, wait_for
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean
from tests.e2e.test_refund_crashes import kill

DISPUTES = 4
STAGGER_SECONDS = 0.08


async def kinds(shop: Shop, order_id: str) -> Counter[str]:
    rows = await shop.query(
        "SELECT kind, count(*) AS n FROM journal_entry WHERE order_id = %s AND kind LIKE 'dispute%%' "
        "GROUP BY kind",
        order_id,
    )
    return Counter({row["kind"]: row["n"] for row in rows})


async def stands(learner: Shopper, order_id: str, status: str, access: str) -> None:
    await wait_for(
        lambda: learner.order(order_id),
        lambda o: (o["status"], o["entitlements"][0]["status"]) == (status, access),
        what=f"{status}, access {access}",
        seconds=60,
    )


async def test_killed_while_disputes_are_opened_won_and_lost(shop: Shop) -> None:
    """Begun one shortly after the other: at the kill each is at another step."""
    learners = [await shop.learner() for _ in range(DISPUTES)]
    orders = [await shop.buy(learner) for learner in learners]
    await shop.lms.fault("revoke", "latency", seconds=1.5, count=2)
    made: list[dict[str, Any]] = []
    for order in orders:
        made.append(await shop.stripe.dispute(order["payments"][0]["payment_intent_id"]))
        await asyncio.sleep(STAGGER_SECONDS)
    await kill(shop)
    for learner, order in zip(learners, orders, strict=True):
        await stands(learner, order["id"], "disputed", "revoked")

    for number, dispute in enumerate(made):
        decide = shop.stripe.lose_dispute if number % 2 else shop.stripe.win_dispute
        await decide(dispute["id"])
        await asyncio.sleep(STAGGER_SECONDS)
    await kill(shop)
    for number, (learner, order) in enumerate(zip(learners, orders, strict=True)):
        lost = number % 2
        await stands(learner, order["id"], "fulfilled", "revoked" if lost else "granted")
        end = "dispute_lost" if lost else "dispute_won"
        assert await kinds(shop, order["id"]) == {"dispute_opened": 1, "dispute_fee": 1, end: 1}
    await assert_clean(shop.stack)

"""The worker is killed at each step of a refund: the money goes back once, and the books say so once."""

import asyncio
from collections import Counter
from typing import Any

from devstack.shopper import Shopper, wait_for
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean
from tests.e2e.test_credit_crashes import until_answered

REFUNDS = 6
STAGGER_SECONDS = 0.06


async def kill(shop: Shop) -> None:
    await shop.stack.kill("worker")
    await shop.stack.restart("worker")


async def decided(caller: Shopper, refund_id: str, status: str, attempts: int) -> None:
    async def found() -> tuple[str, int]:
        refund = (await caller.call("GET", f"/v1/refunds/{refund_id}"))["refund"]
        return refund["status"], refund["attempts"]

    await wait_for(found, lambda now: now == (status, attempts), what=f"a refund {status}", seconds=60)


async def at_the_processor(shop: Shop, order: dict[str, Any]) -> int:
    """How many refunds of the order's payment were made there."""
    intent = order["payments"][0]["payment_intent_id"]
    return sum(one["payment_intent"] == intent for one in await shop.stripe.listing("refunds"))


async def entries(shop: Shop, order_id: str) -> Counter[str]:
    """The order's entries about money that goes back, by kind."""
    rows = await shop.query(
        "SELECT kind, count(*) AS n FROM journal_entry WHERE order_id = %s AND kind LIKE 'refund%%' "
        "GROUP BY kind",
        order_id,
    )
    return Counter({row["kind"]: row["n"] for row in rows})


async def test_killed_while_refunds_are_at_every_step(shop: Shop) -> None:
    """Begun one shortly after the other: at the kill each is at another step, some with a lost answer."""
    operator = await shop.operator()
    learners = [await shop.learner() for _ in range(REFUNDS)]
    orders = [await shop.buy(learner) for learner in learners]
    await shop.stripe.fault("POST", "/v1/refunds", "cut_before", count=1)
    await shop.stripe.fault("POST", "/v1/refunds", "cut_after", count=1)
    await shop.lms.fault("revoke", "latency", seconds=1.5, count=2)
    asking = []
    for order in orders:
        path = f"/v1/orders/{order['id']}/refunds"
        asking.append(asyncio.create_task(until_answered(operator, "POST", path, {"reason": "crash"})))
        await asyncio.sleep(STAGGER_SECONDS)
    await kill(shop)
    for learner, order, answer in zip(learners, orders, await asyncio.gather(*asking), strict=True):
        await decided(operator, answer["refund"]["id"], "succeeded", 1)
        await wait_for(
            lambda learner=learner, order_id=order["id"]: learner.order(order_id),  # type: ignore[misc]
            lambda o: (o["status"], o["entitlements"][0]["status"]) == ("refunded", "revoked"),
            what="revocation",
            seconds=60,
        )
        assert await at_the_processor(shop, order) == 1
        assert await entries(shop, order["id"]) == {"refund_initiated": 1, "refund_settled": 1}


async def test_killed_while_a_failed_refund_is_issued_again_and_while_it_is_canceled(shop: Shop) -> None:
    """pm_card_refundFail succeeds, and fails a moment later, each time."""
    learner, operator = await shop.learner(), await shop.operator()
    order = await shop.buy(learner, method="pm_card_refundFail")
    refund = await operator.refund(order["id"])
    await decided(operator, refund["id"], "failed", 1)
    path = f"/v1/refunds/{refund['id']}"
    await shop.stripe.fault("POST", "/v1/refunds", "cut_after", count=1)
    await until_answered(operator, "POST", f"{path}/reissue", {})
    await kill(shop)
    await decided(operator, refund["id"], "failed", 2)
    assert await at_the_processor(shop, order) == 2
    await until_answered(operator, "POST", f"{path}/cancel", {}, "the customer was paid by hand")
    await kill(shop)
    await wait_for(
        lambda: learner.order(order["id"]),
        lambda o: o["entitlements"][0]["status"] == "granted",
        what="access again",
        seconds=60,
    )
    assert (await entries(shop, order["id"]))["refund_cancelled"] == 1


async def test_all_of_this_holds_before_the_oracle(shop: Shop) -> None:
    await assert_clean(shop.stack)

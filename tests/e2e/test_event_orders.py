"""Events of one purchase in every order: each converges to one capture and one grant."""

import asyncio
import itertools
import json
import time
from typing import Any

import httpx

from devstack.shopper import wait_for
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean
from tests.e2e.test_webhooks import signed

SIDE_BY_SIDE = 12
# Of a declined card, then a good one; `payment_intent.created` is read by nobody.
TYPES = (
    "payment_intent.payment_failed",
    "charge.failed",
    "charge.succeeded",
    "payment_intent.succeeded",
)


async def events_of(shop: Shop, order_id: str) -> dict[str, dict[str, Any]]:
    """The processor's events of one order, by type."""
    found: dict[str, dict[str, Any]] = {}
    for kind in TYPES:
        for event in await shop.stripe.listing("events", type=kind):
            if event["data"]["object"]["metadata"].get("order_id") == order_id:
                found[kind] = event
    return found


async def purchase(shop: Shop, kinds: tuple[str, ...], gate: asyncio.Semaphore) -> tuple[str, str]:
    """Buy, and deliver the events in this order, the first one twice."""
    async with gate:
        learner = await shop.learner()
        answer = await shop.place(learner)
        intent, order_id = answer["payment"]["payment_intent_id"], answer["order"]["id"]
        await shop.stripe.confirm(intent, "pm_card_chargeDeclined")
        await shop.stripe.confirm(intent, "pm_card_visa")
        events = await wait_for(lambda: events_of(shop, order_id), lambda found: len(found) == len(TYPES))
        async with httpx.AsyncClient() as http:
            for kind in (*kinds, kinds[0]):
                payload = json.dumps(events[kind]).encode()
                headers = signed(shop, payload, at=int(time.time()))
                accepted = await http.post(
                    f"{shop.gateway}/v1/webhooks/stripe", content=payload, headers=headers
                )
                assert accepted.status_code == 200
        await learner.wait_for_status(order_id, "fulfilled", seconds=60)
        return order_id, learner.user["lms_user_id"]


async def test_events_converge_in_every_order(shop: Shop) -> None:
    gate = asyncio.Semaphore(SIDE_BY_SIDE)
    await shop.stripe.pause_deliveries()
    try:
        orders = await asyncio.gather(
            *(purchase(shop, kinds, gate) for kinds in itertools.permutations(TYPES))
        )
    finally:
        await shop.stripe.resume_deliveries()
    rows = await shop.query(
        "SELECT order_id::text, count(*) AS n FROM journal_entry WHERE kind = 'payment_captured' "
        "AND order_id = ANY(%s::uuid[]) GROUP BY 1",
        [order_id for order_id, _ in orders],
    )
    assert [row["n"] for row in rows] == [1] * len(orders)
    for _, lms_user_id in orders:
        assert len([entry for entry in await shop.lms.log(lms_user_id) if entry.changed]) == 1
    await assert_clean(shop.stack, seconds=60)

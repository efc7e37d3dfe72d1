"""An order that nobody pays ends; one that is being paid does not."""

import asyncio
from datetime import timedelta

from domain.limits import DECLINES
from tests.workflows.bench import Bench, Placed, until

SEAT = "live-workshop-2027"


async def seats_taken(bench: Bench) -> int:
    return int((await bench.one("SELECT seats_taken FROM catalog_item WHERE slug = %s", SEAT))["seats_taken"])


async def promotion_uses(bench: Bench, code: str) -> int:
    return int((await bench.one("SELECT uses FROM promotion WHERE code = %s", code))["uses"])


async def cart_items(bench: Bench, order: Placed) -> list[str]:
    rows = await bench.query(
        "SELECT i.slug FROM cart c JOIN cart_line l ON l.cart_id = c.id JOIN catalog_item i "
        "ON i.id = l.item_id WHERE c.open AND c.user_id = %s ORDER BY i.slug",
        order.buyer.user_id,
    )
    return [row["slug"] for row in rows]


async def intent_status(bench: Bench, order: Placed) -> str:
    assert order.intent_id is not None
    return (await bench.resources.payments.get_intent(order.intent_id)).status


async def test_an_unpaid_order_expires_and_gives_back_all_that_it_held(bench: Bench) -> None:
    seats, uses = await seats_taken(bench), await promotion_uses(bench, "LASTONE")
    order = await bench.place(SEAT, "python-101", promo="LASTONE")
    assert (await seats_taken(bench), await promotion_uses(bench, "LASTONE")) == (seats + 1, uses + 1)
    assert await cart_items(bench, order) == []
    handle = bench.order_workflow(order.id)

    await bench.skipper.fast_forward(handle, timedelta(minutes=29))
    assert str((await bench.order(order.id)).status) == "pending_payment"
    assert await seats_taken(bench) == seats + 1

    await bench.skipper.fast_forward(handle, timedelta(minutes=2))
    assert await asyncio.wait_for(handle.result(), 60) == "expired"
    assert (await seats_taken(bench), await promotion_uses(bench, "LASTONE")) == (seats, uses)
    assert await cart_items(bench, order) == [SEAT, "python-101"]
    assert await intent_status(bench, order) == "canceled"


async def test_the_last_promotion_use_of_an_expired_order_goes_to_the_next_buyer(bench: Bench) -> None:
    first = await bench.place("python-101", promo="LASTONE")
    handle = bench.order_workflow(first.id)
    await bench.skipper.fast_forward(handle, timedelta(minutes=31))
    assert await asyncio.wait_for(handle.result(), 60) == "expired"
    second = await bench.place("python-101", promo="LASTONE")
    await bench.pay(second)
    assert await asyncio.wait_for(bench.order_workflow(second.id).result(), 60) == "fulfilled"


async def test_processing_stops_the_window_and_succeeds_days_later(bench: Bench) -> None:
    seats = await seats_taken(bench)
    order = await bench.place(SEAT)
    assert order.intent_id is not None
    handle = bench.order_workflow(order.id)
    await bench.pay(order, "pm_usBankAccount_processing")
    await until(lambda: bench.order(order.id), lambda row: row.payment_state == "processing", "processing")

    await bench.skipper.fast_forward(handle, timedelta(days=5))
    row = await bench.order(order.id)
    assert row.payment_state == "processing"
    assert await seats_taken(bench) == seats + 1
    assert await intent_status(bench, order) == "processing"
    cancel = f"/v1/payment_intents/{order.intent_id}/cancel"
    assert await bench.stripe.requests(path=cancel) == [], "the processor may cancel a processing intent"

    await bench.stripe.settle(order.intent_id)
    await bench.take_events_in()
    assert await asyncio.wait_for(handle.result(), 60) == "fulfilled"
    assert (await bench.order(order.id)).amount_paid == row.total
    assert await seats_taken(bench) == seats + 1


async def test_money_that_comes_after_the_window_revives_the_order(bench: Bench) -> None:
    """The processor confirms in the moment of the expiry: its refusal to cancel decides, not the clock."""
    order = await bench.place("python-101")
    assert order.intent_id is not None
    await bench.stripe.confirm(order.intent_id, "pm_card_visa")
    handle = bench.order_workflow(order.id)
    await bench.skipper.fast_forward(handle, timedelta(minutes=31))
    assert str((await bench.order(order.id)).status) == "pending_payment"
    await bench.take_events_in()
    assert await asyncio.wait_for(handle.result(), 60) == "fulfilled"


async def test_an_order_whose_buyer_tries_card_after_card_ends(bench: Bench) -> None:
    order, bystander = await bench.place("python-101"), await bench.place("python-101")
    assert order.intent_id is not None
    for _ in range(DECLINES.times - 1):
        await bench.pay(order, "pm_card_chargeDeclined")
    assert await intent_status(bench, order) == "requires_payment_method"

    await bench.pay(order, "pm_card_chargeDeclined")
    assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 60) == "canceled"
    assert await intent_status(bench, order) == "canceled"
    ended = await bench.one(
        "SELECT detail FROM order_event WHERE order_id = %s AND kind = 'order_canceled'", order.id
    )
    assert "too many declined payments" in ended["detail"]

    await bench.pay(bystander, "pm_card_chargeDeclined")
    await bench.pay(bystander)
    assert await asyncio.wait_for(bench.order_workflow(bystander.id).result(), 60) == "fulfilled"

"""An erasure waits for what is open, and looks once more when no token of the person is good any longer."""

import asyncio
from datetime import timedelta
from typing import Any

from domain import ids
from domain.erasure import ErasureSource
from models.queries import erasures, identity, people
from models.queries.erasures import ErasureRow
from tests.workflows.bench import Bench, Buyer, until


async def ask(bench: Bench, buyer: Buyer) -> None:
    """What the gateway does."""
    async with bench.resources.database.transaction() as session:
        await erasures.request(session, buyer.user_id, source=ErasureSource.PERSON)
    await bench.resources.dispatcher.wake_erasure(buyer.user_id)


async def standing(bench: Bench, buyer: Buyer) -> ErasureRow:
    async with bench.resources.database.transaction() as session:
        row = await erasures.of_user(session, buyer.user_id)
    assert row is not None
    return row


async def address(bench: Bench, order_id: str) -> Any:
    return (await bench.one("SELECT billing_address FROM orders WHERE id = %s", order_id))["billing_address"]


async def test_a_refund_on_its_way_is_waited_for(bench: Bench) -> None:
    order = await bench.place("python-101")
    await bench.pay(order, "pm_card_pendingRefund")
    await asyncio.wait_for(bench.order_workflow(order.id).result(), 60)
    refund_id = await bench.refund(order.id, order.buyer.user_id)
    await ask(bench, order.buyer)
    number = (await bench.order(order.id)).number
    wanted = (f"a refund of order {number} is under way",)
    await until(
        lambda: standing(bench, order.buyer), lambda row: row.waits_for == wanted, "what it waits for"
    )
    assert (await address(bench, order.id))["line1"]
    provider = await until(
        lambda: bench.one("SELECT provider_refund_id AS id FROM refund WHERE id = %s", refund_id),
        lambda row: row["id"] is not None,
        "the refund at the processor",
    )
    await bench.stripe.settle_refund(provider["id"])
    await bench.take_events_in()
    await bench.resources.dispatcher.wake_erasure(order.buyer.user_id)
    await until(lambda: standing(bench, order.buyer), lambda row: row.erased_at is not None, "erased")
    assert await address(bench, order.id) == {"country": "DE"}


async def test_what_came_with_a_token_of_before_goes_with_the_last_look(bench: Bench) -> None:
    buyer = await bench.buyer()
    await ask(bench, buyer)
    handle = bench.workflow(ids.erasure_workflow_id(buyer.user_id))
    erased = await until(lambda: standing(bench, buyer), lambda row: row.erased_at is not None, "erased")
    late = await bench.place("python-101", buyer=buyer)
    await bench.skipper.fast_forward(handle, timedelta(minutes=14))
    assert (await standing(bench, buyer)).done_at is None
    await bench.skipper.fast_forward(handle, timedelta(minutes=2))
    number = (await bench.order(late.id)).number
    wanted = (f"order {number} may still be paid",)
    await until(lambda: standing(bench, buyer), lambda row: row.waits_for == wanted, "what it waits for")
    await bench.skipper.fast_forward(bench.order_workflow(late.id), timedelta(minutes=31))
    await asyncio.wait_for(bench.order_workflow(late.id).result(), 60)
    await bench.skipper.fast_forward(handle, timedelta(minutes=10))
    assert await asyncio.wait_for(handle.result(), 60) == "done"
    assert await address(bench, late.id) == {"country": "DE"}
    done = await standing(bench, buyer)
    assert (done.done_at is not None, done.erased_at) == (True, erased.erased_at)


async def test_who_signs_in_again_is_left_alone(bench: Bench) -> None:
    buyer = await bench.buyer()
    await ask(bench, buyer)
    handle = bench.workflow(ids.erasure_workflow_id(buyer.user_id))
    await until(lambda: standing(bench, buyer), lambda row: row.erased_at is not None, "erased")
    async with bench.resources.database.transaction() as session:
        await people.remember(
            session,
            lms_user_id=buyer.lms_user_id,
            username="ann",
            email="ann.again@example.com",
            full_name="Ann Again",
            roles=["learner"],
        )
    await bench.skipper.fast_forward(handle, timedelta(minutes=16))
    assert await asyncio.wait_for(handle.result(), 60) == "done"
    async with bench.resources.database.transaction() as session:
        user = await people.get(session, buyer.user_id)
    assert user is not None
    assert (user.email, user.full_name) == ("ann.again@example.com", "Ann Again")


async def test_who_is_let_in_again_by_the_lms_is_not_erased(bench: Bench) -> None:
    order = await bench.place("python-101")
    buyer = order.buyer
    event = {"id": f"evt_{buyer.user_id}", "type": "user.deleted", "data": {"user_id": buyer.lms_user_id}}
    async with bench.resources.database.transaction() as session:
        await identity.take_in(session, event)
    await bench.resources.dispatcher.wake_erasure(buyer.user_id)
    handle = bench.workflow(ids.erasure_workflow_id(buyer.user_id))
    await until(lambda: standing(bench, buyer), lambda row: bool(row.waits_for), "what it waits for")
    await bench.query("UPDATE commerce_user SET lms_deleted_at = NULL WHERE id = %s", buyer.user_id)
    await bench.resources.dispatcher.wake_erasure(buyer.user_id)
    assert await asyncio.wait_for(handle.result(), 60) == "done"
    assert (await standing(bench, buyer)).erased_at is None
    assert (await address(bench, order.id))["line1"]

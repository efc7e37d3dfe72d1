"""Store credit of orders that expire, and of money that comes after that."""

import asyncio
from datetime import timedelta

from domain import ids, messages
from domain.messages import StoreCreditInput
from models.queries import orders, recorded_commands, store_credit
from models.queries.store_credit import CreditBalance
from tests.e2e.processor import intent_paid_for
from tests.workflows.bench import Bench, Buyer, Placed, until

COURSE = "python-101"


async def give(bench: Bench, buyer: Buyer, amount: int) -> None:
    """As an operator does it."""
    async with bench.resources.database.transaction() as session:
        grant_id = await orders.new_id(session)
        asked = {
            "user_id": buyer.user_id,
            "order_id": None,
            "amount": amount,
            "currency": "USD",
            "reason": "x",
        }
        await recorded_commands.record(session, grant_id, "store_credit", buyer.user_id, asked)
    await bench.skipper.client.execute_workflow(
        messages.STORE_CREDIT,
        StoreCreditInput(grant_id),
        id=ids.store_credit_workflow_id(grant_id),
        task_queue=bench.settings.temporal_task_queue,
    )


async def balance(bench: Bench, buyer: Buyer) -> tuple[int, int]:
    """(balance, reserved)"""
    async with bench.resources.database.transaction() as session:
        found: list[CreditBalance] = await store_credit.balances(session, buyer.user_id)
    return (found[0].balance, found[0].reserved)


async def expired(bench: Bench, buyer: Buyer) -> Placed:
    """An order that reserved all the credit and was not paid in time."""
    order = await bench.place(COURSE, buyer=buyer, use_store_credit=True)
    assert await balance(bench, buyer) == (1000, 1000)
    handle = bench.order_workflow(order.id)
    await bench.skipper.fast_forward(handle, timedelta(minutes=31))
    assert await asyncio.wait_for(handle.result(), 60) == "expired"
    assert await balance(bench, buyer) == (1000, 0)
    return order


async def late_money(bench: Bench, order: Placed) -> str:
    """The processor's success arrives after all; what became of it."""
    due = (await bench.order(order.id)).due
    intent_id = await intent_paid_for(bench.settings.stripe_api_base, order.id, due)
    await bench.take_events_in()
    late = bench.workflow(ids.late_payment_workflow_id(intent_id))
    return str(await asyncio.wait_for(late.result(), 60))


async def test_credit_of_an_expired_order_is_free_and_late_money_revives_the_order_with_it(
    bench: Bench,
) -> None:
    buyer = await bench.buyer()
    await give(bench, buyer, 1000)
    order = await expired(bench, buyer)
    assert (await late_money(bench, order)).startswith("revived")
    row = await bench.wait_for_status(order.id, "fulfilled")
    assert (row.amount_paid, row.store_credit) == (row.total, 1000)
    assert await balance(bench, buyer) == (0, 0)


async def test_late_money_goes_back_when_the_credit_was_used_for_another_order(bench: Bench) -> None:
    buyer = await bench.buyer()
    await give(bench, buyer, 1000)
    order = await expired(bench, buyer)
    await bench.query(
        "DELETE FROM cart_line WHERE cart_id IN (SELECT id FROM cart WHERE user_id = %s)", buyer.user_id
    )
    other = await bench.place("web-design", buyer=buyer, use_store_credit=True)
    assert await balance(bench, buyer) == (1000, 1000)
    assert (await late_money(bench, order)).startswith("refunded")
    assert await balance(bench, buyer) == (1000, 1000)
    assert str((await bench.order(order.id)).status) == "expired"
    told = await bench.query("SELECT detail FROM order_event WHERE order_id = %s", order.id)
    assert any("store credit was used again" in row["detail"] for row in told)
    await bench.pay(other)
    await bench.wait_for_status(other.id, "fulfilled")
    assert await balance(bench, buyer) == (0, 0)
    await until(
        lambda: bench.query("SELECT status FROM refund WHERE order_id = %s", order.id),
        lambda rows: [row["status"] for row in rows] == ["succeeded"],
        "the refund",
    )
    findings = await bench.findings()
    for name in (
        "store_credit.never_overspent",
        "ledger.credit_spent_as_reserved",
        "orders.one_applied_payment",
    ):
        assert findings[name].violations == []

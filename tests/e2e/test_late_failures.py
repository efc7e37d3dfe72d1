"""Bank debits that are returned after they had succeeded, while the worker is killed: over HTTP alone."""

import asyncio
from typing import Any

from devstack.shopper import Shopper, wait_for
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean
from tests.e2e.test_documents import documents_of, fetch, text_of
from tests.e2e.test_refund_crashes import kill

ORDERS = 3
STAGGER_SECONDS = 0.08


async def debited(shop: Shop, learner: Shopper) -> dict[str, Any]:
    """A fulfilled order that a bank debit paid for."""
    answer = await shop.place(learner)
    intent = answer["payment"]["payment_intent_id"]
    await shop.stripe.confirm(intent, "pm_usBankAccount_processing")
    await wait_for(
        lambda: shop.query("SELECT payment_state FROM orders WHERE id = %s", answer["order"]["id"]),
        lambda rows: rows[0]["payment_state"] == "processing",
        what="a payment under way",
    )
    await shop.stripe.settle(intent)
    return await learner.wait_for_status(answer["order"]["id"], "fulfilled")


async def test_returned_while_the_worker_is_killed(shop: Shop) -> None:
    """One after the other: at the kill each is at another step."""
    learners = [await shop.learner() for _ in range(ORDERS)]
    orders = [await debited(shop, learner) for learner in learners]
    for order in orders:
        await shop.stripe.return_payment(order["payments"][0]["payment_intent_id"], "insufficient_funds")
        await asyncio.sleep(STAGGER_SECONDS)
    await kill(shop)
    for learner, order in zip(learners, orders, strict=True):
        found = await wait_for(
            lambda learner=learner, order_id=order["id"]: learner.order(order_id),  # type: ignore[misc]
            lambda o: (o["status"], o["entitlements"][0]["status"]) == ("canceled", "revoked"),
            what="the sale undone",
            seconds=60,
        )
        assert found["amount_paid"]["amount"] == 0
        told = await learner.call("GET", f"/v1/orders/{order['id']}/money")
        assert told["amounts"]["amount_paid"] == found["amount_paid"]
        payment = found["payments"][0]
        assert (payment["status"], payment["failure_code"]) == ("failed", "insufficient_funds")
        story = (await learner.call("GET", f"/v1/orders/{order['id']}/timeline"))["data"]
        assert [line["kind"] for line in story].count("payment_failed_late") == 1
        rows = await shop.query(
            "SELECT kind FROM journal_entry WHERE order_id = %s AND kind LIKE 'payment%%' ORDER BY id",
            order["id"],
        )
        assert [row["kind"] for row in rows] == ["payment_captured", "payment_failed_late"]
    receipt, note = await documents_of(learners[0], orders[0]["id"])
    assert (note["kind"], note["corrects"], note["total"]) == (
        "credit_note",
        receipt["number"],
        receipt["total"],
    )
    text = text_of((await fetch(learners[0], note["pdf_url"])).content)
    assert f"Corrects {receipt['number']}" in text
    assert "returned by the customer's bank" in text
    await assert_clean(shop.stack)

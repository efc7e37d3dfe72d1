"""A rush for documents waits in line; whoever asks for anything else does not notice."""

import asyncio
import threading

from sqlalchemy import text

from models.queries import documents
from tests.api.callers import Caller, Gateway
from tests.documents.test_numbering import draft, make_orders

# More than the gateway has connections to the database.
RUSH = 45


async def test_documents_that_wait_for_their_turn_hold_no_connection(gateway: Gateway) -> None:
    (order_id,) = await make_orders(gateway.services.database, 1)
    async with gateway.services.database.transaction() as session:
        await documents.issue(session, draft(order_id))
        owner = await session.execute(text("SELECT user_id FROM orders WHERE id = :id"), {"id": order_id})
        token = gateway.services.tokens.issue(str(owner.scalar_one()), ("learner",))
    buyer, release = Caller(gateway.http, token), threading.Event()
    busy = [gateway.services.typesetting.submit(release.wait) for _ in range(2)]
    try:
        rush = [
            asyncio.create_task(buyer.send("GET", f"/v1/orders/{order_id}/receipt.pdf")) for _ in range(RUSH)
        ]
        await asyncio.sleep(1)
        assert (await asyncio.wait_for(buyer.ok("GET", "/v1/orders"), 5))["data"][0]["id"] == order_id
        assert not any(task.done() for task in rush)
    finally:
        release.set()
    assert {answer.status_code for answer in await asyncio.gather(*rush)} == {200}
    assert all(task.result() for task in busy)

"""Paths of store credit: given, refused, paid with alone and given back; goodwill as a refund.

`python -m tests.histories.credit` records these only.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

from devstack.shopper import Shopper
from domain import ids
from tests.e2e.conftest import Shop

Keep = Callable[[str, str], Awaitable[None]]


class CreditPaths:
    """Runs the paths one after the other."""

    def __init__(self, shop: Shop, keep: Keep) -> None:
        self._shop = shop
        self._keep = keep

    async def record(self) -> None:
        """All of them."""
        learner, operator = await self._shop.learner(), await self._shop.operator()
        await self._given(learner, operator)
        order_id = await self._paid_with_credit_alone(learner)
        await self._given_back(operator, order_id)
        await self._adjusted(operator)

    async def _given(self, learner: Shopper, operator: Shopper) -> None:
        body = {
            "user_id": learner.user["id"],
            "amount": {"amount": 100_000, "currency": "USD"},
            "reason": "welcome",
        }
        granted = await operator.call("POST", "/v1/store-credit/grants", body)
        await self._keep("store-credit-given", ids.store_credit_workflow_id(granted["id"]))

    async def _paid_with_credit_alone(self, learner: Shopper) -> str:
        answer = await self._shop.place(learner, use_store_credit=True)
        order_id: str = answer["order"]["id"]
        await learner.wait_for_status(order_id, "fulfilled")
        await self._keep("checkout-credit-only", ids.order_workflow_id(order_id))
        return order_id

    async def _given_back(self, operator: Shopper, order_id: str) -> None:
        refund = await operator.refund(order_id)
        await self._keep("refund-credit-only", ids.refund_workflow_id(refund["id"]))

    async def _adjusted(self, operator: Shopper) -> None:
        """Goodwill as a refund, and too much of it as store credit."""
        learner = await self._shop.learner()
        await self._shop.buy(learner)
        order = (await learner.call("GET", "/v1/orders"))["data"][0]
        path = f"/v1/orders/{order['id']}/adjustments"
        body = {"amount": {"amount": 300, "currency": "USD"}, "kind": "goodwill", "reason": "slow"}
        made = (await operator.call("POST", path, body))["adjustment"]
        await self._keep("refund-goodwill", ids.refund_workflow_id(made["refund_id"]))
        key = str(uuid.uuid4())
        too_much = body | {"as": "store_credit", "amount": order["total"]}
        assert (await operator.send("POST", path, too_much, key=key)).status_code == 409
        row = await self._shop.query("SELECT object_id FROM idempotency_record WHERE key = %s", key)
        await self._keep("store-credit-refused", ids.store_credit_workflow_id(str(row[0]["object_id"])))


async def record() -> None:
    """Only these paths."""
    from tests.histories.record import SHORT_WINDOW, recorder_of

    async with recorder_of(SHORT_WINDOW) as recorder:
        await recorder.credit()


if __name__ == "__main__":
    asyncio.run(record())

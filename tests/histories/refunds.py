"""Refunds that failed, or were made at the processor: `python -m tests.histories.refunds`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from devstack.shopper import Shopper, wait_for
from domain import ids
from tests.e2e.conftest import Shop

Keep = Callable[[str, str], Awaitable[None]]


class RefundPaths:
    """Runs the paths, and keeps their histories."""

    def __init__(self, shop: Shop, keep: Keep) -> None:
        self._shop = shop
        self._keep = keep

    async def record(self) -> None:
        """Reissued, canceled, made in the dashboard, adopted."""
        operator = await self._shop.operator()
        for name, wish in (("refund-reissued", "reissue"), ("refund-canceled", "cancel")):
            refund = await self._failed(operator)
            await operator.call("POST", f"/v1/refunds/{refund['id']}/{wish}")
            await self._keep(name, ids.refund_workflow_id(refund["id"]))
        await self._in_the_dashboard()
        await self._adopted(operator)
        await self._parked(operator)

    async def _parked(self, operator: Shopper) -> None:
        """A part is refunded by hand while ours has everything; ours is refused, and canceled."""
        order = await self._shop.buy(await self._shop.learner())
        await self._shop.stripe.pause_deliveries()
        made = await self._shop.stripe.refund(order["payments"][0]["payment_intent_id"], 900)
        refund = await operator.refund(order["id"])
        await self._status(operator, refund, "failed")
        await self._shop.stripe.resume_deliveries()
        await wait_for(
            lambda: self._shop.query(
                "SELECT id FROM order_event WHERE order_id = %s AND kind = 'refund_parked'", order["id"]
            ),
            bool,
            what="the parking",
        )
        await operator.call("POST", f"/v1/refunds/{refund['id']}/cancel", reason="paid by hand")
        await self._taken_in(made)
        await self._keep("refund-parked", _foreign(made))

    async def _failed(self, operator: Shopper) -> dict[str, Any]:
        order = await self._shop.buy(await self._shop.learner())
        refund = await operator.refund(order["id"])
        await self._status(operator, refund, "succeeded")
        await self._shop.stripe.fail_refund(await self._provider_id(refund["id"]))
        return await self._status(operator, refund, "failed")

    async def _in_the_dashboard(self) -> None:
        order = await self._shop.buy(await self._shop.learner())
        made = await self._shop.stripe.refund(order["payments"][0]["payment_intent_id"], 700)
        await self._taken_in(made)
        await self._keep("refund-in-dashboard", _foreign(made))

    async def _adopted(self, operator: Shopper) -> None:
        order = await self._shop.buy(await self._shop.learner())
        await self._shop.stripe.pause_deliveries()
        made = await self._shop.stripe.refund(order["payments"][0]["payment_intent_id"])
        refund = await operator.refund(order["id"])
        await self._status(operator, refund, "failed")
        await self._shop.stripe.resume_deliveries()
        await self._taken_in(made)
        await self._keep("refund-adopted", ids.refund_workflow_id(refund["id"]))
        await self._keep("refund-taken-by-our-own", _foreign(made))

    async def _taken_in(self, made: dict[str, Any]) -> None:
        await wait_for(
            lambda: self._shop.query("SELECT id FROM refund WHERE provider_refund_id = %s", made["id"]),
            bool,
            what="the refund made at the processor",
        )

    async def _status(self, operator: Shopper, refund: dict[str, Any], status: str) -> dict[str, Any]:
        async def read() -> dict[str, Any]:
            answer = await operator.call("GET", f"/v1/refunds/{refund['id']}")
            found: dict[str, Any] = answer["refund"]
            return found

        return await wait_for(read, lambda found: found["status"] == status, what=status)

    async def _provider_id(self, refund_id: str) -> str:
        rows = await self._shop.query("SELECT provider_refund_id FROM refund WHERE id = %s", refund_id)
        return str(rows[0]["provider_refund_id"])


def _foreign(made: dict[str, Any]) -> str:
    return ids.refund_workflow_id(ids.foreign_refund_id(made["id"], made["created"]))


async def record_refunds() -> None:
    """A stack for these paths alone."""
    from tests.histories.record import SHORT_WINDOW, recorder_of

    async with recorder_of(SHORT_WINDOW) as recorder:
        await recorder.taken_up_refunds()


if __name__ == "__main__":
    asyncio.run(record_refunds())

"""Persons who are erased, or merged: `python -m tests.histories.erasure`."""

import asyncio
from collections.abc import Awaitable, Callable

from devstack.shopper import Shopper, wait_for
from domain import ids
from tests.e2e.conftest import Shop

Keep = Callable[[str, str], Awaitable[None]]


class ErasurePaths:
    """Runs the paths, and keeps their histories."""

    def __init__(self, shop: Shop, keep: Keep) -> None:
        self._shop = shop
        self._keep = keep

    async def record(self) -> None:
        """One who has to wait for an unpaid order, one whose account the LMS deleted, one who comes back."""
        learner = await self._shop.learner()
        answer = await self._shop.place(learner)
        await learner.call("POST", "/v1/me/erasure")

        async def waits() -> list[str]:
            return list((await learner.call("GET", "/v1/me/erasure"))["waits_for"])

        await wait_for(waits, bool, what="what is waited for")
        await learner.call("POST", f"/v1/orders/{answer['order']['id']}/cancel")
        await self._keep("erasure-waited", ids.erasure_workflow_id(learner.user["id"]))

        gone = await self._shop.learner()
        await self._shop.buy(gone)
        await self._shop.lms.delete(gone.user["lms_user_id"])
        rows = "SELECT 1 FROM person_erasure WHERE user_id = %s AND erased_at IS NOT NULL"
        await wait_for(lambda: self._shop.query(rows, gone.user["id"]), bool, what="the erasure")
        await self._keep("erasure-deleted-at-lms", ids.erasure_workflow_id(gone.user["id"]))

        back = await self._shop.learner()
        await back.call("POST", "/v1/me/erasure")
        await wait_for(lambda: self._shop.query(rows, back.user["id"]), bool, what="the erasure")
        await Shopper(self._shop.gateway).login(back.user["email"])
        await self._keep("erasure-came-back", ids.erasure_workflow_id(back.user["id"]))
        await self._merge()

    async def _merge(self) -> None:
        """An unpaid order is waited for; the course is bought twice."""
        ended, survivor = await self._shop.learner(), await self._shop.learner()
        await self._shop.buy(ended)
        await self._shop.buy(survivor)
        unpaid = await self._shop.place(ended, "web-design")
        await self._shop.lms.merge(ended.user["lms_user_id"], survivor.user["lms_user_id"])
        rows = "SELECT id::text, waits_for FROM person_merge WHERE user_id = %s"
        (merge,) = await wait_for(
            lambda: self._shop.query(rows, ended.user["id"]),
            lambda found: bool(found and found[0]["waits_for"]),
            what="what is waited for",
        )
        operator = await self._shop.operator()
        await operator.call("POST", f"/v1/orders/{unpaid['order']['id']}/cancel")
        await self._keep("merge-waited", ids.merge_workflow_id(merge["id"]))


async def record_erasures() -> None:
    """On a stack whose access tokens are good for seconds."""
    from tests.histories.record import SHORT_WINDOW, recorder_of

    async with recorder_of(SHORT_WINDOW | {"ACCESS_TOKEN_MINUTES": "0.1"}) as recorder:
        await recorder.erasures()


if __name__ == "__main__":
    asyncio.run(record_erasures())

"""Payments that failed after they had succeeded: `python -m tests.histories.late_failures`."""

import asyncio
from collections.abc import Awaitable, Callable

from devstack.shopper import wait_for
from domain import ids
from tests.e2e.conftest import Shop

Keep = Callable[[str, str], Awaitable[None]]


class LateFailurePaths:
    """Runs the paths, and keeps their histories."""

    def __init__(self, shop: Shop, keep: Keep) -> None:
        self._shop = shop
        self._keep = keep

    async def record(self) -> None:
        """A debit that is returned."""
        learner = await self._shop.learner()
        answer = await self._shop.place(learner)
        order, intent = answer["order"], answer["payment"]["payment_intent_id"]
        await self._shop.stripe.confirm(intent, "pm_usBankAccount_processing")
        await wait_for(
            lambda: self._shop.query("SELECT payment_state FROM orders WHERE id = %s", order["id"]),
            lambda rows: rows[0]["payment_state"] == "processing",
            what="a payment under way",
        )
        await self._shop.stripe.settle(intent)
        await learner.wait_for_status(order["id"], "fulfilled")
        await self._shop.stripe.return_payment(intent)
        await learner.wait_for_status(order["id"], "canceled")
        await self._keep("late-failure-undone", ids.late_failure_workflow_id(intent))


async def record_late_failures() -> None:
    """A stack for these paths alone."""
    from tests.histories.record import SHORT_WINDOW, recorder_of

    async with recorder_of(SHORT_WINDOW) as recorder:
        await recorder.late_failures()


if __name__ == "__main__":
    asyncio.run(record_late_failures())

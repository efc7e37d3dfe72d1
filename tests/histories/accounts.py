"""Accounts that the LMS changes: `python -m tests.histories.accounts`."""

import asyncio
from collections.abc import Awaitable, Callable

from devstack.shopper import Shopper, wait_for
from domain import ids
from tests.e2e.conftest import Shop

Keep = Callable[[str, str], Awaitable[None]]


class AccountPaths:
    """Runs the paths, and keeps their histories."""

    def __init__(self, shop: Shop, keep: Keep) -> None:
        self._shop = shop
        self._keep = keep

    async def record(self) -> None:
        """One whose access was refused, read at the second attempt; one that the LMS would not tell of."""
        learner = await self._shop.learner()
        lms_user_id = learner.user["lms_user_id"]
        answer = await self._shop.place(learner)
        await self._shop.lms.unconfirm(lms_user_id)
        await self._shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
        await learner.wait_for_status(answer["order"]["id"], "fulfillment_failed")
        await self._shop.lms.unconfirm(lms_user_id, confirmed=True)
        await self._shop.lms.fault("get_user", "unavailable_html", user_id=lms_user_id)
        await self._rename(learner, "account-changed")
        await learner.wait_for_status(answer["order"]["id"], "fulfilled")

        learner = await self._shop.learner()
        await self._shop.lms.fault(
            "get_user", "reject", code="a_code_of_tomorrow", user_id=learner.user["lms_user_id"]
        )
        await self._rename(learner, "account-not-found")

    async def _rename(self, learner: Shopper, name: str) -> None:
        await self._shop.lms.rename(learner.user["lms_user_id"], first_name="Anna")
        workflow_id = ids.account_workflow_id(learner.user["id"])
        rows = "SELECT 1 FROM account_change WHERE user_id = %s AND followed = told"
        await wait_for(lambda: self._shop.query(rows, learner.user["id"]), bool, what="the end of it")
        await self._keep(name, workflow_id)


async def record_accounts() -> None:
    """On a stack of their own."""
    from tests.histories.record import SHORT_WINDOW, recorder_of

    async with recorder_of(SHORT_WINDOW) as recorder:
        await recorder.accounts()


if __name__ == "__main__":
    asyncio.run(record_accounts())

"""Access under trouble: `python -m tests.histories.access`."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from devstack.shopper import Shopper, wait_for
from domain import ids
from tests.e2e.conftest import Shop

Keep = Callable[[str, str], Awaitable[None]]

COURSE = "python-101"


class AccessPaths:
    """Runs the paths, and keeps their histories."""

    def __init__(self, shop: Shop, keep: Keep) -> None:
        self._shop = shop
        self._keep = keep

    async def record(self) -> None:
        """Refused and asked again, waited for maintenance, ended on its way by a refund, merged away; done
        once more because a call of before may land late."""
        await self._refused()
        await self._maintained()
        await self._maintained_early()
        await self._ended_on_its_way()
        await self._merged_away()
        await self.made_sure()

    async def made_sure(self) -> None:
        """Revoked once more after a grant of unknown outcome, and granted once more after such a revoke."""
        learner, operator = await self._shop.learner(), await self._shop.operator()
        user_id = learner.user["lms_user_id"]
        for action, name in (("grant", "entitlement-revoked-again"), ("revoke", "entitlement-granted-again")):
            await self._shop.lms.fault(action, "cut_before_effect", seconds=4, user_id=user_id)
            order = await self._paid(learner)
            await learner.wait_for_status(order["id"], "fulfilled")
            await operator.refund(order["id"])
            await self._revoked(learner)
            if action == "revoke":  # bought again before that is made sure of
                order = await self._paid(learner)
                await learner.wait_for_status(order["id"], "fulfilled")
            await self._keep_of(name, learner)

    async def _revoked(self, learner: Shopper) -> None:
        rows = "SELECT 1 FROM entitlement WHERE user_id = %s AND status = 'revoked'"
        await wait_for(lambda: self._shop.query(rows, learner.user["id"]), bool, what="the revocation")

    async def _paid(self, learner: Shopper) -> dict[str, Any]:
        answer = await self._shop.place(learner)
        await self._shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
        return dict(answer["order"])

    async def _waiting(self, learner: Shopper) -> None:
        rows = "SELECT 1 FROM entitlement WHERE user_id = %s AND attempts > 0"
        await wait_for(lambda: self._shop.query(rows, learner.user["id"]), bool, what="the first attempt")

    async def _keep_of(self, name: str, learner: Shopper) -> None:
        await self._keep(name, ids.entitlement_workflow_id(learner.user["id"], COURSE))

    async def _refused(self) -> None:
        learner, operator = await self._shop.learner(), await self._shop.operator()
        await self._shop.lms.suspend(learner.user["lms_user_id"])
        order = await self._paid(learner)
        failed = await learner.wait_for_status(order["id"], "fulfillment_failed")
        await self._keep_of("entitlement-refused", learner)
        await self._shop.lms.suspend(learner.user["lms_user_id"], suspended=False)
        await operator.call("POST", f"/v1/entitlements/{failed['entitlements'][0]['id']}/retry", {})
        await learner.wait_for_status(order["id"], "fulfilled")
        await self._keep_of("entitlement-asked-again", learner)

    async def _maintained(self) -> None:
        learner, operator = await self._shop.learner(), await self._shop.operator()
        until = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
        await operator.call("PUT", "/v1/lms/maintenance", {"reason": "upgrade", "until": until})
        order = await self._paid(learner)
        await self._waiting(learner)
        await learner.wait_for_status(order["id"], "fulfilled", seconds=60)
        await self._keep_of("entitlement-maintained", learner)

    async def _maintained_early(self) -> None:
        """The maintenance is ended before its time: the pause is, too."""
        learner, operator = await self._shop.learner(), await self._shop.operator()
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        await operator.call("PUT", "/v1/lms/maintenance", {"reason": "upgrade", "until": until})
        order = await self._paid(learner)
        await self._waiting(learner)
        await operator.call("DELETE", "/v1/lms/maintenance")
        await learner.wait_for_status(order["id"], "fulfilled", seconds=60)
        await self._keep_of("entitlement-hurried", learner)

    async def _ended_on_its_way(self) -> None:
        learner, operator = await self._shop.learner(), await self._shop.operator()
        user_id = learner.user["lms_user_id"]
        await self._shop.lms.fault("grant", "server_error", count=None, user_id=user_id)
        order = await self._paid(learner)
        await self._waiting(learner)
        await operator.refund(order["id"])
        await self._keep_of("entitlement-ended-on-its-way", learner)
        await self._shop.lms.clear_faults()

    async def _merged_away(self) -> None:
        learner, survivor = await self._shop.learner(), await self._shop.learner()
        user_id = learner.user["lms_user_id"]
        await self._shop.lms.fault("grant", "server_error", count=None, user_id=user_id)
        await self._paid(learner)
        await self._waiting(learner)
        await self._shop.lms.merge(user_id, survivor.user["lms_user_id"])
        await self._keep_of("entitlement-merged-away", learner)
        await self._shop.lms.clear_faults()


async def record_access() -> None:
    """On a stack of its own."""
    from tests.histories.record import SHORT_WINDOW, recorder_of

    async with recorder_of(SHORT_WINDOW) as recorder:
        await recorder.access()


if __name__ == "__main__":
    asyncio.run(record_access())

"""Disputes won, lost, accepted, and an inquiry: `python -m tests.histories.disputes`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from devstack.shopper import wait_for
from domain import ids
from tests.e2e.conftest import Shop

Keep = Callable[[str, str], Awaitable[None]]


class DisputePaths:
    """Runs the paths, and keeps their histories."""

    def __init__(self, shop: Shop, keep: Keep) -> None:
        self._shop = shop
        self._keep = keep

    async def record(self) -> None:
        """Won after evidence, lost, accepted, an inquiry; and what happens by itself before a deadline."""
        stripe = self._shop.stripe
        made = await self._disputed()
        await self._ask(made, "submit-evidence")
        await self._until(made, lambda row: row["evidence_submitted_at"] is not None)
        await stripe.win_dispute(made["id"])
        await self._keep("dispute-won", ids.dispute_workflow_id(made["id"]))

        made = await self._disputed()
        await stripe.lose_dispute(made["id"])
        await self._keep("dispute-lost", ids.dispute_workflow_id(made["id"]))

        made = await self._disputed()
        await self._ask(made, "accept", reason="their card was stolen")
        await self._keep("dispute-accepted", ids.dispute_workflow_id(made["id"]))

        made = await self._disputed(inquiry=True)
        await stripe.lose_dispute(made["id"])
        await self._keep("dispute-inquiry", ids.dispute_workflow_id(made["id"]))

        made = await self._disputed(evidence_days=2.00005)
        await self._until(made, lambda row: row["reminded_at"] is not None)
        await stripe.win_dispute(made["id"])
        await self._keep("dispute-reminded", ids.dispute_workflow_id(made["id"]))

        made = await self._disputed(evidence_days=1.0001)
        await self._ask(made, "submit-evidence", {"when": "before_deadline"})
        await self._until(made, lambda row: row["evidence_submitted_at"] is not None)
        await stripe.win_dispute(made["id"])
        await self._keep("dispute-submitted-in-time", ids.dispute_workflow_id(made["id"]))

    async def _disputed(self, **more: Any) -> dict[str, Any]:
        order = await self._shop.buy(await self._shop.learner())
        made = await self._shop.stripe.dispute(order["payments"][0]["payment_intent_id"], **more)
        await self._until(made, lambda row: row["evidence"] is not None)
        return made

    async def _ask(
        self,
        made: dict[str, Any],
        what: str,
        body: dict[str, Any] | None = None,
        *,
        reason: str | None = None,
    ) -> None:
        operator = await self._shop.operator()
        rows = await self._shop.query("SELECT id FROM dispute WHERE provider_id = %s", made["id"])
        await operator.call("POST", f"/v1/disputes/{rows[0]['id']}/{what}", body, reason=reason)

    async def _until(self, made: dict[str, Any], good: Callable[[dict[str, Any]], bool]) -> None:
        await wait_for(
            lambda: self._shop.query("SELECT * FROM dispute WHERE provider_id = %s", made["id"]),
            lambda rows: bool(rows) and good(rows[0]),
            what="the dispute",
        )


async def record_disputes() -> None:
    """A stack for these paths alone."""
    from tests.histories.record import SHORT_WINDOW, recorder_of

    async with recorder_of(SHORT_WINDOW) as recorder:
        await recorder.disputes()


if __name__ == "__main__":
    asyncio.run(record_disputes())

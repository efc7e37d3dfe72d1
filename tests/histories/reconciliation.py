"""Paths of the reconciliation: clean, repaired, in several executions; a repair that leaves its difference.

`python -m tests.histories.reconciliation` records these only.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio.client import Client

from devstack.shopper import wait_for
from domain import ids
from domain.messages import ReconciliationInput
from tests.e2e.conftest import Shop
from workflows.reconciliation import ReconciliationWorkflow

Keep = Callable[..., Awaitable[None]]
ALL = "2000-01-01T00:00:00+00:00"


class ReconciliationPaths:
    """Runs the paths one after the other. What happens at the processor is five minutes old, and settled."""

    def __init__(self, shop: Shop, client: Client, keep: Keep) -> None:
        self._shop = shop
        self._client = client
        self._keep = keep

    async def record(self) -> None:
        """All of them."""
        stripe = self._shop.stripe
        await self._client.get_schedule_handle("inbox-recovery").pause()
        await stripe.set_clock_offset(-300)
        learner = await self._shop.learner()
        await self._shop.buy(learner)
        await self._keep_run("reconciliation-clean")

        answer = await self._shop.place(await self._shop.learner())
        await stripe.chaos(drop=["*"])
        await stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
        await self._keep_run("reconciliation-repaired")
        await stripe.clear_chaos()
        await self._keep("repair-sent", ids.repair_workflow_id(await self._difference("repaired")))

        await stripe.adjust(-500, "risk_reserved_funds")
        for _ in range(100):
            await stripe.adjust(-7, "fee")
        await self._keep_run("reconciliation-continued", pages_per_execution=1)
        difference_id = await self._difference("open")
        operator = await self._shop.operator()
        await operator.call("POST", f"/v1/reconciliation/differences/{difference_id}/repair", {})
        await self._keep("repair-left-open", ids.repair_workflow_id(difference_id))

    async def _keep_run(self, name: str, **given: Any) -> None:
        handle = await self._client.start_workflow(
            ReconciliationWorkflow.run,
            ReconciliationInput(period_from=ALL, **given),
            id=ids.reconciliation_workflow_id(uuid.uuid4().hex),
            task_queue=self._shop.stack.env["TEMPORAL_TASK_QUEUE"],
        )
        await asyncio.wait_for(handle.result(), 90)
        first = handle.first_execution_run_id
        await self._keep(name, handle.id, closed=False, run_id=first)

    async def _difference(self, state: str) -> str:
        async def look() -> list[dict[str, Any]]:
            return await self._shop.query(
                "SELECT id FROM reconciliation_difference WHERE state = %s ORDER BY id DESC", state
            )

        return str((await wait_for(look, bool, what=f"a difference that is {state}"))[0]["id"])


async def record() -> None:
    """Only these paths."""
    from tests.histories.record import recorder_of

    async with recorder_of({"TEMPORAL_ENCRYPT_PAYLOADS": "false"}) as recorder:
        await recorder.reconciliations()


if __name__ == "__main__":
    asyncio.run(record())

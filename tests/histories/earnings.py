"""Paths of earnings: held by a dispute, on payment, reassigned, paid out, written off, the nightly check.

`python -m tests.histories.earnings` records these only.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from temporalio.client import Client

from devstack.shopper import Shopper, wait_for
from domain import ids, messages
from tests.e2e.conftest import Shop

Keep = Callable[[str, str], Awaitable[None]]


class EarningPaths:
    """Runs the paths one after the other on a stack that holds earnings for a few seconds."""

    def __init__(self, shop: Shop, client: Client, keep: Keep) -> None:
        self._shop = shop
        self._client = client
        self._keep = keep

    async def record(self) -> None:
        """All of them."""
        operator = await self._shop.operator()
        await self._held_by_a_dispute(operator)
        line_id, payee = await self._on_payment(operator)
        await self._reassigned(operator, line_id, payee)
        await self._paid_out_and_written_off(operator)
        await self._client.get_schedule_handle("earnings-identity").trigger()
        await self._keep("earnings-identity", await self._latest(messages.EARNINGS_IDENTITY))

    async def _sell(self, operator: Shopper, recognition: str = "on_completion") -> tuple[str, str, str]:
        """A course of its own, sold; the line, its only payee (of 60 %) and the order."""
        slug = f"history-{uuid.uuid4().hex[:10]}"
        payee = f"lms:{slug}"
        await self._shop.lms.add_course(slug, slug)
        price = {"amount": 10_000, "currency": "USD"}
        item = await operator.call(
            "POST",
            "/v1/catalog/items",
            {"slug": slug, "type": "course", "title": slug, "lms_course_id": slug, "prices": [price],
             "tax_code": "txcd_20060158", "recognition": recognition},
        )  # fmt: skip
        rule = {"scope": {"item_id": item["id"]}, "valid_from": "2026-01-01T00:00:00Z"}
        await operator.call("POST", "/v1/split-rules", rule | {"shares": [{"payee": payee, "bps": 6000}]})
        learner = await self._shop.learner()
        order = await self._shop.buy(learner, slug)
        if recognition == "on_completion":
            await self._shop.lms.complete(learner.user["lms_user_id"], slug)
        return order["lines"][0]["id"], payee, order["id"]

    async def _held_by_a_dispute(self, operator: Shopper) -> None:
        line_id, _, order_id = await self._sell(operator)
        await self._execute("UPDATE orders SET dispute_state = 'open' WHERE id = %s", order_id)
        split = self._client.get_workflow_handle(ids.split_workflow_id(line_id))
        await split.signal(messages.SIGNAL_LINE)
        await asyncio.sleep(6)
        await self._execute("UPDATE orders SET dispute_state = 'won' WHERE id = %s", order_id)
        await split.signal(messages.SIGNAL_LINE)
        await self._keep("split-held-by-dispute", split.id)

    async def _on_payment(self, operator: Shopper) -> tuple[str, str]:
        line_id, payee, _ = await self._sell(operator, "on_payment")
        await self._keep("split-on-payment", ids.split_workflow_id(line_id))
        return line_id, payee

    async def _reassigned(self, operator: Shopper, line_id: str, payee: str) -> None:
        body = {"order_line_id": line_id, "from_payee": payee, "to_payee": f"{payee}-2", "reason": "teacher"}
        amount = {"amount": 6000, "currency": "USD"}
        done = await operator.call("POST", "/v1/earnings/reassignments", body | {"amount": amount})
        await self._keep("correction-reassigned", ids.correction_workflow_id(done["id"]))
        await self._keep("split-released-again", ids.split_workflow_id(line_id))
        key = str(uuid.uuid4())
        await operator.send("POST", "/v1/earnings/reassignments", body | {"amount": amount}, key=key)
        row = await self._shop.query("SELECT object_id FROM idempotency_record WHERE key = %s", key)
        await self._keep("correction-refused", ids.correction_workflow_id(str(row[0]["object_id"])))

    async def _paid_out_and_written_off(self, operator: Shopper) -> None:
        payee = f"lms:{uuid.uuid4().hex[:10]}"
        await self._shop.payout.settle(payee, "USD", 700)
        await self._keep("payout-beyond-released", await self._latest(messages.PAYOUT))
        body = {"payee_ref": payee, "amount": {"amount": 700, "currency": "USD"}, "reason": "gone"}
        done = await operator.call("POST", "/v1/earnings/write-offs", body)
        await self._keep("correction-written-off", ids.correction_workflow_id(done["id"]))

    async def _latest(self, workflow_type: str) -> str:
        async def found() -> str | None:
            async for one in self._client.list_workflows(f"WorkflowType = '{workflow_type}'"):
                return one.id
            return None

        return str(await wait_for(found, bool, what=workflow_type))

    async def _execute(self, statement: str, *values: Any) -> None:
        url = self._shop.stack.urls.database_url.replace("+psycopg", "", 1)
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute(statement, values)  # type: ignore[arg-type]


async def record_earnings() -> None:
    """A stack for these paths alone."""
    from tests.histories.record import SHORT_WINDOW, recorder_of

    async with recorder_of(SHORT_WINDOW) as recorder:
        await recorder.earnings()


if __name__ == "__main__":
    asyncio.run(record_earnings())

"""`python -m tests.histories.record`: runs every path on a stack of its own and keeps the histories.

Run it when a workflow has a new path. A path whose recorded history no longer replays needs
`workflow.patched`, not a new recording: orders in flight have the old one.
"""

import asyncio
import re
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from temporalio.client import Client

from devstack.lms_standin.control import LmsControl
from devstack.logs import LogSink
from devstack.payout_receiver.control import PayoutControl
from devstack.shopper import ApiProblem, wait_for
from devstack.stack import Stack, StackSettings
from devstack.stripe_standin.control import StripeControl
from domain import messages
from tests.e2e.conftest import Shop
from tests.e2e.processor import pay_behind_our_back
from tests.histories.access import AccessPaths, record_access
from tests.histories.accounts import AccountPaths, record_accounts
from tests.histories.credit import CreditPaths
from tests.histories.disputes import DisputePaths
from tests.histories.earnings import EarningPaths
from tests.histories.erasure import ErasurePaths, record_erasures
from tests.histories.late_failures import LateFailurePaths
from tests.histories.polling import PollingPaths
from tests.histories.reconciliation import ReconciliationPaths
from tests.histories.refunds import RefundPaths
from tests.histories.resolutions import ResolutionPaths, record_resolutions

FOLDER = Path(__file__).parent.parent / "data" / "histories"
SHORT_WINDOW = {
    "EARNINGS_HOLD_DAYS": "0.00003",
    "PAYMENT_WINDOW_MINUTES": "0.1",
    "TEMPORAL_ENCRYPT_PAYLOADS": "false",  # histories are read here, by people and by the replay
}


class Recorder:
    """Runs the paths one after the other."""

    def __init__(self, shop: Shop, client: Client) -> None:
        self._shop = shop
        self._client = client

    async def keep(
        self, name: str, workflow_id: str, *, closed: bool = True, run_id: str | None = None
    ) -> None:
        """Write the history of a workflow, once it has closed."""
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
        if closed:
            await asyncio.wait_for(handle.result(), 60)
        history = await handle.fetch_history()
        # Who ran it and where is of no use to a replay, and names the machine.
        text = re.sub(r'"\d+@[^"]*"', '"recorded"', history.to_json())
        text = text.replace(f"{Path.cwd()}/", "")
        await asyncio.to_thread((FOLDER / f"{name}.json").write_text, text + "\n")
        print(f"{name:<40} {len(history.events):>4} events  {workflow_id}")

    async def sales(self) -> None:
        """Paid, free, declined, processing, completed and released."""
        shop = self._shop
        learner = await shop.learner()
        order = await shop.buy(learner)
        user = await self._commerce_user(learner.user["lms_user_id"])
        await self.keep("checkout-paid", order["workflow_id"])
        await self.keep("entitlement-granted", f"entitlement/{user}/python-101")
        await shop.lms.complete(learner.user["lms_user_id"], "python-101")
        await self.keep("split-released", f"split/{order['lines'][0]['id']}")
        await self.keep("entitlement-completed", f"entitlement/{user}/python-101")
        transaction = (await shop.query("SELECT id FROM balance_transaction ORDER BY created_at LIMIT 1"))[0]
        await self.keep("balance-transaction", f"balance-transaction/{transaction['id']}")
        delivery = (
            await shop.query(
                "SELECT d.endpoint_id, e.stream FROM webhook_delivery d JOIN outbound_event e "
                "ON e.id = d.event_id WHERE d.status = 'delivered' LIMIT 1"
            )
        )[0]
        await self.keep("delivery", f"delivery/{delivery['endpoint_id']}/{delivery['stream']}")

        learner = await shop.learner()
        await learner.add("python-101")
        await learner.promo("FREE100")
        answer = await learner.checkout()
        await self.keep("checkout-free", answer["order"]["workflow_id"])

        learner = await shop.learner()
        answer = await shop.place(learner)
        intent = answer["payment"]["payment_intent_id"]
        await shop.stripe.confirm(intent, "pm_card_chargeDeclined")
        await asyncio.sleep(0.5)
        await shop.stripe.confirm(intent, "pm_card_visa")
        await self.keep("checkout-declined-then-paid", answer["order"]["workflow_id"])

        learner = await shop.learner()
        answer = await shop.place(learner)
        intent = answer["payment"]["payment_intent_id"]
        await shop.stripe.confirm(intent, "pm_usBankAccount_processing")
        await asyncio.sleep(1)
        await shop.stripe.settle(intent)
        await self.keep("checkout-processing", answer["order"]["workflow_id"])

    async def tried_cards(self) -> None:
        """Declined as often as is let through: the intent is ended, and the order with it."""
        answer = await self._shop.place(await self._shop.learner())
        await self._shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_chargeDeclined")
        await self.keep("checkout-ended-for-declines", answer["order"]["workflow_id"])

    async def unhappy_ends(self) -> None:
        """Canceled, refused, expired, refused by the LMS, money that came too late or was wrong."""
        shop, operator = self._shop, await self._shop.operator()
        learner = await shop.learner()
        answer = await shop.place(learner)
        await learner.call("POST", f"/v1/orders/{answer['order']['id']}/cancel", {})
        await self.keep("checkout-canceled", answer["order"]["workflow_id"])
        intent = await pay_behind_our_back(shop, answer["order"]["id"], answer["order"]["total"]["amount"])
        await wait_for(lambda: learner.order(answer["order"]["id"]), lambda o: bool(o["refunds"]))
        await self.keep("late-payment-refunded", f"late-payment/{intent}")

        learner = await shop.learner()
        await learner.add("python-101")
        key = str(uuid.uuid4())
        try:
            await learner.checkout(key=key, expected_total={"amount": 1, "currency": "USD"})
        except ApiProblem as problem:
            assert problem.code == "price_changed"
        row = await shop.query("SELECT object_id FROM idempotency_record WHERE key = %s", key)
        await self.keep("checkout-refused", f"order/{row[0]['object_id']}")

        learner = await shop.learner()
        answer = await shop.place(learner)
        await self.keep("checkout-expired", answer["order"]["workflow_id"])
        intent = await pay_behind_our_back(shop, answer["order"]["id"], answer["order"]["total"]["amount"])
        await learner.wait_for_status(answer["order"]["id"], "fulfilled")
        await self.keep("late-payment-revived", f"late-payment/{intent}")

        learner = await shop.learner()
        answer = await shop.place(learner)
        await pay_behind_our_back(shop, answer["order"]["id"], 100)
        await self.keep("checkout-unapplied", answer["order"]["workflow_id"])

        learner = await shop.learner()
        answer = await shop.place(learner)
        await shop.lms.suspend(learner.user["lms_user_id"])
        await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
        order = await learner.wait_for_status(answer["order"]["id"], "fulfillment_failed")
        await shop.lms.suspend(learner.user["lms_user_id"], suspended=False)
        await operator.call("POST", f"/v1/entitlements/{order['entitlements'][0]['id']}/retry", {})
        await self.keep("checkout-lms-refuses-then-retried", order["workflow_id"])

    async def refunds(self) -> None:
        """Succeeded, refused, pending. (`refund-failed` was recorded when a failed refund was the end.)"""
        shop, operator = self._shop, await self._shop.operator()
        learner = await shop.learner()
        order = await shop.buy(learner)
        refund = await operator.refund(order["id"])
        await self.keep("refund-succeeded", f"refund/{refund['id']}")
        await self.keep("split-refunded", f"split/{order['lines'][0]['id']}")
        user = await self._commerce_user(learner.user["lms_user_id"])
        await self.keep("entitlement-revoked", f"entitlement/{user}/python-101")
        key = str(uuid.uuid4())
        await operator.send("POST", f"/v1/orders/{order['id']}/refunds", {"reason": "again"}, key=key)
        row = await shop.query("SELECT object_id FROM idempotency_record WHERE key = %s", key)
        await self.keep("refund-refused", f"refund/{row[0]['object_id']}")
        order = await shop.buy(await shop.learner(), method="pm_card_pendingRefund")
        refund = await operator.refund(order["id"])
        await self._settle_refund(refund["id"])
        await self.keep("refund-pending", f"refund/{refund['id']}")

    async def disputes(self) -> None:
        """Won, lost, accepted, an inquiry."""
        await DisputePaths(self._shop, self.keep).record()

    async def late_failures(self) -> None:
        """Returned after they had succeeded."""
        await LateFailurePaths(self._shop, self.keep).record()

    async def polling(self) -> None:
        """Completions that the LMS was asked for."""
        await PollingPaths(self._shop, self._client, self.keep).record()

    async def resolutions(self) -> None:
        """Questions to buyers, and changes of runs."""
        await ResolutionPaths(self._shop, self._client, self.keep).record()

    async def access(self) -> None:
        """Access that the LMS refuses, lets wait, or that ends on its way."""
        await AccessPaths(self._shop, self.keep).record()

    async def erasures(self) -> None:
        """Persons who are erased."""
        await ErasurePaths(self._shop, self.keep).record()

    async def accounts(self) -> None:
        """Accounts that the LMS changes."""
        await AccountPaths(self._shop, self.keep).record()

    async def taken_up_refunds(self) -> None:
        """Failed and taken up, and made at the processor."""
        await RefundPaths(self._shop, self.keep).record()

    async def _settle_refund(self, refund_id: str) -> None:
        async def provider_id() -> str | None:
            rows = await self._shop.query("SELECT provider_refund_id FROM refund WHERE id = %s", refund_id)
            found: str | None = rows[0]["provider_refund_id"]
            return found

        found = await wait_for(provider_id, bool, what="the processor's refund")
        await self._shop.stripe.settle_refund(str(found))

    async def _commerce_user(self, lms_user_id: str) -> str:
        rows = await self._shop.query("SELECT id FROM commerce_user WHERE lms_user_id = %s", lms_user_id)
        return str(rows[0]["id"])

    async def taxes(self) -> None:
        """A sale and a refund that Stripe Tax is told of; the stack calculates tax there."""
        learner, operator = await self._shop.learner(), await self._shop.operator()
        order = await self._shop.buy(learner)
        await operator.refund(order["id"])

        async def issued() -> list[dict[str, Any]]:
            return await self._shop.query(
                "SELECT id, kind FROM document WHERE order_id = %s ORDER BY id", order["id"]
            )

        for document in await wait_for(issued, lambda found: len(found) == 2, what="two documents"):
            await self.keep(f"tax-report-{document['kind']}", f"tax-report/{document['id']}")

    async def outbound(self) -> None:
        """A delivery that an operator hurries, and a replay."""
        shop, operator = self._shop, await self._shop.operator()
        (endpoint,) = (await operator.call("GET", "/v1/webhook-endpoints"))["data"]
        path = f"/v1/webhook-endpoints/{endpoint['id']}"
        since = datetime.now(UTC).isoformat()
        await shop.payout.fault(status=503, retry_after="3600", type="earning.accrued")
        learner = await shop.learner()
        await shop.buy(learner)
        await shop.lms.complete(learner.user["lms_user_id"], "python-101")

        async def waiting() -> list[dict[str, Any]]:
            found = (await operator.call("GET", f"{path}/deliveries?status=pending"))["data"]
            return [one for one in found if one["attempts"] == 1]

        delivery = (await wait_for(waiting, bool))[0]
        await operator.call("POST", f"/v1/webhook-deliveries/{delivery['id']}/redeliver")
        await self.keep("delivery-hurried", f"delivery/{delivery['endpoint_id']}/{delivery['stream']}")
        replay = await operator.call("POST", f"{path}/replay", {"since": since})
        await self.keep("webhook-replay", replay["workflow_id"])

    async def earnings(self) -> None:
        """Held, released, reassigned, paid out, written off."""
        await EarningPaths(self._shop, self._client, self.keep).record()

    async def credit(self) -> None:
        """Store credit given, spent, given back."""
        await CreditPaths(self._shop, self.keep).record()

    async def reconciliations(self) -> None:
        """Processor and books compared; the inbox recovery is paused, the processor's clock moved."""
        await ReconciliationPaths(self._shop, self._client, self.keep).record()

    async def scheduled(self) -> None:
        """One run of each Schedule that has no paths of its own. (`inbox-recovery` was recorded when its
        steps ran one after the other.)"""
        for schedule, name, kind in (
            ("inbox-recovery", "inbox-recovery-side-by-side", messages.INBOX_RECOVERY),
            ("ledger-seal", "ledger-seal", messages.LEDGER_SEAL),
            ("retention", "retention", messages.RETENTION),
        ):
            await self._client.get_schedule_handle(schedule).trigger()
            async for found in self._client.list_workflows(f"WorkflowType = '{kind}'"):
                await self.keep(name, found.id)
                break


@asynccontextmanager
async def recorder_of(environment: dict[str, str]) -> AsyncIterator[Recorder]:
    """A recorder on a stack of its own."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="commerce-record-") as folder:
        settings = StackSettings.isolated(Path(folder) / "data", environment=environment)
        async with (
            Stack(settings, log=LogSink()) as stack,
            StripeControl(stack.urls.stripe) as stripe,
            LmsControl(stack.urls.lms) as lms,
            PayoutControl(stack.urls.payout) as payout,
        ):
            yield Recorder(Shop(stack, stripe, lms, payout), await Client.connect(stack.urls.temporal))


async def record_taxes() -> None:
    """Paths of a product whose tax is Stripe's."""
    async with recorder_of(SHORT_WINDOW | {"TAX_PROVIDER": "stripe"}) as recorder:
        await recorder.taxes()


async def record_tried_cards() -> None:
    """A path of a product that lets one payment be declined."""
    async with recorder_of(SHORT_WINDOW | {"RATE_LIMIT_FACTOR": "0.05"}) as recorder:
        await recorder.tried_cards()


async def record() -> None:
    """Run everything; the folder then holds one file a path."""
    async with recorder_of(SHORT_WINDOW) as recorder:
        await recorder.sales()
        await recorder.unhappy_ends()
        await recorder.refunds()
        await recorder.taken_up_refunds()
        await recorder.disputes()
        await recorder.late_failures()
        await recorder.polling()
        await recorder.outbound()
        await recorder.earnings()
        await recorder.credit()
        await recorder.scheduled()
        await recorder.reconciliations()
    await record_taxes()
    await record_tried_cards()
    await record_resolutions()
    await record_erasures()
    await record_access()
    await record_accounts()


if __name__ == "__main__":
    asyncio.run(record())

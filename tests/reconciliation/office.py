"""What an operator's office does and sees: runs of the reconciliation, differences, accounts."""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

import stripe

from activities.reconciliation import RunReport
from config import DEVELOPMENT_STRIPE_KEY
from domain import ids
from domain.ledger import EntryDraft
from domain.messages import BalanceTransactionInput, ReconciliationInput
from models.queries import ledger
from tests.workflows.bench import Bench, Placed
from workflows.reconciliation import ReconciliationWorkflow

COURSE = "python-101"
ALL = "2000-01-01T00:00:00+00:00"


@dataclass
class Office:
    """One product, and the processor's account behind it."""

    bench: Bench

    async def start(self, **given: Any) -> Any:
        """Start a run over all that there is, or the period that is given; its handle."""
        given = {"period_from": ALL, **given}
        return await self.bench.skipper.client.start_workflow(
            ReconciliationWorkflow.run,
            ReconciliationInput(**given),
            id=ids.reconciliation_workflow_id(uuid.uuid4().hex),
            task_queue=self.bench.settings.temporal_task_queue,
        )

    async def reconcile(self, **given: Any) -> RunReport:
        """Run to the end."""
        report: RunReport = await asyncio.wait_for((await self.start(**given)).result(), 60)
        return report

    async def differences(self, state: str | None = None) -> list[dict[str, Any]]:
        """Oldest first."""
        return await self.bench.query(
            "SELECT * FROM reconciliation_difference WHERE %s::text IS NULL OR state = %s ORDER BY id",
            state,
            state,
        )

    async def open(self) -> list[tuple[str, str, int, int]]:
        """Kind, currency, expected and found of what is open, sorted."""
        rows = await self.differences("open")
        return sorted((row["kind"], row["currency"], row["expected"], row["found"]) for row in rows)

    async def balance(self, account: str, currency: str = "USD") -> int:
        """Minor units, debit > 0."""
        row = await self.bench.one(
            "SELECT coalesce(sum(amount), 0)::bigint AS amount FROM posting "
            "WHERE account = %s AND currency = %s",
            account,
            currency,
        )
        return int(row["amount"])

    async def entries(self, kind: str) -> int:
        """How many entries of a kind there are."""
        rows = await self.bench.query("SELECT id FROM journal_entry WHERE kind = %s", kind)
        return len(rows)

    async def movements(self) -> list[dict[str, Any]]:
        """The processor's balance transactions, oldest first."""
        return (await self.bench.stripe.listing("balance_transactions"))[::-1]

    async def take_in(self, transaction_id: str) -> str:
        """What a webhook about a balance transaction leads to."""
        handle = await self.bench.skipper.client.start_workflow(
            "BalanceTransactionWorkflow",
            BalanceTransactionInput(transaction_id, None),
            id=ids.balance_transaction_workflow_id(transaction_id),
            task_queue=self.bench.settings.temporal_task_queue,
        )
        return str(await asyncio.wait_for(handle.result(), 30))

    async def post(
        self, drafts: tuple[EntryDraft, ...], effective_at: Any, order_id: str | None = None
    ) -> None:
        """Post entries past every workflow."""
        async with self.bench.resources.database.transaction() as session:
            await ledger.post(session, drafts, order_id=order_id, effective_at=effective_at)

    async def bought(self) -> Placed:
        """A fulfilled order, whose movement has been taken in."""
        order = await self.bench.bought(COURSE)
        await self.bench.take_events_in()
        return order

    async def paid_silently(self) -> Placed:
        """An order whose payment succeeded, and no event ever told."""
        order = await self.bench.place(COURSE)
        assert order.intent_id is not None
        await self.bench.stripe.confirm(order.intent_id, "pm_card_visa")
        return order

    async def foreign_payment(self, amount: int, order_id: str | None = None) -> str:
        """Another product sells something in the same account; returns the intent's id."""
        client = stripe.StripeClient(
            DEVELOPMENT_STRIPE_KEY,
            base_addresses={"api": self.bench.stripe_process.base_url},
            http_client=stripe.HTTPXClient(timeout=20),
        )
        intent = await client.v1.payment_intents.create_async(
            {
                "amount": amount,
                "currency": "usd",
                "metadata": {} if order_id is None else {"order_id": order_id},
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            }
        )
        await client.v1.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"})
        return str(intent.id)

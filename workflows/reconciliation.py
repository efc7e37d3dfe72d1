"""Keeping the books in step with the processor, and nothing lost: fees, missed events, lost wake-ups."""

from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.inbox import InboxActivities
    from activities.payments import PaymentActivities
    from domain import messages
    from domain.messages import BalanceTransactionInput
    from workflows import options


@workflow.defn(name=messages.BALANCE_TRANSACTION)
class BalanceTransactionWorkflow:
    """Posts the fee of one balance transaction."""

    @workflow.run
    async def run(self, transaction: BalanceTransactionInput) -> str:
        """Returns what was posted."""
        return await workflow.execute_activity_method(
            PaymentActivities.post_balance_transaction,
            transaction,
            summary=f"Post the fee of {transaction.transaction_id}",
            **options.PROCESSOR,
        )


@workflow.defn(name=messages.INBOX_RECOVERY)
class InboxRecoveryWorkflow:
    """Run by a Schedule: dispatches what was stored only, fetches what never came, wakes deliveries."""

    @workflow.run
    async def run(self) -> str:
        """Returns what was found, for the operator. A step that fails does not keep the others waiting;
        the next run of the Schedule tries it again."""
        found = [
            await self._step("missed", InboxActivities.fetch_missed_events, "Read the processor's events"),
            await self._step(
                "dispatched", InboxActivities.dispatch_leftovers, "Dispatch what was only stored"
            ),
            await self._step("woken", InboxActivities.wake_deliveries, "Wake deliveries"),
            await self._step("resumed", InboxActivities.resume_lost_workflows, "Start lost workflows"),
        ]
        return ", ".join(found)

    async def _step(self, name: str, method: Callable[..., Awaitable[int]], why: str) -> str:
        try:
            count: int = await workflow.execute_activity(method, summary=why, **options.RECOVERY)
        except ActivityError as error:
            return f"{name}: failed ({error.cause})"
        return f"{name}: {count}"

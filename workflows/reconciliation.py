"""Keeping the books in step with the processor, and nothing lost: fees, missed events, lost wake-ups."""

from temporalio import workflow

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
        """Returns what was found, for the operator."""
        missed = await workflow.execute_activity_method(
            InboxActivities.fetch_missed_events,
            summary="Read the processor's list of events",
            **options.PROCESSOR,
        )
        dispatched = await workflow.execute_activity_method(
            InboxActivities.dispatch_leftovers,
            summary="Dispatch events that reached no workflow",
            **options.MESSAGE,
        )
        woken = await workflow.execute_activity_method(
            InboxActivities.wake_deliveries, summary="Wake deliveries", **options.MESSAGE
        )
        resumed = await workflow.execute_activity_method(
            InboxActivities.resume_lost_workflows,
            summary="Start workflows that Temporal does not know",
            **options.MESSAGE,
        )
        return f"{missed} missed, {dispatched} dispatched, {woken} deliveries woken, {resumed} resumed"

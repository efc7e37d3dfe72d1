"""Money that succeeded when its order could no longer take it."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.late_payments import LatePaymentActivities
    from domain import messages
    from domain.messages import LatePaymentInput
    from workflows import options, search_attributes


@workflow.defn(name=messages.LATE_PAYMENT)
class LatePaymentWorkflow:
    """Take the seat again and go on with the order, or send the money back, with the reason recorded."""

    @workflow.run
    async def run(self, late: LatePaymentInput) -> str:
        """Decide, then start what follows from the decision."""
        workflow.upsert_search_attributes([search_attributes.PAYMENT_INTENT_ID.value_set(late.intent_id)])
        decision = await workflow.execute_local_activity_method(
            LatePaymentActivities.decide, late, **options.DATABASE
        )
        workflow.set_current_details(f"**{decision.outcome}**: {decision.reason}")
        await workflow.execute_activity_method(
            LatePaymentActivities.carry_out,
            decision,
            summary=f"{decision.outcome}: {decision.reason}",
            **options.MESSAGE,
        )
        return f"{decision.outcome}: {decision.reason}"

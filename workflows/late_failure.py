"""A payment that counted as paid and failed after all."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.late_failures import IGNORED, LateFailureActivities
    from domain import messages
    from domain.messages import LateFailureInput
    from domain.money import as_read
    from workflows import options, search_attributes


@workflow.defn(name=messages.LATE_FAILURE)
class LateFailureWorkflow:
    """Undo the sale in the books, then tell whom it concerns."""

    @workflow.run
    async def run(self, given: LateFailureInput) -> str:
        """Take the failure in, once; returns what became of it."""
        workflow.upsert_search_attributes([search_attributes.PAYMENT_INTENT_ID.value_set(given.intent_id)])
        failure = await workflow.execute_activity_method(
            LateFailureActivities.take_in_late_failure,
            given,
            summary=f"Look at the charge of {given.intent_id}, and undo the sale",
            **options.PROCESSOR,
        )
        if failure.outcome == IGNORED:
            return f"{failure.outcome}: {failure.reason}"
        workflow.upsert_search_attributes([search_attributes.ORDER_NUMBER.value_set(failure.order_number)])
        workflow.set_current_details(
            f"The bank returned {as_read(failure.amount, failure.currency)} of order "
            f"{failure.order_number}: **{failure.outcome}** ({failure.reason})."
        )
        await workflow.execute_activity_method(
            LateFailureActivities.tell_of_late_failure,
            failure,
            summary="Tell revenue splits, entitlements and the order",
            **options.MESSAGE,
        )
        return f"{failure.outcome}: {failure.reason}"

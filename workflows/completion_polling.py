"""Completions of an LMS that sends no events."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.completions import CompletionActivities
    from domain import messages
    from workflows import options


@workflow.defn(name=messages.COMPLETION_POLLING)
class CompletionPollingWorkflow:
    """Run by a Schedule every `LMS_POLL_SECONDS`, where the LMS has to be asked."""

    @workflow.run
    async def run(self) -> str:
        """Returns what was found, for the operator."""
        polled = await workflow.execute_activity_method(
            CompletionActivities.poll_completions,
            summary="Ask the LMS which courses were completed",
            **options.RECOVERY,
        )
        said = f"{polled.asked} enrolments asked for, {polled.completed} completed"
        if polled.taken_back:
            said += f", {polled.taken_back} taken back"
        return said if polled.stopped_by is None else f"{said}; ended early: {polled.stopped_by}"

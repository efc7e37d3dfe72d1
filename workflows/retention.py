"""Nothing is kept for longer than it is said to be."""

from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.retention import RetentionActivities
    from domain import messages
    from workflows import options


@workflow.defn(name=messages.RETENTION)
class RetentionWorkflow:
    """Run every hour by a Schedule: ends stored answers, logs and bodies of events whose time is over."""

    @workflow.run
    async def run(self) -> str:
        """Returns how much was ended, for the operator. A step that fails does not keep the others waiting;
        the next run tries it again."""
        found = [
            await self._step("stored answers", RetentionActivities.purge_answers),
            await self._step("webhook attempts", RetentionActivities.purge_webhook_log),
            await self._step("bodies of events", RetentionActivities.purge_inbox),
            await self._step("audit entries", RetentionActivities.purge_audit),
        ]
        told = ", ".join(found)
        workflow.set_current_details(f"Ended: {told}")
        return told

    async def _step(self, name: str, method: Callable[..., Awaitable[int]]) -> str:
        try:
            count: int = await workflow.execute_activity(
                method, summary=f"End old {name}", **options.RECOVERY
            )
        except ActivityError as error:
            return f"{name}: failed ({error.cause})"
        return f"{name}: {count}"

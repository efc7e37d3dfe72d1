"""Delivers one stream of events to one endpoint, in order, with retries over days."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.deliveries import DeliveryActivities
    from domain import messages
    from domain.messages import DeliveryInput
    from workflows import options

# Ten attempts over about four days; the pause after the n-th failed one.
PAUSES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
# A receiver in trouble may ask for a longer pause, but not for ever.
_LONGEST_PAUSE = timedelta(hours=24)
_CONTINUE_AFTER = 500


@workflow.defn(name=messages.WEBHOOK_DELIVERY)
class WebhookDeliveryWorkflow:
    """One at a time: the next event of a stream leaves when the one before it has arrived or given up."""

    @workflow.init
    def __init__(self, stream: DeliveryInput) -> None:
        self._woken = False

    @workflow.run
    async def run(self, stream: DeliveryInput) -> int:
        """Deliver until nothing is pending; returns how many attempts this run made."""
        attempts = 0
        while True:
            self._woken = False
            outcome = await workflow.execute_activity_method(
                DeliveryActivities.deliver_next,
                stream,
                summary=f"Deliver the next event of {stream.stream}",
                **options.MESSAGE,
            )
            attempts += 1
            if outcome.status == "nothing":
                if not self._woken:
                    return attempts
            elif outcome.status == "retry":
                await self._pause(outcome.attempts, outcome.retry_after_seconds, outcome.detail)
            if attempts >= _CONTINUE_AFTER or workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(stream)

    @workflow.signal(name=messages.SIGNAL_WAKE)
    def wake(self) -> None:
        """Something new is pending."""
        self._woken = True

    async def _pause(self, attempts: int, retry_after_seconds: float | None, detail: str) -> None:
        pause = PAUSES[min(attempts, len(PAUSES)) - 1]
        if retry_after_seconds is not None:
            pause = min(max(pause, timedelta(seconds=retry_after_seconds)), _LONGEST_PAUSE)
        workflow.set_current_details(f"Attempt {attempts} failed: {detail}. Next in {pause}.")
        await workflow.sleep(pause, summary=f"Pause after attempt {attempts}: {detail}")

"""Delivers one stream of events to one endpoint, in order, with retries over days; sends events again."""

import dataclasses
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.deliveries import DeliveryActivities
    from domain import deliveries, messages
    from domain.messages import DeliveryInput, ReplayInput
    from workflows import options

_CONTINUE_AFTER = 500
_LONGEST_CROWDED_PAUSE = timedelta(minutes=2)


@workflow.defn(name=messages.WEBHOOK_DELIVERY)
class WebhookDeliveryWorkflow:
    """One at a time: the next event of a stream leaves when the one before it has arrived or given up."""

    @workflow.init
    def __init__(self, stream: DeliveryInput) -> None:
        self._woken = False
        self._hurried = False

    @workflow.run
    async def run(self, stream: DeliveryInput) -> int:
        """Deliver until nothing is pending; returns how often this run asked for the next event."""
        asked = crowded = 0
        while True:
            self._woken = self._hurried = False
            outcome = await workflow.execute_activity_method(
                DeliveryActivities.deliver_next,
                stream,
                summary=f"Deliver the next event of {stream.stream}",
                **options.DELIVERY,
            )
            asked += 1
            crowded = crowded + 1 if outcome.status == "crowded" else 0
            if outcome.status == "nothing":
                if not self._woken and not self._hurried:
                    return asked
            elif outcome.status == "crowded":
                await self._wait_for_room(crowded)
            elif outcome.status == "retry":
                pause = deliveries.pause_after(outcome.attempts, outcome.retry_after_seconds)
                await self._wait(pause, f"Attempt {outcome.attempts} failed: {outcome.detail}")
            if asked >= _CONTINUE_AFTER or workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(stream)

    @workflow.signal(name=messages.SIGNAL_WAKE)
    def wake(self) -> None:
        """Something new is pending; it waits its turn."""
        self._woken = True

    @workflow.signal(name=messages.SIGNAL_RETRY_NOW)
    def retry_now(self) -> None:
        """An operator does not want to wait: end the pause."""
        self._hurried = True

    async def _wait_for_room(self, times: int) -> None:
        """The receiver has enough of our requests open; who waits longer asks less often."""
        longest = min(2.0**times, _LONGEST_CROWDED_PAUSE.total_seconds())
        pause = timedelta(seconds=workflow.random().uniform(longest / 2, longest))
        await self._wait(pause, "The receiver has many requests open")

    async def _wait(self, pause: timedelta, why: str) -> None:
        workflow.set_current_details(f"{why}. Next in {pause}.")
        try:
            await workflow.wait_condition(lambda: self._hurried, timeout=pause, timeout_summary=why)
        except TimeoutError:
            return


@workflow.defn(name=messages.WEBHOOK_REPLAY)
class WebhookReplayWorkflow:
    """Makes events of an endpoint pending again, stream by stream, and has each stream sent now."""

    @workflow.init
    def __init__(self, asked: ReplayInput) -> None:
        self._events = asked.events

    @workflow.run
    async def run(self, asked: ReplayInput) -> int:
        """Returns how many events were made pending; their deliveries send them."""
        batches = 0
        while True:
            batch = await workflow.execute_activity_method(
                DeliveryActivities.replay_streams,
                asked,
                summary=f"Send again what comes after {asked.after}" if asked.after else "Send again",
                **options.REPLAY,
            )
            self._events += batch.events
            workflow.set_current_details(f"{self._events} events are on their way again.")
            if batch.last_stream is None:
                return self._events
            asked = dataclasses.replace(asked, after=batch.last_stream, events=self._events)
            batches += 1
            if batches >= _CONTINUE_AFTER or workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(asked)

    @workflow.query
    def events(self) -> int:
        """How many events have been made pending so far."""
        return self._events

"""A cancelled or rescheduled run: batch after batch its buyers are asked, until every line is decided."""

import contextlib
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.run_changes import ChangeReview, RunChangeActivities
    from domain import messages
    from domain.messages import RunChangeInput
    from workflows import options

# Orders that are being cancelled end soon; the pause grows for those that the processor keeps open.
_SHORTEST = timedelta(seconds=1)
_LONGEST_FOR_PENDING = timedelta(minutes=5)
# The last answer wakes this workflow; a payment that takes days does not.
_LOOK_AGAIN = timedelta(hours=1)


@workflow.defn(name=messages.RUN_CHANGE)
class RunChangeWorkflow:
    """One change of one run; each buyer's question is a workflow of its own."""

    @workflow.init
    def __init__(self, change: RunChangeInput) -> None:
        self._change = change
        self._woken = False

    @workflow.run
    async def run(self, change: RunChangeInput) -> str:
        """Run until nobody is left to be asked, to answer or to pay; returns the answers' count."""
        pause = _SHORTEST
        while True:
            self._woken = False
            review = await workflow.execute_activity_method(
                RunChangeActivities.review_run_change,
                change,
                summary="Ask the next buyers, and see what is left",
                **options.MESSAGE,
            )
            self._show(review)
            if review.done:
                return review.answered
            if not review.more:
                pause = min(pause * 2, _LONGEST_FOR_PENDING) if review.pending_orders else _SHORTEST
                await self._await_news(review, pause)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(change)

    @workflow.signal(name=messages.SIGNAL_WAKE)
    def wake(self) -> None:
        """All who were asked have decided, or somebody wants this looked at."""
        self._woken = True

    async def _await_news(self, review: ChangeReview, pause: timedelta) -> None:
        why = "Orders are being canceled" if review.pending_orders else "Buyers choose"
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._woken,
                timeout=pause if review.pending_orders else _LOOK_AGAIN,
                timeout_summary=why,
            )

    def _show(self, review: ChangeReview) -> None:
        workflow.set_current_details(
            f"**{review.title}** is {review.kind} ({review.reason}). {review.asked} buyers asked until "
            f"{review.deadline}: {review.answered}; {review.unsettled} not decided.\n\n"
            f"Orders that may still be paid: {review.pending_orders} open, "
            f"{review.processing_orders} being processed."
        )

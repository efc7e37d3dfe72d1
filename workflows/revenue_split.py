"""The revenue of one order line: recognized, accrued to its payees, held, released."""

import contextlib
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.splits import LineState, SplitActivities
    from domain import messages
    from domain.messages import LineInput
    from workflows import options, search_attributes

# Whoever ends a dispute or refund tells the split; this is for a message that was lost.
_LOOK_AGAIN = timedelta(days=7)


@workflow.defn(name=messages.REVENUE_SPLIT)
class RevenueSplitWorkflow:
    """Wait for completion (or grant, or the deadline), accrue, hold, release."""

    @workflow.init
    def __init__(self, line: LineInput) -> None:
        self._line = line
        self._changed = False

    @workflow.run
    async def run(self, line: LineInput) -> str:
        """Follow the line to its end; returns how it ended."""
        while True:
            self._changed = False
            state = await workflow.execute_local_activity_method(
                SplitActivities.read_line, line, **options.DATABASE
            )
            self._show(state)
            if state.ended is not None:
                return state.ended
            if state.blocked:
                await self._sleep(_LOOK_AGAIN, state.waiting_for)
            elif state.next_step_at <= workflow.now().timestamp():
                await self._step(state)
            else:
                left = timedelta(seconds=state.next_step_at - workflow.now().timestamp())
                await self._sleep(left, state.waiting_for)

    @workflow.signal(name=messages.SIGNAL_LINE)
    def line_changed(self) -> None:
        """Completion, grant or refund: the row says what."""
        self._changed = True

    async def _step(self, state: LineState) -> None:
        if state.next_step == "recognize":
            await workflow.execute_local_activity_method(
                SplitActivities.recognize_line, self._line, **options.DATABASE
            )
        else:
            await workflow.execute_local_activity_method(
                SplitActivities.release_line, self._line, **options.DATABASE
            )

    async def _sleep(self, left: timedelta, waiting_for: str) -> None:
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._changed, timeout=left, timeout_summary=waiting_for)

    def _show(self, state: LineState) -> None:
        workflow.upsert_search_attributes(
            [
                search_attributes.ORDER_NUMBER.value_set(state.order_number),
                search_attributes.COURSE_ID.value_set(state.course_id),
            ]
        )
        workflow.set_current_details(
            f"Line of order {state.order_number}, course {state.course_id}: {state.waiting_for}"
        )

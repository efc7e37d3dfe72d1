"""A dispute: the money is withdrawn, earnings freeze, evidence is sent, the bank decides."""

import contextlib
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.disputes import DisputeActivities, DisputeView
    from domain import messages
    from domain.messages import DisputeEvent, DisputeInput
    from domain.money import as_read
    from workflows import options, search_attributes

_ASK_AGAIN = timedelta(hours=6)


@workflow.defn(name=messages.DISPUTE)
class DisputeWorkflow:
    """The one writer of a dispute; it believes no event, and reads the dispute at the processor instead."""

    @workflow.init
    def __init__(self, dispute: DisputeInput) -> None:
        self._dispute = dispute
        self._moved = False
        self._wished = False

    @workflow.run
    async def run(self, dispute: DisputeInput) -> str:
        """Follow the dispute until it is decided; returns how."""
        view = await self._look()
        if view.ended is not None:
            return f"ended: {view.ended}"
        if not view.over:
            # Before anybody takes the access away: then the LMS would know of no progress any more.
            await self._assemble()
        await self._tell(view)
        # A wish stands in the database, and may be older than this run.
        self._wished = self._wished or view.wished
        while not view.over:
            before = view.state
            view = await self._next(view)
            if view.state != before:
                await self._tell(view)
        return view.state

    @workflow.signal(name=messages.SIGNAL_DISPUTE)
    def dispute_event(self, event: DisputeEvent) -> None:
        """The processor says that the dispute moved."""
        del event
        self._moved = True

    @workflow.signal(name=messages.SIGNAL_WAKE)
    def wake(self) -> None:
        """An operator's wish stands in the database."""
        self._wished = True

    async def _next(self, view: DisputeView) -> DisputeView:
        """Wait for an event, a wish, or the time to remind or to submit, and act."""
        pause, what, due = _ASK_AGAIN, "Ask the processor about the dispute", False
        at = view.remind_at if view.submit_at is None else view.submit_at
        if at is not None:
            left = timedelta(seconds=max(0.0, at - workflow.now().timestamp()))
            if left <= pause:
                pause, due = left, True
                what = "Remind of the evidence" if view.submit_at is None else "Submit the evidence"
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._moved or self._wished,
                timeout=pause,
                timeout_summary=what,
            )
        if self._wished:
            self._wished = False
            return self._show(
                await workflow.execute_activity_method(
                    DisputeActivities.do_what_is_wished,
                    self._dispute,
                    summary="Do what an operator wishes",
                    **options.PROCESSOR,
                )
            )
        if due and not self._moved and view.submit_at is not None:
            return self._show(
                await workflow.execute_activity_method(
                    DisputeActivities.submit_in_time,
                    self._dispute,
                    summary="Submit the evidence before its deadline",
                    **options.PROCESSOR,
                )
            )
        if due and not self._moved:
            return self._show(
                await workflow.execute_local_activity_method(
                    DisputeActivities.remind_of_deadline, self._dispute, **options.DATABASE
                )
            )
        self._moved = False
        return await self._look()

    async def _look(self) -> DisputeView:
        return self._show(
            await workflow.execute_activity_method(
                DisputeActivities.follow_dispute,
                self._dispute,
                summary=f"Follow {self._dispute.provider_id} at the processor",
                **options.PROCESSOR,
            )
        )

    async def _assemble(self) -> None:
        await workflow.execute_activity_method(
            DisputeActivities.assemble_evidence,
            self._dispute,
            summary="Assemble the evidence",
            **options.LMS,
        )

    async def _tell(self, view: DisputeView) -> None:
        await workflow.execute_activity_method(
            DisputeActivities.tell_of_dispute,
            view,
            summary="Tell revenue splits and entitlements",
            **options.MESSAGE,
        )

    def _show(self, view: DisputeView) -> DisputeView:
        if view.ended is None:
            workflow.upsert_search_attributes([search_attributes.ORDER_NUMBER.value_set(view.order_number)])
            answer = " Evidence can be submitted, or the loss accepted." if view.answerable else ""
            if view.submit_at is not None:
                answer = " The evidence goes out by itself, a day before its deadline."
            workflow.set_current_details(
                f"Dispute of {as_read(view.amount, view.currency)} on order {view.order_number}: "
                f"**{view.state}** ({view.status} at the processor).{answer}"
            )
        return view

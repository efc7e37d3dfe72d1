"""A refund: reserve and post the reversal, ask the processor, wait, settle, take access back."""

import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.orders import Refusal
    from activities.refunds import RefundActivities, RefundFailure, RefundState
    from domain import messages
    from domain.messages import RefundEvent, RefundInput
    from domain.orders import RefundStatus
    from workflows import options, search_attributes
    from workflows.checkout import refused

_ASK_AGAIN = timedelta(hours=6)


@workflow.defn(name=messages.REFUND)
class RefundWorkflow:
    """One refund; the database reserved the money before the processor was asked."""

    @workflow.init
    def __init__(self, refund: RefundInput) -> None:
        self._refund = refund
        self._state: RefundState | None = None
        self._refusal: Refusal | None = None
        self._moved = False

    @workflow.run
    async def run(self, refund: RefundInput) -> str:
        """Run the refund until the processor has decided; returns its status."""
        reservation = await workflow.execute_local_activity_method(
            RefundActivities.reserve_refund, refund, **options.DATABASE
        )
        self._refusal = reservation.refusal
        if reservation.state is None:
            await workflow.wait_condition(workflow.all_handlers_finished)
            return f"refused: {self._refusal.code if self._refusal else 'unknown'}"
        self._follow(reservation.state)
        await self._tell(reservation.state)
        await self._issue(reservation.state)
        while self._state is not None and self._state.status is RefundStatus.PENDING:
            await self._await_news()
            self._follow(await self._look())
        if self._state is not None:
            await self._tell(self._state)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return str(self._state.status) if self._state else "unknown"

    @workflow.update
    async def request(self) -> str:
        """Answer the caller once the refund is reserved; raises why it can't be."""
        await workflow.wait_condition(lambda: self._refusal is not None or self._state is not None)
        if self._refusal is not None:
            raise refused(self._refusal)
        return self._refund.refund_id

    @workflow.signal(name=messages.SIGNAL_REFUND)
    def refund_event(self, event: RefundEvent) -> None:
        """The processor says that the refund moved."""
        del event  # the refund itself is read again: events may come in any order
        self._moved = True

    async def _issue(self, state: RefundState) -> None:
        if state.status is not RefundStatus.PENDING:
            self._follow(await self._look())
            return
        try:
            self._follow(
                await workflow.execute_activity_method(
                    RefundActivities.issue_refund,
                    self._refund,
                    summary=f"Refund {state.amount} {state.currency} (minor units)",
                    **options.PROCESSOR,
                )
            )
        except ActivityError as error:
            cause = error.cause
            if not isinstance(cause, ApplicationError):
                raise
            self._follow(
                await workflow.execute_local_activity_method(
                    RefundActivities.abandon_refund,
                    RefundFailure(self._refund.refund_id, cause.message),
                    **options.DATABASE,
                )
            )

    async def _await_news(self) -> None:
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._moved, timeout=_ASK_AGAIN, timeout_summary="Ask the processor about the refund"
            )
        self._moved = False

    async def _look(self) -> RefundState:
        return await workflow.execute_activity_method(
            RefundActivities.follow_refund,
            self._refund,
            summary="Read the refund at the processor",
            **options.PROCESSOR,
        )

    async def _tell(self, state: RefundState) -> None:
        """Tell the splits of the lines, and the entitlements whose justification ended."""
        await workflow.execute_activity_method(
            RefundActivities.tell_concerned,
            state,
            summary="Tell revenue splits, entitlements and the order",
            **options.MESSAGE,
        )

    def _follow(self, state: RefundState) -> None:
        self._state = state
        workflow.upsert_search_attributes([search_attributes.ORDER_NUMBER.value_set(state.order_number)])
        workflow.set_current_details(
            f"Refund of {state.amount} {state.currency} (minor units) on order {state.order_number}: "
            f"**{state.status}**"
        )

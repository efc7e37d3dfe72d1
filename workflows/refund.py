"""A refund: reserve and post the reversal, ask the processor, wait, settle, take access back."""

import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.foreign_refunds import ForeignRefundActivities
    from activities.refund_books import RefundState
    from activities.refunds import RefundActivities, RefundFailure, Reservation
    from activities.refusals import Refusal
    from domain import messages
    from domain.messages import RefundEvent, RefundInput
    from domain.money import as_read
    from domain.orders import RefundStatus
    from workflows import options, search_attributes
    from workflows.checkout import refused

_ASK_AGAIN = timedelta(hours=6)
# Before each further attempt at a refund that failed for a reason that may pass.
_PAUSES = (timedelta(hours=1), timedelta(days=1), timedelta(days=3))


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
        """Run the refund until it is decided for good; returns its status."""
        reservation = await self._reserve(refund)
        self._refusal = reservation.refusal
        if reservation.state is None:
            await workflow.wait_condition(workflow.all_handlers_finished)
            if reservation.ended is not None:
                return f"ended: {reservation.ended}"
            return f"refused: {self._refusal.code if self._refusal else 'unknown'}"
        self._follow(reservation.state)
        await self._tell(reservation.state)
        await self._issue(reservation.state)
        state = await self._to_the_end(reservation.state)
        # An event that came meanwhile may say that it failed after all: nobody else would look.
        while self._moved and workflow.patched("refund-last-look"):
            self._moved = False
            self._follow(await self._look())
            state = await self._to_the_end(state)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._said(state)

    async def _to_the_end(self, state: RefundState) -> RefundState:
        """Work until it is over as things stand, and tell whom it concerns."""
        while not await self._is_over(self._state or state):
            pass
        state = self._state or state
        await self._tell(state)
        return state

    async def _reserve(self, refund: RefundInput) -> Reservation:
        if refund.provider_refund_id is not None:
            return await self._take_in(refund)
        return await workflow.execute_local_activity_method(
            RefundActivities.reserve_refund, refund, **options.DATABASE
        )

    async def _take_in(self, refund: RefundInput) -> Reservation:
        """A refund made at the processor can't be refused: what does not fit yet is parked."""
        while True:
            reservation = await workflow.execute_activity_method(
                ForeignRefundActivities.take_in_refund,
                refund,
                summary=f"Take in {refund.provider_refund_id}, made at the processor",
                **options.PROCESSOR,
            )
            if reservation.refusal is None:
                return reservation
            workflow.set_current_details(
                f"**Parked**: {refund.provider_refund_id}, made at the processor, does not fit: "
                f"{reservation.refusal.detail}. It is tried again every {_ASK_AGAIN}, and at each event."
            )
            await self._await_news("Take the parked refund in")

    async def _is_over(self, state: RefundState) -> bool:
        """Whether nothing more comes; else wait for what comes next, and do it."""
        if state.status is RefundStatus.PENDING:
            await self._await_news("Ask the processor about the refund")
            self._follow(await self._look())
            return False
        if state.status is RefundStatus.SUCCEEDED or state.canceled:
            return True
        if not workflow.patched("refund-reissue"):
            return True
        await self._take_up_failed(state)
        return False

    async def _take_up_failed(self, state: RefundState) -> None:
        """Issue it again after a pause, where that may help; else when an operator says so, or cancels it."""
        pause = _PAUSES[state.attempts - 1] if state.passing and state.attempts <= len(_PAUSES) else None
        if await self._await_news("Issue the refund again", pause):
            fresh = await workflow.execute_local_activity_method(
                RefundActivities.take_up_failed, self._refund, **options.DATABASE
            )
        else:
            fresh = await workflow.execute_local_activity_method(
                RefundActivities.reissue_refund, self._refund, **options.DATABASE
            )
        self._follow(fresh)
        if fresh.status is RefundStatus.PENDING:
            await self._issue(fresh)

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

    @workflow.signal(name=messages.SIGNAL_WAKE)
    def wake(self) -> None:
        """An operator's wish stands in the database."""
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
                    summary=f"Refund {as_read(state.amount, state.currency)}",
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

    async def _await_news(self, why: str, pause: timedelta | None = _ASK_AGAIN) -> bool:
        """Wait for a message, at most for `pause`; whether one came."""
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._moved, timeout=pause, timeout_summary=why)
        came, self._moved = self._moved, False
        return came

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
        waits = ""
        if state.status is RefundStatus.FAILED and not state.canceled:
            waits = " It is still owed: issue it again or cancel it (`/v1/refunds/<id>/reissue`, `/cancel`)."
        workflow.set_current_details(
            f"Refund of {as_read(state.amount, state.currency)} on order {state.order_number}: "
            f"**{self._said(state)}**, attempt {state.attempts}.{waits}"
        )

    @staticmethod
    def _said(state: RefundState) -> str:
        return "canceled" if state.canceled else str(state.status)

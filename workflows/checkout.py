"""An order from checkout to fulfilment: one workflow an order, the one writer of payment and fulfilment."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.entitlements import EntitlementActivities
    from activities.fulfilment import FulfilmentActivities
    from activities.order_state import OrderState
    from activities.orders import CloseInput, OrderActivities, PaymentEventInput
    from activities.payments import CancelIntentInput, PaymentActivities
    from activities.placement import PlacementActivities
    from activities.refusals import Refusal
    from domain import ids, messages
    from domain.messages import CancelRequest, CheckoutAnswer, LineInput, OrderInput, PaymentEvent
    from domain.money import as_read
    from domain.orders import FulfilmentState, PaymentState
    from workflows import options, search_attributes
    from workflows.late_payment import LatePaymentWorkflow
    from workflows.revenue_split import RevenueSplitWorkflow

# A slow method may take days; ask the processor now and then in case its event was lost.
_ASK_AGAIN = timedelta(hours=6)
# After a refused cancellation the deciding event is on its way, or the recovery will find it.
_AWAIT_DECISION = timedelta(minutes=5)
_REMEMBERED_EVENTS = 500


@workflow.defn(name=messages.CHECKOUT)
class CheckoutWorkflow:
    """Reserve, ask for payment, wait, apply it, give access; expiry, cancellation and late success."""

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        self._order = order
        self._state: OrderState | None = None
        self._refusal: Refusal | None = None
        self._events: list[PaymentEvent] = []
        self._seen: dict[str, None] = {}
        self._cancel_by: str | None = None
        self._cancel_open = False
        # The processor refused a cancellation: it knows an outcome that is not here yet.
        self._decision_awaited = False
        self._entitlement_changed = False

    @workflow.run
    async def run(self, order: OrderInput) -> str:
        """Run the order to its decision and return its status."""
        await self._place()
        if self._state is None:
            await workflow.wait_condition(workflow.all_handlers_finished)
            return f"refused: {self._refusal.code if self._refusal else 'unknown'}"
        if self._state.payment is PaymentState.PENDING and self._state.due == 0:
            await self._accept_free()
        if self._open:
            await self._collect_payment()
        if self._state.payment is PaymentState.PAID:
            await self._fulfil()
        await self._hand_on_late_events()
        self._cancel_open = False
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state.status

    # --- messages ---------------------------------------------------------------------------------

    @workflow.update
    async def checkout(self) -> CheckoutAnswer:
        """Answer the front end once the order stands and its payment can begin."""
        await workflow.wait_condition(lambda: self._refusal is not None or self._ready)
        if self._refusal is not None:
            raise refused(self._refusal)
        assert self._state is not None
        return CheckoutAnswer(self._state.order_id, self._state.intent_id)

    @workflow.update
    async def cancel(self, request: CancelRequest) -> str:
        """Cancel before payment; refused once the money is on its way."""
        await workflow.wait_condition(lambda: self._refusal is not None or self._state is not None)
        if self._state is None or self._state.payment is not PaymentState.PENDING:
            raise _not_cancelable()
        self._cancel_by = request.by
        self._cancel_open = True
        await workflow.wait_condition(lambda: not self._cancel_open)
        return self._status_if_canceled()

    @workflow.signal(name=messages.SIGNAL_PAYMENT)
    def payment_event(self, event: PaymentEvent) -> None:
        """A verified event about the order's payment intent, stored in the inbox."""
        if event.inbox_id in self._seen:
            return
        self._seen[event.inbox_id] = None
        if len(self._seen) > _REMEMBERED_EVENTS:
            del self._seen[next(iter(self._seen))]
        self._events.append(event)

    @workflow.signal(name=messages.SIGNAL_ENTITLEMENT)
    def entitlement_changed(self) -> None:
        """One of the order's entitlements has committed a new state."""
        self._entitlement_changed = True

    def _status_if_canceled(self) -> str:
        if self._state is None or self._state.payment is not PaymentState.CANCELED:
            raise _not_cancelable()
        return self._state.status

    # --- steps ----------------------------------------------------------------------------------------

    @property
    def _open(self) -> bool:
        return self._state is not None and self._state.payment in (
            PaymentState.PENDING,
            PaymentState.PROCESSING,
        )

    @property
    def _ready(self) -> bool:
        if self._state is None:
            return False
        return self._state.intent_id is not None or self._state.due == 0 or not self._open

    @property
    def _success_waits(self) -> bool:
        return any(event.type == "payment_intent.succeeded" for event in self._events)

    async def _place(self) -> None:
        placement = await workflow.execute_local_activity_method(
            PlacementActivities.place_order, self._order, **options.DATABASE
        )
        self._refusal = placement.refusal
        # A run before this one may have been lost with what it was told; the inbox still has it.
        for event in placement.unapplied_events:
            self.payment_event(event)
        if placement.state is not None:
            self._follow(placement.state)

    async def _accept_free(self) -> None:
        self._follow(
            await workflow.execute_local_activity_method(
                OrderActivities.accept_free_order, self._order, **options.DATABASE
            )
        )

    async def _collect_payment(self) -> None:
        """Until the order is paid, canceled or expired."""
        await self._create_intent()
        while self._open:
            if self._events:
                await self._apply(self._events.pop(0))
            elif self._cancel_open:
                await self._close(PaymentState.CANCELED, self._cancel_by or "customer")
            elif self._window_is_over and not self._decision_awaited:
                await self._close(PaymentState.EXPIRED, "the payment window")
            else:
                await self._sleep_until_something_happens()
        self._cancel_open = False

    async def _create_intent(self) -> None:
        """Make the intent. The processor may be down: a cancellation or the window's end stops the wait."""
        task = workflow.start_activity_method(
            PaymentActivities.create_intent,
            self._order,
            summary="Create the payment intent",
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            **options.PROCESSOR,
        )
        try:
            await workflow.wait_condition(
                lambda: task.done() or self._cancel_open or self._success_waits,
                timeout=max(self._window_left(), timedelta(seconds=1)),
                timeout_summary="End of the payment window",
            )
        except TimeoutError:
            task.cancel()
        if not task.done():
            task.cancel()
        try:
            intent = await task
        except asyncio.CancelledError:
            return
        except ActivityError as error:
            await self._no_intent(error)
            return
        if self._state is not None:
            self._follow(replace(self._state, intent_id=intent.intent_id))

    async def _no_intent(self, error: ActivityError) -> None:
        """The processor refuses such a payment for good: nothing of the order stays."""
        cause = error.cause
        if not isinstance(cause, ApplicationError) or not cause.non_retryable:
            return
        self._refusal = Refusal("payment_refused", cause.message)
        await self._set_closed(PaymentState.CANCELED, f"the processor ({cause.message})")

    async def _apply(self, event: PaymentEvent) -> None:
        """Success is applied from the stored event; anything else is only a hint to look."""
        if event.type == "payment_intent.succeeded":
            state = await workflow.execute_local_activity_method(
                OrderActivities.apply_success,
                PaymentEventInput(self._order.order_id, event),
                **options.DATABASE,
            )
            if state.unapplied:
                await self._start_late_payment(event.intent_id)
            self._follow(state)
            return
        intent = await workflow.execute_activity_method(
            PaymentActivities.refresh_payment,
            self._order,
            summary=f"Look at the intent after {event.type}",
            **options.PROCESSOR,
        )
        await self._place()
        if intent.status == "canceled" and self._open:
            await self._set_closed(PaymentState.CANCELED, intent.ended_by or "the processor")

    async def _close(self, state: PaymentState, by: str) -> None:
        """Cancel the intent first; the order ends only when the processor confirms."""
        intent = await workflow.execute_activity_method(
            PaymentActivities.cancel_intent,
            CancelIntentInput(self._order.order_id, str(state)),
            summary=f"Cancel the payment intent: {state}",
            **options.PROCESSOR,
        )
        if intent.status == "canceled":
            await self._set_closed(state, by)
        else:
            self._decision_awaited = True
            await workflow.execute_activity_method(
                PaymentActivities.refresh_payment,
                self._order,
                summary=f"The intent is {intent.status}",
                **options.PROCESSOR,
            )
            await self._place()
        self._cancel_open = False

    async def _set_closed(self, state: PaymentState, by: str) -> None:
        self._follow(
            await workflow.execute_local_activity_method(
                OrderActivities.close_unpaid,
                CloseInput(self._order.order_id, state, by),
                **options.DATABASE,
            )
        )

    async def _sleep_until_something_happens(self) -> None:
        assert self._state is not None
        if self._state.payment is PaymentState.PROCESSING:
            timeout, why = _ASK_AGAIN, "Ask the processor again"
        elif self._decision_awaited:
            timeout, why = _AWAIT_DECISION, "The processor has decided; its event is on its way"
        else:
            timeout, why = self._window_left(), "End of the payment window"
        try:
            await workflow.wait_condition(
                lambda: bool(self._events) or self._cancel_open, timeout=timeout, timeout_summary=why
            )
        except TimeoutError:
            if self._state.payment is PaymentState.PROCESSING:
                await workflow.execute_activity_method(
                    PaymentActivities.refresh_payment, self._order, summary=why, **options.PROCESSOR
                )
                await self._place()
            self._decision_awaited = False

    async def _fulfil(self) -> None:
        """Start the revenue splits, ask for access, and wait until every access is decided."""
        plan = await workflow.execute_local_activity_method(
            FulfilmentActivities.begin_fulfilment, self._order, **options.DATABASE
        )
        for line_id in plan.line_ids:
            await self._start_split(line_id)
        await workflow.execute_activity_method(
            EntitlementActivities.request_entitlements,
            plan,
            summary=f"Ask for access to {', '.join(plan.course_ids)}",
            **options.MESSAGE,
        )
        while True:
            self._entitlement_changed = False
            state = await workflow.execute_local_activity_method(
                FulfilmentActivities.review_fulfilment, self._order, **options.DATABASE
            )
            self._follow(state)
            if state.fulfilment is FulfilmentState.FULFILLED:
                return
            await workflow.wait_condition(lambda: self._entitlement_changed or bool(self._events))
            await self._hand_on_late_events()

    async def _start_split(self, line_id: str) -> None:
        try:
            await workflow.start_child_workflow(
                RevenueSplitWorkflow.run,
                LineInput(line_id),
                id=ids.split_workflow_id(line_id),
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"Revenue of a line of {self._state.number if self._state else 'an order'}",
            )
        except WorkflowAlreadyStartedError:
            return

    async def _hand_on_late_events(self) -> None:
        """Money that comes after the decision gets a workflow of its own; anything else is history."""
        while self._events:
            event = self._events.pop(0)
            if event.type == "payment_intent.succeeded":
                await self._start_late_payment(event.intent_id)

    async def _start_late_payment(self, intent_id: str) -> None:
        try:
            await workflow.start_child_workflow(
                LatePaymentWorkflow.run,
                messages.LatePaymentInput(self._order.order_id, intent_id),
                id=ids.late_payment_workflow_id(intent_id),
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"Payment {intent_id} that its order could not take",
            )
        except WorkflowAlreadyStartedError:
            return

    @property
    def _window_is_over(self) -> bool:
        """The window stands still while a payment is being processed."""
        waits = self._state is not None and self._state.payment is PaymentState.PENDING
        return waits and self._window_left() <= timedelta(0)

    def _window_left(self) -> timedelta:
        assert self._state is not None
        return timedelta(seconds=self._state.expires_at) - timedelta(seconds=workflow.now().timestamp())

    def _follow(self, state: OrderState) -> None:
        """Go on from the rows, and show operators where the order stands."""
        if state.intent_id is None and self._state is not None and self._state.intent_id is not None:
            state = replace(state, intent_id=self._state.intent_id)
        changed = state != self._state
        self._state = state
        if not changed:
            return
        found = [
            search_attributes.ORDER_STATUS.value_set(state.status),
            search_attributes.ORDER_NUMBER.value_set(state.number),
            search_attributes.LMS_USER_ID.value_set(state.lms_user_id),
        ]
        if state.intent_id is not None:
            found.append(search_attributes.PAYMENT_INTENT_ID.value_set(state.intent_id))
        workflow.upsert_search_attributes(found)
        workflow.set_current_details(
            f"**Order {state.number}**: {state.status}\n\n"
            f"- due: {as_read(state.due, state.currency)}, "
            f"and {as_read(state.store_credit, state.currency)} by store credit\n"
            f"- payment: {state.payment}, intent {state.intent_id or 'none'}\n"
            f"- fulfilment: {state.fulfilment}"
        )


def refused(refusal: Refusal) -> ApplicationError:
    """A refusal as the answer of an update; the gateway makes a problem of it."""
    return ApplicationError(
        refusal.detail,
        {"conflict": refusal.conflict, "members": refusal.members},
        type=refusal.code,
        non_retryable=True,
    )


def _not_cancelable() -> ApplicationError:
    return refused(Refusal("order_not_cancelable", "the order can't be canceled any more"))

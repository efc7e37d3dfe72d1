"""The access of one user to one course: the only workflow that grants or revokes it."""

import asyncio
import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.entitlements import AccessOutcome, AccessPlan, EntitlementActivities
    from domain import messages
    from domain.messages import EntitlementInput
    from domain.orders import EntitlementStatus
    from workflows import options, search_attributes


@workflow.defn(name=messages.ENTITLEMENT)
class EntitlementWorkflow:
    """Read what should be, act, read again; close when nothing differs and no message waits."""

    @workflow.init
    def __init__(self, given: EntitlementInput) -> None:
        self._given = given
        self._woken = False
        self._hurried = False

    @workflow.run
    async def run(self, given: EntitlementInput) -> str:
        """Bring the access in line with its justifications; returns the last status."""
        workflow.upsert_search_attributes([search_attributes.COURSE_ID.value_set(given.course_id)])
        while True:
            self._woken = False
            plan = await workflow.execute_local_activity_method(
                EntitlementActivities.plan_access, given, **options.DATABASE
            )
            self._show(plan)
            if plan.completions:
                await self._relay_completions()
            if plan.action != "none":
                await self._act(plan, plan.action)
            elif self._woken:
                continue
            elif not plan.again:
                return plan.status
            elif await self._is_time(plan):
                await self._act(plan, plan.again)

    @workflow.signal(name=messages.SIGNAL_WAKE)
    def wake(self) -> None:
        """A justification, a completion or an operator's wish is new in the database."""
        self._woken = True

    @workflow.signal(name=messages.SIGNAL_RETRY_NOW)
    def retry_now(self) -> None:
        """What the LMS was not asked can be asked now: the pause before the next attempt ends."""
        self._hurried = True

    async def _is_time(self, plan: AccessPlan) -> bool:
        """Wait until no call of before can land any more; False when there is news first."""
        left = plan.again_at - workflow.now().timestamp()
        if left > 0:
            summary = (
                f"{plan.again} once more: an earlier call, whose answer was lost, may take effect until then"
            )
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._woken, timeout=timedelta(seconds=left), timeout_summary=summary
                )
        return not self._woken

    async def _act(self, plan: AccessPlan, action: str) -> None:
        """Grant or revoke. While the LMS is down, a new wish ends the retries, and so does the news that it
        can be asked again: the plan is made anew."""
        self._hurried = False
        method = (
            EntitlementActivities.grant_access if action == "grant" else EntitlementActivities.revoke_access
        )
        task = workflow.start_activity_method(
            method,
            plan,
            summary=f"{action} {plan.course_id} for LMS user {plan.lms_user_id}",
            # An attempt that is on its way must end before anything else is asked of the LMS: a late
            # grant after a revoke would open the course again. The activity waits for the LMS's answer.
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            **options.LMS,
        )
        while not task.done():
            await workflow.wait_condition(lambda: task.done() or self._woken or self._hurried)
            if not task.done() and (self._hurried or await self._plan_differs(plan)):
                task.cancel()
                break
        try:
            await task
            if plan.again:
                return  # as it was
            outcome = AccessOutcome(plan.entitlement_id, _REACHED[action])
        except asyncio.CancelledError:
            return
        except ActivityError as error:
            cause = error.cause
            if not isinstance(cause, ApplicationError):
                return
            outcome = AccessOutcome(
                plan.entitlement_id,
                EntitlementStatus.FAILED,
                cause.type or "lms_rejected",
                cause.message,
                action,
            )
        await self._record(outcome)

    async def _plan_differs(self, plan: AccessPlan) -> bool:
        self._woken = False
        fresh = await workflow.execute_local_activity_method(
            EntitlementActivities.plan_access, self._given, **options.DATABASE
        )
        return fresh.action != plan.action or (bool(plan.again) and fresh.completions)

    async def _record(self, outcome: AccessOutcome) -> None:
        """Commit the new state, then tell the orders that wait for it and the splits of its lines."""
        waiting = await workflow.execute_local_activity_method(
            EntitlementActivities.record_outcome, outcome, **options.DATABASE
        )
        if waiting.order_ids or waiting.line_ids:
            await workflow.execute_activity_method(
                EntitlementActivities.tell_waiting,
                waiting,
                summary="Tell orders and revenue splits",
                **options.MESSAGE,
            )

    async def _relay_completions(self) -> None:
        waiting = await workflow.execute_local_activity_method(
            EntitlementActivities.relay_completions, self._given, **options.DATABASE
        )
        if waiting.line_ids:
            await workflow.execute_activity_method(
                EntitlementActivities.tell_waiting,
                waiting,
                summary="The course was completed: tell its revenue splits",
                **options.MESSAGE,
            )

    def _show(self, plan: AccessPlan) -> None:
        coming = f"{plan.again} once more" if plan.again else plan.action
        workflow.set_current_details(
            f"LMS user {plan.lms_user_id}, course {plan.course_id}: **{plan.status}**, next: {coming}"
        )
        if plan.lms_user_id:
            workflow.upsert_search_attributes([search_attributes.LMS_USER_ID.value_set(plan.lms_user_id)])


_REACHED = {"grant": EntitlementStatus.GRANTED, "revoke": EntitlementStatus.REVOKED}

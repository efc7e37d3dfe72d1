"""The entitlement workflow as it must not be."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.entitlements import AccessOutcome, AccessPlan, EntitlementActivities
    from domain import messages
    from domain.messages import EntitlementInput
    from domain.orders import EntitlementStatus
    from workflows import options
    from workflows.entitlement import EntitlementWorkflow


@workflow.defn(name=messages.ENTITLEMENT)
class LateGrants(EntitlementWorkflow):
    """Leaves a grant that is on its way alone when the plan changes, so that it may land after the revoke."""

    @workflow.init
    def __init__(self, given: EntitlementInput) -> None:
        super().__init__(given)

    @workflow.run
    async def run(self, given: EntitlementInput) -> str:
        return await super().run(given)

    @workflow.signal(name=messages.SIGNAL_WAKE)
    def wake(self) -> None:
        super().wake()

    async def _act(self, plan: AccessPlan, action: str) -> None:
        grants = action == "grant"
        task = workflow.start_activity_method(
            EntitlementActivities.grant_access if grants else EntitlementActivities.revoke_access,
            plan,
            **options.LMS,
        )
        await workflow.wait_condition(lambda: task.done() or (grants and self._woken))
        if task.done():
            await task
            if plan.again:
                return
            reached = EntitlementStatus.GRANTED if grants else EntitlementStatus.REVOKED
            await self._record(AccessOutcome(plan.entitlement_id, reached))

"""What follows from a change of a person's account at the LMS: the cache is brought up to date, receivers are
told, refused accesses are asked for again."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.accounts import AccountActivities, AccountPlan
    from domain import messages
    from domain.messages import AccountInput
    from workflows import options, search_attributes


@workflow.defn(name=messages.ACCOUNT_CHANGE)
class AccountChangeWorkflow:
    """One person's account, however often the LMS tells of it. Its history holds ids and names of members
    only: what they say was taken over by the transaction that stored the event, and by the activity that
    asks."""

    @workflow.init
    def __init__(self, given: AccountInput) -> None:
        self._given = given
        self._woken = False

    @workflow.run
    async def run(self, given: AccountInput) -> str:
        """Follow until nothing was told that was not followed; then the workflow ends."""
        while True:
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(given)
            self._woken = False
            plan = await workflow.execute_local_activity_method(
                AccountActivities.plan_account, given, **options.DATABASE
            )
            if plan.open:
                await self._follow(plan)
            elif not self._woken:
                return "followed"

    @workflow.signal(name=messages.SIGNAL_WAKE)
    def wake(self) -> None:
        """The LMS told of the account again."""
        self._woken = True

    async def _follow(self, plan: AccountPlan) -> None:
        self._show(plan, "The LMS is asked for the account as it is now.")
        reading = await workflow.execute_activity_method(
            AccountActivities.read_account,
            plan,
            summary=f"Ask for the account of LMS user {plan.lms_user_id}",
            **options.LMS,
        )
        if reading.crossed:  # a sign-in, another event, an erasure or a merge: what stands now decides
            return
        told = f"Told to receivers: {', '.join(reading.changed) or 'nothing'}."
        if reading.found:
            told += f" Accesses asked for again: {await self._ask_again(plan)}."
        else:
            told += " The LMS does not tell of the account: an operator's task."
        await workflow.execute_local_activity_method(
            AccountActivities.end_account_change, plan, **options.DATABASE
        )
        self._show(plan, told)

    async def _ask_again(self, plan: AccountPlan) -> int:
        """Have accesses granted (or ended) that were refused because of the account; returns how many."""
        refused = await workflow.execute_local_activity_method(
            AccountActivities.ask_refused_again, plan, **options.DATABASE
        )
        if refused.course_ids:
            await workflow.execute_activity_method(
                AccountActivities.wake_accesses,
                refused,
                summary=f"Ask again for {', '.join(refused.course_ids)}"[:200],
                **options.MESSAGE,
            )
        return len(refused.course_ids)

    def _show(self, plan: AccountPlan, said: str) -> None:
        workflow.upsert_search_attributes([search_attributes.LMS_USER_ID.value_set(plan.lms_user_id)])
        workflow.set_current_details(
            f"Person {plan.user_id} (LMS {plan.lms_user_id}), change {plan.told}\n\n{said}"
        )

"""Makes two accounts one: what was the one's is moved to the other as soon as nothing stands against it."""

from dataclasses import replace
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.merges import MergeActivities, MergeReview
    from domain import messages
    from domain.messages import MergeInput
    from workflows import options, search_attributes
    from workflows.looks import until_next_look

# What is waited for ends without telling this workflow.
_SHORTEST = timedelta(seconds=5)
_LONGEST = timedelta(hours=1)


@workflow.defn(name=messages.PERSON_MERGE)
class PersonMergeWorkflow:
    """One merge that the LMS told of. Its history holds ids and order numbers only."""

    @workflow.init
    def __init__(self, given: MergeInput) -> None:
        self._given = given
        self._woken = False

    @workflow.run
    async def run(self, given: MergeInput) -> str:
        """Run until all was moved and nothing more can come in for the account that ended."""
        pause = _SHORTEST
        while True:
            self._woken = False
            review = await workflow.execute_local_activity_method(
                MergeActivities.merge_person,
                replace(given, now=int(workflow.time())),
                **options.DATABASE,
            )
            self._show(review)
            if not review.waits_for and review.lms_user_id:
                await workflow.execute_activity_method(
                    MergeActivities.tell_merged,
                    given,
                    summary="Tell accesses, revenue splits and questions",
                    **options.MESSAGE,
                )
            if review.done:
                await workflow.execute_local_activity_method(
                    MergeActivities.end_merge, given, **options.DATABASE
                )
                return "done"
            await until_next_look(
                lambda: self._woken,
                waits_for=review.waits_for,
                pause=pause,
                last_look_at=review.last_look_at,
                last_look="A last look when every access token of the account that ended has expired",
            )
            pause = min(pause * 2, _LONGEST)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(given)

    @workflow.signal(name=messages.SIGNAL_WAKE)
    def wake(self) -> None:
        """Look now."""
        self._woken = True

    def _show(self, review: MergeReview) -> None:
        if not review.lms_user_id:
            return
        workflow.upsert_search_attributes([search_attributes.LMS_USER_ID.value_set(review.lms_user_id)])
        if review.done:
            said = "All was moved; nothing more comes in for the account that ended."
        elif review.waits_for:
            said = "Waits for:\n" + "\n".join(f"- {one}" for one in review.waits_for)
        else:
            said = "Moved. A last look follows, for what may still come in with a token of before."
        workflow.set_current_details(
            f"LMS user {review.lms_user_id} is now {review.into_lms_user_id}\n\n{said}"
        )

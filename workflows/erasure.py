"""A person is erased: not before their money and access are settled, and with a last look after it."""

from dataclasses import replace
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.erasures import ErasureActivities, ErasureReview
    from domain import messages
    from domain.messages import ErasureInput
    from workflows import options, search_attributes
    from workflows.looks import until_next_look

# Refunds and orders end soon, disputes after months; nobody tells this workflow.
_SHORTEST = timedelta(seconds=2)
_LONGEST = timedelta(minutes=10)


@workflow.defn(name=messages.PERSON_ERASURE)
class PersonErasureWorkflow:
    """One request for erasure. Its history holds ids and order numbers only."""

    @workflow.init
    def __init__(self, given: ErasureInput) -> None:
        self._given = given
        self._woken = False

    @workflow.run
    async def run(self, given: ErasureInput) -> str:
        """Run until the person is wiped and nothing of before can come in any more."""
        pause = _SHORTEST
        while True:
            self._woken = False
            review = await workflow.execute_local_activity_method(
                ErasureActivities.erase_person,
                replace(given, now=int(workflow.time())),
                **options.DATABASE,
            )
            self._show(review)
            if review.done:
                return "done"
            await until_next_look(
                lambda: self._woken,
                waits_for=review.waits_for,
                pause=pause,
                last_look_at=review.last_look_at,
                last_look="A last look when every access token of theirs has expired",
            )
            pause = min(pause * 2, _LONGEST)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(given)

    @workflow.signal(name=messages.SIGNAL_WAKE)
    def wake(self) -> None:
        """Look now."""
        self._woken = True

    def _show(self, review: ErasureReview) -> None:
        workflow.upsert_search_attributes([search_attributes.LMS_USER_ID.value_set(review.lms_user_id)])
        if review.done:
            said = "Nothing is left to be done; the books and their documents stay."
        elif review.waits_for:
            said = "Waits for:\n" + "\n".join(f"- {one}" for one in review.waits_for)
        else:
            said = "Wiped. A last look follows, for what may still come in with a token of theirs."
        workflow.set_current_details(f"Person {self._given.user_id} (LMS {review.lms_user_id})\n\n{said}")

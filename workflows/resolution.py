"""One question to a buyer: asked, answered by update or by its deadline, carried out, told."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.resolutions import DEADLINE, Question, ResolutionActivities
    from domain import messages
    from domain.messages import ResolutionDecision, ResolutionInput
    from domain.resolutions import ResolutionState, default_of
    from workflows import options, search_attributes
    from workflows.checkout import refused

# What stands against a choice (an open dispute, a refund under way) ends without telling this workflow.
_TRY_AGAIN = timedelta(hours=6)


@workflow.defn(name=messages.RESOLUTION)
class ResolutionWorkflow:
    """What becomes of an order line that can't be had as it was sold."""

    @workflow.init
    def __init__(self, given: ResolutionInput) -> None:
        self._given = given
        self._question: Question | None = None
        self._woken = False
        self._one_at_a_time = asyncio.Lock()

    @workflow.run
    async def run(self, given: ResolutionInput) -> str:
        """Run the question to its end; returns what was chosen, or that it was withdrawn."""
        question = await self._review()
        retry_at: float | None = None
        while question.state is ResolutionState.OPEN:
            await self._await_news(question, retry_at)
            async with self._one_at_a_time:
                question = await self._go_on()
            retry_at = workflow.time() + _TRY_AGAIN.total_seconds() if question.refusal else None
        if question.state is not ResolutionState.DONE:
            question = self._follow(
                await workflow.execute_activity_method(
                    ResolutionActivities.carry_on,
                    given,
                    summary=f"Tell refund, accesses and order {question.order_number}",
                    **options.MESSAGE,
                )
            )
        await workflow.wait_condition(workflow.all_handlers_finished)
        return str(question.choice or question.state)

    @workflow.update
    async def resolve(self, decision: ResolutionDecision) -> str:
        """The learner's or an operator's choice; raises why it can't be."""
        async with self._one_at_a_time:
            question = await self._decide(decision)
            # What stands against a choice does not stand against the deadline's.
            self._follow(replace(question, refusal=None))
        if question.refusal is not None:
            raise refused(question.refusal)
        return question.resolution_id

    @workflow.signal(name=messages.SIGNAL_WAKE)
    def wake(self) -> None:
        """A refund or an access has moved: the cause of the question may have gone."""
        self._woken = True

    async def _await_news(self, question: Question, retry_at: float | None) -> None:
        """Until a choice was made, something moved, or the deadline (or the next try after it) has come."""
        until = max(question.deadline, retry_at or 0)
        pause = timedelta(seconds=max(0.0, until - workflow.time()))
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._woken or self._state is not ResolutionState.OPEN,
                timeout=pause,
                timeout_summary=f"Nobody has chosen: {default_of(question.cause)}",
            )

    async def _go_on(self) -> Question:
        """Read what the choice or the news left; after the deadline, decide."""
        assert self._question is not None
        if self._question.state is not ResolutionState.OPEN:
            return self._question
        if self._woken:
            return await self._review()
        if workflow.time() < self._question.deadline:
            return self._question
        return self._follow(
            await self._decide(ResolutionDecision(self._given.resolution_id, DEADLINE, "the deadline"))
        )

    async def _review(self) -> Question:
        self._woken = False
        return self._follow(
            await workflow.execute_local_activity_method(
                ResolutionActivities.review_resolution, self._given, **options.DATABASE
            )
        )

    async def _decide(self, decision: ResolutionDecision) -> Question:
        return await workflow.execute_local_activity_method(
            ResolutionActivities.decide_resolution, decision, **options.DATABASE
        )

    @property
    def _state(self) -> ResolutionState | None:
        return None if self._question is None else self._question.state

    def _follow(self, question: Question) -> Question:
        self._question = question
        workflow.upsert_search_attributes(
            [
                search_attributes.ORDER_NUMBER.value_set(question.order_number),
                search_attributes.LMS_USER_ID.value_set(question.lms_user_id),
                search_attributes.COURSE_ID.value_set(question.course_id),
            ]
        )
        stands = f"**{question.choice}**, by {question.decided_by}" if question.choice else question.state
        waits = ""
        if question.state is ResolutionState.OPEN:
            waits = (
                f"\n\nThe buyer or an operator chooses {', '.join(question.choices)}; "
                f"at the deadline it is {default_of(question.cause)}."
            )
            if question.refusal is not None:
                waits += f" Last refused: {question.refusal.detail}."
        workflow.set_current_details(
            f"{question.title}, order {question.order_number}: {question.cause} ({question.reason}).\n\n"
            f"Stands: {stands}.{waits}"
        )
        return question

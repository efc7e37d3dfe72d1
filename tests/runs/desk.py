"""Plays the workflows of a changed run with their own activities on a real database, in place of Temporal.

Here the order of steps is the test's: activities run side by side, twice when an answer is lost, and planted
bugs meet the oracle at once. As many buyers on real workflows, with skipped time between question and answer,
are in tests/workflows/test_buyers_of_a_run.py.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.boundary import Transactions
from activities.capture import Capture
from activities.orders import CloseInput, OrderActivities
from activities.refunds import RefundActivities
from activities.resolutions import DEADLINE, Question, ResolutionActivities
from activities.run_changes import RunChangeActivities
from devstack.stripe_standin.control import StripeControl
from domain.messages import RefundInput, ResolutionDecision, ResolutionInput, RunChangeInput
from domain.orders import PaymentState
from domain.resolutions import ResolutionChoice, ResolutionState
from integrations.dispatch import Dispatcher
from integrations.payments import StripePayments
from models.database import Database
from tests.runs.buyers import Till

R = TypeVar("R")
SELLER = {"name": "Academy", "address": "1 Road", "vat_id": "GB123456789", "country": "GB"}


class Pigeonholes(Dispatcher):
    """Keeps messages for the test to act on, where the real one sends them to Temporal."""

    def __init__(self) -> None:
        self.questions: list[str] = []
        self.refunds: list[str] = []
        self.to_cancel: list[str] = []
        self.changes: list[str] = []

    async def wake_resolution(self, resolution_id: str) -> None:
        self.questions.append(resolution_id)

    async def wake_run_change(self, change_id: str) -> None:
        self.changes.append(change_id)

    async def cancel_unpaid_order(self, order_id: str, by: str, update_id: str) -> None:
        self.to_cancel.append(order_id)

    async def resume_refund(self, refund_id: str) -> None:
        self.refunds.append(refund_id)

    async def line_changed(self, line_id: str) -> bool:
        return False

    async def wake_entitlement(self, user_id: str, course_id: str) -> None:
        return

    async def order_entitlement_changed(self, order_id: str) -> bool:
        return False

    async def resume_split(self, line_id: str) -> None:
        return

    async def wake_delivery(self, endpoint_id: str, stream: str) -> None:
        return


class Desk(Till):
    """The activities, and the steps that the workflows take with them."""

    def __init__(self, database: Database, api: StripePayments, stripe: StripeControl, seed: int) -> None:
        self.holes = Pigeonholes()
        super().__init__(database, Transactions(database, self.holes), Capture(SELLER), api, stripe)
        self._changes = RunChangeActivities(self.transactions, self.holes)
        self._questions = ResolutionActivities(self.transactions, self.holes, days=7)
        self._refunds = RefundActivities(self.transactions, api, self.holes, seller=SELLER)
        self._orders = OrderActivities(self.transactions, self.capture)
        self._rng = random.Random(seed)
        self._gate = asyncio.Semaphore(8)

    async def _run(self, activity: Callable[..., Awaitable[R]], given: object) -> R:
        """Once; one time in eight twice, as when the worker died before it could say what it did."""
        twice = self._rng.random() < 0.125
        async with self._gate:
            if twice:
                await self._until_answered(activity, given)
            return await self._until_answered(activity, given)

    async def _until_answered(self, activity: Callable[..., Awaitable[R]], given: object) -> R:
        """Again when the processor does not answer in time, as Temporal tries again."""
        for _ in range(20):
            try:
                return await ActivityEnvironment().run(activity, given)
            except ApplicationError as error:
                if error.non_retryable or error.type == "database_error":
                    raise
            await asyncio.sleep(0.2)
        raise AssertionError(f"no answer to {given}")

    async def review(self, change_id: str) -> bool:
        """What the change's workflow does until it waits; whether the change is done."""
        while True:
            review = await self._run(self._changes.review_run_change, RunChangeInput(change_id))
            for order_id in set(self.holes.to_cancel):
                given = CloseInput(order_id, PaymentState.CANCELED, "the cancellation of its run")
                await self._run(self._orders.close_unpaid, given)
            self.holes.to_cancel.clear()
            if review.done or not review.more:
                return review.done

    async def ask(self) -> None:
        """Every question that was opened is asked."""
        found, self.holes.questions = sorted(set(self.holes.questions)), []
        given = [ResolutionInput(one) for one in found]
        await asyncio.gather(*(self._run(self._questions.review_resolution, one) for one in given))

    async def choose(
        self, resolution_id: str, key: str, choice: ResolutionChoice, item_id: str | None = None
    ) -> Question:
        """The customer's choice, carried out and told when it was possible."""
        return await self._decide(ResolutionDecision(resolution_id, key, "the customer", choice, item_id))

    async def deadline(self, resolution_id: str) -> Question:
        """Nobody chose in time."""
        return await self._decide(ResolutionDecision(resolution_id, DEADLINE, "the deadline"))

    async def _decide(self, decision: ResolutionDecision) -> Question:
        question = await self._run(self._questions.decide_resolution, decision)
        if question.refusal is None and question.state is ResolutionState.DECIDED:
            given = ResolutionInput(decision.resolution_id)
            question = await self._run(self._questions.carry_on, given)
        return question

    async def pay_back(self) -> None:
        """Every refund that was begun goes its way to the end."""
        found, self.holes.refunds = sorted(set(self.holes.refunds)), []

        async def one(refund_id: str) -> None:
            given = RefundInput(refund_id)
            assert (await self._run(self._refunds.reserve_refund, given)).refusal is None
            await self._run(self._refunds.issue_refund, given)
            await self._run(self._refunds.follow_refund, given)

        await asyncio.gather(*(one(refund_id) for refund_id in found))

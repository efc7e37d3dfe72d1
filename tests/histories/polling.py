"""Completions asked of an LMS that sends no events: `python -m tests.histories.polling`."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
from temporalio.client import Client
from temporalio.worker import Worker

from activities.completions import CompletionActivities
from integrations.lms import LmsAccess, PollsCompletion, make_lms
from tests.e2e.conftest import Shop
from tests.e2e.oracle import settings_of
from tests.lms.wire import Moodle, serving, unavailable
from worker import WorkerResources
from workflows.completion_polling import CompletionPollingWorkflow

Keep = Callable[[str, str], Awaitable[None]]
QUEUE = "recorded-polling"
COURSE = "4200"


class PollingPaths:
    """Runs the paths on a worker of their own, because the stack's LMS sends events."""

    def __init__(self, shop: Shop, client: Client, keep: Keep) -> None:
        self._shop = shop
        self._client = client
        self._keep = keep

    async def record(self) -> None:
        """A run that asks, and one that ends early because the LMS is away."""
        learner = await self._shop.learner()
        await self._shop.buy(learner)
        number = int(learner.user["lms_user_id"])
        await self._shop.query(  # Moodle knows courses by numbers
            "UPDATE entitlement SET lms_course_id = %s WHERE user_id = %s RETURNING id",
            COURSE,
            learner.user["id"],
        )
        resources = WorkerResources(settings_of(self._shop.stack), self._client)
        wire = Moodle()
        wire.person(username="ann", email="ann@example.com", password="commerce-demo")
        wire.enrolled[number, COURSE] = True
        try:
            async with serving(wire), httpx.AsyncClient(trust_env=False) as http:
                access = LmsAccess("moodle", wire.base_url, token=wire.token, login_service=wire.service)
                lms = make_lms(access, http)
                assert isinstance(lms, PollsCompletion)
                polling = CompletionActivities(
                    resources.transactions,
                    lms,
                    resources.dispatcher,
                    resources.lms_gate,
                    at_once=10,
                )
                async with Worker(
                    self._client,
                    task_queue=QUEUE,
                    workflows=[CompletionPollingWorkflow],
                    activities=[polling.poll_completions],
                ):
                    await self._run("completion-polling")
                    wire.fail(unavailable)
                    await self._run("completion-polling-lms-away")
        finally:
            await resources.aclose()

    async def _run(self, name: str) -> None:
        await self._client.execute_workflow(CompletionPollingWorkflow.run, id=name, task_queue=QUEUE)
        await self._keep(name, name)


async def record_polling() -> None:
    """A stack for these paths alone."""
    from tests.histories.record import SHORT_WINDOW, recorder_of

    async with recorder_of(SHORT_WINDOW) as recorder:
        await recorder.polling()


if __name__ == "__main__":
    asyncio.run(record_polling())

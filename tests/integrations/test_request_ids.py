"""A request's id reaches what it leads to, also in workflows that another request had started."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, Worker

with workflow.unsafe.imports_passed_through():
    from devstack.shopper import wait_for
    from integrations.logs import bind, bound
    from integrations.request_ids import RequestIds, relaying


@activity.defn
async def say(what: str) -> str:
    return f"{what} for {bound('request_id')}"


@workflow.defn
class Listener:
    """Says for whom it does what, by itself and in its handlers."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._todo: list[str] = []
        self._ended = False

    @workflow.run
    async def run(self, todo: list[str]) -> list[str]:
        self._todo += todo
        while not self._ended or self._todo:
            if self._todo:
                await self._say(self._todo.pop(0))
            await workflow.wait_condition(lambda: bool(self._todo) or self._ended)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._said

    async def _say(self, what: str) -> None:
        if what == "again":
            workflow.continue_as_new(["after that"])
        self._said.append(
            await workflow.execute_local_activity(say, what, start_to_close_timeout=timedelta(seconds=10))
        )

    @workflow.update
    async def ask(self, what: str) -> str:
        """Done by the handler itself, the second half after others may have come."""
        await self._say(what)
        await workflow.sleep(0.3)
        await self._say(f"still {what}")
        return self._said[-1]

    @workflow.update
    async def leave_to_run(self, what: str) -> None:
        self._todo.append(what)

    @workflow.update
    async def refuse(self) -> None:
        await workflow.sleep(0.01)
        raise ApplicationError("no", type="refused")

    @workflow.query
    def so_far(self) -> int:
        return len(self._said)

    @workflow.signal
    def wake(self) -> None:
        self._todo.append("woken")

    @workflow.signal
    def end(self) -> None:
        self._ended = True


class Listening:
    """One workflow, and the client that talks to it."""

    def __init__(self, client: Client, queue: str) -> None:
        self.client = client
        self.queue = queue
        self.id = f"listener/{uuid.uuid4()}"

    async def start(self, request_id: str, *todo: str, **more: Any) -> WorkflowHandle[Any, list[str]]:
        with bind(request_id=request_id):
            return await self.client.start_workflow(
                Listener.run,
                list(todo),
                id=self.id,
                task_queue=self.queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                **more,
            )

    async def has_said(self, number: int) -> None:
        """Wait until what was asked so far is done."""
        handle = self.client.get_workflow_handle(self.id)
        await wait_for(lambda: handle.query(Listener.so_far), lambda done: done == number)

    async def said(self) -> list[str]:
        handle = self.client.get_workflow_handle_for(Listener.run, self.id)
        with relaying():
            await handle.signal(Listener.end)
        return await asyncio.wait_for(handle.result(), 20)


@pytest.fixture
async def listening(temporal_client: Client) -> AsyncIterator[Listening]:
    config = temporal_client.config()
    config["interceptors"] = [RequestIds()]
    client = Client(**config)
    queue = f"request-ids-{uuid.uuid4()}"
    async with Worker(client, task_queue=queue, workflows=[Listener], activities=[say]):
        yield Listening(client, queue)


@asynccontextmanager
async def replayed(listening: Listening) -> AsyncIterator[None]:
    """What it did can be done again from its history."""
    yield
    handle = listening.client.get_workflow_handle(listening.id)
    replayer = Replayer(workflows=[Listener], interceptors=[RequestIds()])
    await replayer.replay_workflow(await handle.fetch_history())


async def test_what_an_update_leads_to_is_its_own(listening: Listening) -> None:
    handle = await listening.start("r-1", "first")
    await listening.has_said(1)
    async with replayed(listening):
        with bind(request_id="r-2"):
            await handle.execute_update(Listener.leave_to_run, "second")
        assert await listening.said() == ["first for r-1", "second for r-2"]


async def test_handlers_at_the_same_time_keep_apart(listening: Listening) -> None:
    handle = await listening.start("r-1")

    async def ask(number: int) -> str:
        with bind(request_id=f"r-{number}"):
            return await handle.execute_update(Listener.ask, f"this {number}")

    async with replayed(listening):
        assert await asyncio.gather(ask(2), ask(3)) == ["still this 2 for r-2", "still this 3 for r-3"]
        await listening.said()


async def test_what_was_refused_leads_to_nothing(listening: Listening) -> None:
    handle = await listening.start("r-1")
    async with replayed(listening):
        with bind(request_id="r-2"), pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(Listener.refuse)
        await handle.signal(Listener.wake)
        assert await listening.said() == ["woken for r-1"]


async def test_a_signal_leads_to_something_unless_it_only_relays(listening: Listening) -> None:
    handle = await listening.start("r-1")
    async with replayed(listening):
        with bind(request_id="webhook"), relaying():
            await handle.signal(Listener.wake)
        await listening.has_said(1)
        with bind(request_id="r-2"):
            await handle.signal(Listener.wake)
        assert await listening.said() == ["woken for r-1", "woken for r-2"]


async def test_a_signal_that_may_start_brings_its_request(listening: Listening) -> None:
    await listening.start("r-1", start_signal="wake")
    async with replayed(listening):
        await listening.has_said(1)
        await listening.start("r-2", start_signal="wake")
        await listening.has_said(2)
        with relaying():
            await listening.start("webhook", start_signal="wake")
        said = await listening.said()
        assert said == ["woken for r-1", "woken for r-2", "woken for r-2"]


async def test_an_update_that_may_start_brings_its_request(listening: Listening) -> None:
    await listening.start("r-1", "first")

    async def ask(request_id: str) -> None:
        operation = WithStartWorkflowOperation(
            Listener.run,
            ["never"],
            id=listening.id,
            task_queue=listening.queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        with bind(request_id=request_id):
            await listening.client.execute_update_with_start_workflow(
                Listener.leave_to_run, "second", start_workflow_operation=operation
            )

    async with replayed(listening):
        await listening.has_said(1)
        await ask("r-2")
        assert await listening.said() == ["first for r-1", "second for r-2"]


async def test_who_goes_on_in_another_run_remembers(listening: Listening) -> None:
    handle = await listening.start("r-1")
    with bind(request_id="r-2"):
        await handle.execute_update(Listener.leave_to_run, "again")
    async with replayed(listening):
        assert await listening.said() == ["after that for r-2"]


async def test_without_a_request_there_is_none(listening: Listening) -> None:
    handle = await listening.start("", "first")
    async with replayed(listening):
        await handle.signal(Listener.wake)
        # A signal that is there when the workflow begins is handled before it.
        assert sorted(await listening.said()) == ["first for ", "woken for "]

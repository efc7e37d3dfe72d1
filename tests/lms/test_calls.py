"""A call of the LMS that somebody wants ended: it is waited for, unless the worker itself stops."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from temporalio.testing import ActivityEnvironment

from activities.lms_calls import to_its_end


class Attempt:
    """An activity with a call in it that ends when it is told to."""

    def __init__(self) -> None:
        self.worker = ActivityEnvironment()
        self.answered = asyncio.Event()
        self.call: asyncio.Task[None] | None = None
        self.activity = asyncio.ensure_future(self.worker.run(self._run))

    async def _run(self) -> None:
        self.call = asyncio.create_task(self._call())
        await to_its_end(self.call)

    async def _call(self) -> None:
        await self.answered.wait()


@pytest.fixture
async def attempt() -> AsyncIterator[Attempt]:
    found = Attempt()
    await asyncio.sleep(0.02)
    yield found
    found.activity.cancel()


async def test_a_cancelled_activity_ends_with_its_call(attempt: Attempt) -> None:
    for _ in range(2):
        attempt.worker.cancel()
        await asyncio.sleep(0.02)
    assert not attempt.activity.done()
    attempt.answered.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(attempt.activity, 5)
    assert attempt.call is not None
    assert not attempt.call.cancelled()


@pytest.mark.parametrize("cancelled_before", [True, False])
async def test_a_worker_that_stops_waits_for_no_call(attempt: Attempt, cancelled_before: bool) -> None:
    if cancelled_before:
        attempt.worker.cancel()
        await asyncio.sleep(0.02)
    attempt.worker.worker_shutdown()
    if not cancelled_before:  # its time of grace passes first
        await asyncio.sleep(0.02)
        assert not attempt.activity.done()
        attempt.worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(attempt.activity, 5)


async def test_what_a_call_raises_is_raised() -> None:
    async def fails() -> None:
        raise ValueError("no")

    async def run() -> None:
        await to_its_end(asyncio.create_task(fails()))

    with pytest.raises(ValueError, match="no"):
        await ActivityEnvironment().run(run)

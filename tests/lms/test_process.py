"""The stand-in LMS as a process: quick, and forgetful of nothing that it answered."""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from devstack.lms_standin.control import LmsControl
from domain.errors import LmsUnavailable
from integrations.lms.standin import StandinLms
from tests.lms.conftest import SECRET, TOKEN
from tests.lms.processes import REPOSITORY, Recorder, StandinProcess
from tests.lms.test_port import COURSE, LEARNER, NEW
from tests.lms.waiting import until


@pytest.fixture
def sink() -> Iterator[Recorder]:
    """A receiver of this test alone."""
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture
def process(tmp_path: Path, sink: Recorder) -> Iterator[StandinProcess]:
    """A stand-in LMS of this test alone."""
    options = ["--data-dir", str(tmp_path / "deep" / "lms"), "--token", TOKEN]
    options += ["--webhook-url", sink.url, "--webhook-secret", SECRET]
    process = StandinProcess("devstack.lms_standin", *options)
    process.start()
    yield process
    process.kill()


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_everything_answered_is_there_after_the_end(
    process: StandinProcess, sink: Recorder, http: httpx.AsyncClient, how: str
) -> None:
    sink.statuses = [500] * 1000
    lms = StandinLms(process.base_url, TOKEN, http)
    async with LmsControl(process.base_url) as control:
        user = await lms.register(**NEW)
        await lms.grant(user.id, COURSE)
        await lms.grant(LEARNER, COURSE)
        await lms.revoke(LEARNER, COURSE)
        await control.set_progress(user.id, COURSE, 0.5)
        await control.suspend("learner2@example.com")
        done = await control.complete(LEARNER, "web-design")
        log = await control.log()
        if how == "kill":
            process.kill()
        else:
            assert process.stop() < 5
        with pytest.raises(LmsUnavailable):
            await lms.get_user(user.id)
        sink.reset()
        process.start()
        assert await lms.authenticate(NEW["email"], NEW["password"]) == user
        assert [(e.user_id, e.course_id) for e in await control.enrolments()] == [(user.id, COURSE)]
        assert await lms.progress(user.id, COURSE) == 0.5
        assert await control.log() == log
        suspended = [found["email"] for found in await control.users() if found["suspended"]]
        assert suspended == ["learner2@example.com"]
        await until(lambda: len(sink.requests) == 1, "the pending event arrives after the restart")
        assert sink.requests[0].headers["webhook-id"] == done.event_id


async def test_kill_in_the_middle_of_grants_loses_no_answered_one(
    process: StandinProcess, http: httpx.AsyncClient
) -> None:
    lms = StandinLms(process.base_url, TOKEN, http, timeout_seconds=2)
    async with LmsControl(process.base_url) as control:
        ids = [await control.add_user(f"crowd{number}@example.com") for number in range(60)]
        answered: list[str] = []

        async def grant(user_id: str) -> None:
            await lms.grant(user_id, COURSE)
            answered.append(user_id)

        tasks = [asyncio.create_task(grant(user_id)) for user_id in ids]
        await until(lambda: len(answered) >= 10, "some are granted")
        process.kill()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(result is None or isinstance(result, LmsUnavailable) for result in results)
        process.start()
        enrolled = {enrolment.user_id for enrolment in await control.enrolments()}
        assert set(answered) <= enrolled
        changed = [entry.user_id for entry in await control.log() if entry.changed]
        assert sorted(changed) == sorted(enrolled)


async def test_it_starts_answers_and_stops_quickly(process: StandinProcess, http: httpx.AsyncClient) -> None:
    lms = StandinLms(process.base_url, TOKEN, http)
    times = []
    for _ in range(50):
        started = time.monotonic()
        await lms.grant(LEARNER, COURSE)
        times.append(time.monotonic() - started)
    # Very generous beside the 2 ms measured: other tests share the machine.
    assert statistics.median(times) < 0.1
    async with LmsControl(process.base_url) as control:
        await control.fault("grant", "latency", seconds=30)
        hanging = asyncio.create_task(lms.grant(LEARNER, COURSE))
        await asyncio.sleep(0.05)
        assert await asyncio.to_thread(process.stop) < 2
        with pytest.raises(LmsUnavailable):
            await hanging
    assert await asyncio.to_thread(process.start) < 4


def test_a_taken_port_is_said_and_ends_it(process: StandinProcess, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "devstack.lms_standin", "--port", str(process.port)]
    command += ["--data-dir", str(tmp_path / "other"), "--token", TOKEN]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode != 0
    assert "address already in use" in ended.stderr


async def test_a_control_call_that_makes_no_sense_is_told_so(lms_process: StandinProcess) -> None:
    async with httpx.AsyncClient(base_url=lms_process.base_url, trust_env=False) as client:
        for path, body in (
            ("complete", {}),
            ("complete", {"user": "nobody", "course_id": COURSE}),
            ("complete", {"user": LEARNER, "course_id": "no-such-course"}),
            ("progress", {"user": LEARNER, "course_id": COURSE, "progress": 2}),
            ("faults", {"operation": "grant", "kind": "no-such-kind"}),
            ("faults", {"operation": "no-such-operation", "kind": "cut"}),
            ("faults", {"unknown": 1}),
            ("rename", {"user": LEARNER}),
            ("rename", {"user": LEARNER, "email": "learner2@example.com"}),
            ("events/evt_unknown/send", {}),
        ):
            answer = await client.post(f"/_test/{path}", json=body)
            assert answer.status_code in (400, 404), (path, body, answer.text)
            assert answer.json()["error"]["message"]
        assert (await client.post("/_test/complete", content=b"[")).status_code == 400

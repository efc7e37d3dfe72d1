"""Events that the stand-in LMS sends: signed, retried, in order or deliberately not."""

import asyncio
import base64
import json
import time
from typing import Any

import pytest
from standardwebhooks import Webhook

from devstack.lms_standin.control import LmsControl
from integrations.webhook_verification import verify_standard
from tests.lms.conftest import SECRET
from tests.lms.processes import Recorded, Recorder
from tests.lms.test_port import COURSE, LEARNER, LEARNER2
from tests.lms.waiting import until


def _verified(request: Recorded) -> dict[str, Any]:
    Webhook(SECRET).verify(request.body, request.headers)
    event = verify_standard(request.body, request.headers, [SECRET], int(time.time()))
    assert request.headers["webhook-id"] == event["id"]
    return event


async def test_completion_sends_one_signed_event(control: LmsControl, recorder: Recorder) -> None:
    done = await control.complete("learner@example.com", COURSE)
    await until(lambda: len(recorder.requests) == 1, "the event arrives")
    event = _verified(recorder.requests[0])
    assert event["type"] == "course.completed"
    assert event["id"] == done.event_id
    assert event["data"] == {"user_id": LEARNER, "course_id": COURSE, "completed_at": done.completed_at}
    assert set(event) == {"id", "type", "timestamp", "data"}


async def test_completing_again_is_the_same_event_and_sends_nothing(
    control: LmsControl, recorder: Recorder
) -> None:
    first = await control.complete(LEARNER, COURSE)
    again = await control.complete(LEARNER, COURSE)
    assert (first.changed, again.changed) == (True, False)
    assert first.event_id == again.event_id
    await until(lambda: len(recorder.requests) == 1, "the event arrives")
    await control.send_again(first.event_id)
    await until(lambda: len(recorder.requests) == 2, "the copy arrives")
    assert {_verified(request)["id"] for request in recorder.requests} == {first.event_id}


async def test_an_event_is_retried_under_its_id_until_2xx(control: LmsControl, recorder: Recorder) -> None:
    recorder.statuses = [500, 503, 302, 400]
    done = await control.complete(LEARNER, COURSE)
    await until(lambda: len(recorder.requests) == 5, "the fifth attempt arrives")
    assert {_verified(request)["id"] for request in recorder.requests} == {done.event_id}
    assert len({request.body for request in recorder.requests}) == 1
    await asyncio.sleep(0.05)
    (delivery,) = await control.deliveries(done.event_id)
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 5, 200)


async def test_rename_and_delete_send_their_events(control: LmsControl, recorder: Recorder) -> None:
    renamed = await control.rename(LEARNER, email="renamed@example.com", first_name="Lea")
    await until(lambda: len(recorder.requests) == 1, "user.updated arrives")
    deleted = await control.delete(LEARNER)
    await until(lambda: len(recorder.requests) == 2, "user.deleted arrives")
    updated_event, deleted_event = (_verified(request) for request in recorder.requests)
    assert (updated_event["id"], updated_event["type"]) == (renamed, "user.updated")
    assert updated_event["data"]["user_id"] == LEARNER
    assert updated_event["data"]["email"] == "renamed@example.com"
    assert updated_event["data"]["full_name"] == "Lea Learner"
    assert (deleted_event["id"], deleted_event["type"]) == (deleted, "user.deleted")
    assert deleted_event["data"]["user_id"] == LEARNER
    assert "renamed" not in json.dumps(deleted_event)


async def test_chaos_duplicates(control: LmsControl, recorder: Recorder) -> None:
    await control.chaos(duplicate=4, count=1)
    done = await control.complete(LEARNER, COURSE)
    other = await control.complete(LEARNER2, COURSE)
    await until(lambda: len(recorder.requests) == 6, "five copies and the other event arrive")
    await asyncio.sleep(0.1)
    ids = [_verified(request)["id"] for request in recorder.requests]
    assert (ids.count(done.event_id), ids.count(other.event_id)) == (5, 1)


async def test_chaos_reorders(control: LmsControl, recorder: Recorder) -> None:
    await control.chaos(reorder=3, count=3)
    courses = [COURSE, "data-science", "web-design"]
    ids = [(await control.complete(LEARNER, course)).event_id for course in courses]
    await until(lambda: len(recorder.requests) == 3, "all three arrive")
    assert [_verified(request)["id"] for request in recorder.requests] == ids[::-1]


async def test_a_held_event_arrives_even_when_no_other_comes(control: LmsControl, recorder: Recorder) -> None:
    await control.chaos(reorder=2, count=1)
    done = await control.complete(LEARNER, COURSE)
    await asyncio.sleep(0.1)
    assert not recorder.requests
    assert await control.release("held") == 1
    await until(lambda: len(recorder.requests) == 1, "it arrives after all")
    assert _verified(recorder.requests[0])["id"] == done.event_id


async def test_chaos_delays(control: LmsControl, recorder: Recorder) -> None:
    await control.chaos(delay_seconds=0.4, count=1)
    started = time.monotonic()
    await control.complete(LEARNER, COURSE)
    await control.complete(LEARNER2, COURSE)
    await until(lambda: len(recorder.requests) == 2, "both arrive")
    assert time.monotonic() - started >= 0.39
    assert [_verified(request)["data"]["user_id"] for request in recorder.requests] == [LEARNER2, LEARNER]


async def test_chaos_drops_until_released(control: LmsControl, recorder: Recorder) -> None:
    await control.chaos(drop=True)
    done = await control.complete(LEARNER, COURSE)
    await control.chaos()
    await asyncio.sleep(0.15)
    assert not recorder.requests
    assert [delivery.state for delivery in await control.deliveries()] == ["dropped"]
    assert await control.release() == 1
    await until(lambda: len(recorder.requests) == 1, "the dropped event arrives after all")
    assert _verified(recorder.requests[0])["id"] == done.event_id


async def test_a_failing_receiver_holds_up_no_other_event(control: LmsControl, recorder: Recorder) -> None:
    recorder.statuses = [500]
    await control.complete(LEARNER, COURSE)
    await control.complete(LEARNER2, COURSE)
    await until(lambda: len(recorder.requests) == 3, "three requests for two events")


async def test_events_can_be_signed_with_another_secret(control: LmsControl, recorder: Recorder) -> None:
    other = "whsec_" + base64.b64encode(b"another secret of this test").decode()
    await control.point_webhooks_to(secret=other)
    try:
        await control.complete(LEARNER, COURSE)
        await until(lambda: len(recorder.requests) == 1, "the event arrives")
        request = recorder.requests[0]
        assert verify_standard(request.body, request.headers, [SECRET, other], int(time.time()))
        with pytest.raises(Exception, match="signature"):
            Webhook(SECRET).verify(request.body, request.headers)
    finally:
        await control.point_webhooks_to(secret=SECRET)

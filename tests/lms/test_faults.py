"""Every way the LMS can fail, and what the adapter makes of it."""

import asyncio
import json
import time
from http.server import BaseHTTPRequestHandler

import httpx
import pytest

from devstack.lms_standin.control import LmsControl
from devstack.lms_standin.faults import Kind
from domain.errors import LmsRejected, LmsUnavailable, Misconfigured, UnknownCourse, UserExists
from integrations.lms.standin import StandinLms
from tests.lms.conftest import TOKEN
from tests.lms.processes import Recorder
from tests.lms.test_port import COURSE, LEARNER, LEARNER2, NEW, PASSWORD

_BEFORE: list[Kind] = ["rate_limited", "unavailable_html", "server_error", "cut"]
_AFTER: list[Kind] = [
    "timeout_after_effect",
    "cut_after_effect",
    "error_after_effect",
    "html_200",
    "wrong_answer",
]


@pytest.mark.parametrize("kind", _BEFORE)
async def test_a_failure_before_the_effect_leaves_none_and_can_be_retried(
    lms: StandinLms, control: LmsControl, kind: Kind
) -> None:
    await control.fault("grant", kind)
    with pytest.raises(LmsUnavailable) as failed:
        await lms.grant(LEARNER, COURSE)
    assert failed.value.retryable
    assert await control.enrolments() == []
    await lms.grant(LEARNER, COURSE)
    log = await control.log()
    assert [(entry.outcome, entry.changed) for entry in log] == [(f"fault:{kind}", False), ("ok", True)]


@pytest.mark.parametrize("kind", _AFTER)
async def test_a_lost_answer_is_open_and_the_retry_changes_nothing_more(
    lms: StandinLms, control: LmsControl, kind: Kind
) -> None:
    await control.fault("grant", kind, seconds=0.9)
    with pytest.raises(LmsUnavailable):
        await lms.grant(LEARNER, COURSE)
    assert len(await control.enrolments()) == 1
    await lms.grant(LEARNER, COURSE)
    await control.fault("revoke", kind, seconds=0.9)
    with pytest.raises(LmsUnavailable):
        await lms.revoke(LEARNER, COURSE)
    assert await control.enrolments() == []
    await lms.revoke(LEARNER, COURSE)
    assert [entry.changed for entry in await control.log()] == [True, False, True, False]


async def test_a_call_that_is_cut_off_may_take_effect_later(lms: StandinLms, control: LmsControl) -> None:
    await control.fault("grant", "cut_before_effect", seconds=0.5)
    with pytest.raises(LmsUnavailable):
        await lms.grant(LEARNER, COURSE)
    assert not await lms.enrolled(LEARNER, COURSE)
    await lms.revoke(LEARNER, COURSE)
    await asyncio.sleep(0.8)
    assert await lms.enrolled(LEARNER, COURSE), "the grant of before"
    assert [entry.operation for entry in await control.log()] == ["revoke", "grant"]


@pytest.mark.parametrize("kind", _BEFORE + _AFTER)
@pytest.mark.parametrize("operation", ["login", "get_user", "progress", "enrolled"])
async def test_every_read_survives_every_fault(
    lms: StandinLms, control: LmsControl, operation: str, kind: Kind
) -> None:
    calls = {
        "login": lambda: lms.authenticate("learner", PASSWORD),
        "get_user": lambda: lms.get_user(LEARNER),
        "progress": lambda: lms.progress(LEARNER, COURSE),
        "enrolled": lambda: lms.enrolled(LEARNER, COURSE),
    }
    await control.fault(operation, kind, seconds=0.5)
    with pytest.raises(LmsUnavailable):
        await calls[operation]()
    await calls[operation]()


@pytest.mark.parametrize(
    ("value", "expected"), [("7", 7.0), ("0", 0.0), ("1000000", 86400.0), ("soon", None), (None, None)]
)
async def test_retry_after_is_handed_on(
    lms: StandinLms, control: LmsControl, value: str | None, expected: float | None
) -> None:
    for kind in ("rate_limited", "unavailable_html"):
        await control.fault("grant", kind, retry_after=value)
        with pytest.raises(LmsUnavailable) as failed:
            await lms.grant(LEARNER, COURSE)
        assert failed.value.retry_after_seconds == expected


async def test_latency_delays_the_call_and_no_other(http: httpx.AsyncClient, control: LmsControl) -> None:
    lms = StandinLms(control.base_url, TOKEN, http, timeout_seconds=10)
    await control.fault("grant", "latency", seconds=1.5)
    started = time.monotonic()
    slow = asyncio.create_task(lms.grant(LEARNER, COURSE))
    await asyncio.sleep(0.05)
    await lms.grant(LEARNER2, COURSE)
    assert not slow.done()
    await slow
    assert time.monotonic() - started >= 1.5


async def test_silence_is_unavailable_within_the_timeout(lms: StandinLms, control: LmsControl) -> None:
    await control.fault("grant", "latency", seconds=2)
    started = time.monotonic()
    with pytest.raises(LmsUnavailable):
        await lms.grant(LEARNER, COURSE)
    assert 0.3 < time.monotonic() - started < 5


@pytest.mark.parametrize("kind", ["reject", "error_200"])
async def test_an_unknown_code_is_a_rejection_with_that_code(
    lms: StandinLms, control: LmsControl, kind: Kind
) -> None:
    await control.fault("grant", kind, code="wsnoinstance", status=400)
    with pytest.raises(LmsRejected) as refused:
        await lms.grant(LEARNER, COURSE)
    assert type(refused.value) is LmsRejected
    assert refused.value.code == "wsnoinstance"
    assert not refused.value.retryable
    assert await control.enrolments() == []


async def test_a_known_code_under_200_is_its_rejection(lms: StandinLms, control: LmsControl) -> None:
    await control.fault("grant", "error_200", code="unknown_course")
    with pytest.raises(UnknownCourse):
        await lms.grant(LEARNER, COURSE)
    await control.fault("grant", "error_200", code="invalid_token")
    with pytest.raises(Misconfigured):
        await lms.grant(LEARNER, COURSE)


async def test_faults_match_operation_user_and_course_and_are_used_up(
    lms: StandinLms, control: LmsControl
) -> None:
    await control.fault("grant", "unavailable_html", count=2, user_id=LEARNER, course_id=COURSE)
    await lms.grant(LEARNER2, COURSE)
    await lms.grant(LEARNER, "data-science")
    await lms.revoke(LEARNER, COURSE)
    for _ in range(2):
        with pytest.raises(LmsUnavailable):
            await lms.grant(LEARNER, COURSE)
    assert await control.faults() == []
    await lms.grant(LEARNER, COURSE)
    await control.fault("*", "unavailable_html", count=None)
    for _ in range(3):
        with pytest.raises(LmsUnavailable):
            await lms.get_user(LEARNER)
    await control.clear_faults()
    assert await lms.get_user(LEARNER) is not None


@pytest.mark.parametrize("kind", _AFTER)
async def test_register_whose_answer_was_lost_finds_its_own_account(
    lms: StandinLms, control: LmsControl, kind: Kind
) -> None:
    await control.fault("register", kind, seconds=0.9)
    user = await lms.register(**NEW)
    assert user.email == NEW["email"].lower()
    assert len([found for found in await control.users() if found["email"] == user.email]) == 1


async def test_register_after_a_lost_answer_adopts_nobody_elses_account(
    lms: StandinLms, control: LmsControl
) -> None:
    await control.fault("register", "server_error")
    with pytest.raises(UserExists):
        await lms.register(**NEW | {"email": "learner@example.com", "username": "learner@example.com"})


async def test_register_gives_up_for_now_after_its_second_attempt(
    lms: StandinLms, control: LmsControl
) -> None:
    await control.fault("register", "cut", count=2)
    with pytest.raises(LmsUnavailable):
        await lms.register(**NEW)
    assert await control.faults() == []
    assert (await lms.register(**NEW)).email == NEW["email"].lower()


async def test_register_is_not_repeated_when_it_was_certainly_not_done(
    lms: StandinLms, control: LmsControl
) -> None:
    await control.fault("register", "rate_limited", retry_after="3")
    with pytest.raises(LmsUnavailable) as failed:
        await lms.register(**NEW)
    assert failed.value.retry_after_seconds == 3
    assert all(user["email"] != NEW["email"].lower() for user in await control.users())


async def test_an_lms_that_is_down_is_unavailable(http: httpx.AsyncClient) -> None:
    lms = StandinLms("http://127.0.0.1:9", TOKEN, http, timeout_seconds=0.5)
    for call in (
        lms.authenticate("learner", PASSWORD),
        lms.register(**NEW),
        lms.get_user(LEARNER),
        lms.grant(LEARNER, COURSE),
        lms.revoke(LEARNER, COURSE),
        lms.progress(LEARNER, COURSE),
    ):
        with pytest.raises(LmsUnavailable):
            await call


_USER = {"id": "104", "username": "u", "email": "e@example.com", "full_name": "U", "roles": ["learner"]}
_LIES: list[tuple[int, object]] = [
    (200, b""),
    (200, b"null"),
    (200, b"[]"),
    (200, b'"ok"'),
    (200, b"{}"),
    (200, b"<html>Welcome</html>"),
    (200, b"[" * 100_000),
    (200, b"\xff\xfe{"),
    (200, _USER | {"id": "105"}),
    (200, _USER | {"id": 104}),
    (200, _USER | {"id": None}),
    (200, _USER | {"roles": "operator"}),
    (200, _USER | {"email": ["e@example.com"]}),
    (200, _USER | {"roles": [1]}),
    (200, {name: value for name, value in _USER.items() if name != "roles"}),
    (200, {"error": "text"}),
    (200, {"error": {"code": 7}}),
    (200, {"error": None}),
    (204, b""),
    (301, b""),
    (302, b"{}"),
    (400, b"<html>"),
    (401, b"{}"),
    (403, b"Forbidden"),
    (404, b"Not Found"),
    (404, {"detail": "Not Found"}),
    (500, {"error": {"code": "unknown_user"}}),
    (502, b"<html>Bad gateway</html>"),
    (503, _USER),
]


@pytest.mark.parametrize(("status", "content"), _LIES)
async def test_an_answer_that_is_not_the_protocol_is_never_believed(
    recorder: Recorder, http: httpx.AsyncClient, status: int, content: object
) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        if status in (301, 302):
            handler.send_header("location", f"http://127.0.0.1:{recorder.port}/elsewhere")
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    recorder.answer = answer
    lms = StandinLms(f"http://127.0.0.1:{recorder.port}", TOKEN, http, timeout_seconds=2)
    with pytest.raises(LmsUnavailable) as failed:
        await lms.get_user(LEARNER)
    assert "e@example.com" not in str(failed.value) + repr(failed.value.__cause__)
    assert len(recorder.requests) == 1


@pytest.mark.parametrize(
    "content",
    [
        {"user_id": LEARNER, "course_id": COURSE, "active": False},
        {"user_id": LEARNER2, "course_id": COURSE, "active": True},
        {"user_id": LEARNER, "course_id": "data-science", "active": True},
        {"user_id": LEARNER, "course_id": COURSE, "active": 1},
        {"user_id": LEARNER, "course_id": COURSE},
    ],
)
async def test_a_grant_is_done_only_when_the_answer_says_so_of_this_user_and_course(
    recorder: Recorder, http: httpx.AsyncClient, content: object
) -> None:
    body = json.dumps(content).encode()
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=body))
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(LmsUnavailable):
            await StandinLms("http://lms.example", TOKEN, client).grant(LEARNER, COURSE)


async def test_the_password_is_in_no_error(lms: StandinLms, control: LmsControl) -> None:
    canary = "canary-7f3a9c-password"
    kinds: list[Kind] = [*_BEFORE, *_AFTER, "reject", "error_200"]
    for kind in kinds:
        await control.fault("login", kind, seconds=0.5)
        with pytest.raises((LmsUnavailable, LmsRejected)) as failed:
            await lms.authenticate("learner", canary)
        error: BaseException | None = failed.value
        while error is not None:
            assert canary not in f"{error!r} {error} {getattr(error, 'detail', '')}"
            error = error.__cause__ or error.__context__

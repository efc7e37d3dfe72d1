"""The LMS port, told by what a caller sees: the same cases against the stand-in, Moodle and Open edX."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from domain.errors import (
    BadCredentials,
    LmsInvalidInput,
    LmsRejected,
    LmsUnavailable,
    Misconfigured,
    UnknownCourse,
    UnknownUser,
    UserExists,
    UserNotReady,
)
from integrations.lms import Lms
from tests.lms.campus import NO_EFFECT, OPERATIONS, PASSWORD, REFUSALS, Campus, Operation, Refusal, Trouble

NEW = {
    "email": "New.Person@Example.com",
    "username": "new.person@example.com",
    "password": "a-long-password",
    "first_name": "New",
    "last_name": "Person",
}
EMAIL = "new.person@example.com"


def call(lms: Lms, campus: Campus, operation: Operation) -> Awaitable[object]:
    """The operation, as it succeeds when nothing is wrong."""
    calls: dict[Operation, Callable[[], Awaitable[object]]] = {
        "authenticate": lambda: lms.authenticate("learner", PASSWORD),
        "register": lambda: lms.register(**NEW),
        "get_user": lambda: lms.get_user(campus.learner),
        "grant": lambda: lms.grant(campus.learner, campus.course),
        "revoke": lambda: lms.revoke(campus.learner, campus.course),
    }
    return calls[operation]()


async def test_a_user_logs_in_by_name_and_by_email(campus: Campus) -> None:
    by_name = await campus.lms.authenticate("learner", PASSWORD)
    assert (by_name.id, by_name.email) == (campus.learner, "learner@example.com")
    assert (await campus.lms.authenticate("learner@example.com", PASSWORD)) == by_name
    assert await campus.lms.get_user(by_name.id) == by_name


@pytest.mark.parametrize("username", ["learner", "learner@example.com", "nobody", "nobody@example.com"])
async def test_a_wrong_password_is_rejected(campus: Campus, username: str) -> None:
    with pytest.raises(BadCredentials):
        await campus.lms.authenticate(username, "wrong")


async def test_an_unconfirmed_account_is_not_ready(campus: Campus) -> None:
    await campus.unconfirm()
    with pytest.raises(UserNotReady):
        await campus.lms.authenticate("learner", PASSWORD)


async def test_register_makes_an_account_that_logs_in(campus: Campus) -> None:
    user = await campus.lms.register(**NEW)
    assert user.email == EMAIL
    assert user.roles == ("learner",)
    assert (await campus.lms.authenticate(EMAIL, NEW["password"])).id == user.id


async def test_register_takes_no_account_twice(campus: Campus) -> None:
    await campus.lms.register(**NEW)
    with pytest.raises(UserExists):
        await campus.lms.register(**NEW)
    with pytest.raises(UserExists):
        await campus.lms.register(**NEW | {"password": "somebody-elses"}, resuming=True)
    assert await campus.accounts(EMAIL) == 1


async def test_a_resumed_registration_finds_its_own_account(campus: Campus) -> None:
    made = await campus.lms.register(**NEW)
    assert (await campus.lms.register(**NEW, resuming=True)).id == made.id


async def test_a_registration_whose_answer_was_lost_is_found_again(campus: Campus) -> None:
    await campus.trouble("answer lost", "register")
    user = await campus.lms.register(**NEW)
    assert user.email == EMAIL
    assert await campus.accounts(EMAIL) == 1


async def test_a_weak_password_is_said_to_be_one(campus: Campus) -> None:
    with pytest.raises(LmsInvalidInput, match=r"(?i)password") as refusal:
        await campus.lms.register(**NEW | {"password": "short"})
    assert "<" not in refusal.value.detail


async def test_an_email_with_a_plus_registers(campus: Campus) -> None:
    plus = {"email": "ada+math@example.com", "username": "ada+math@example.com"}
    user = await campus.lms.register(**NEW | plus)
    assert user.email == "ada+math@example.com"
    assert (await campus.lms.authenticate("ada+math@example.com", NEW["password"])).id == user.id


@pytest.mark.parametrize("user_id", ["9999", "nobody", "0", "¹⁰⁴", "101/../102"])
async def test_an_unknown_user_is_none(campus: Campus, user_id: str) -> None:
    assert await campus.lms.get_user(user_id) is None


async def test_a_deleted_user_is_none(campus: Campus) -> None:
    await campus.delete()
    assert await campus.lms.get_user(campus.learner) is None
    with pytest.raises(BadCredentials):
        await campus.lms.authenticate("learner", PASSWORD)
    with pytest.raises(UnknownUser):
        await campus.lms.grant(campus.learner, campus.course)


async def test_grant_and_revoke_state_a_desired_end(campus: Campus) -> None:
    for _ in range(2):
        await campus.lms.grant(campus.learner, campus.course)
    for _ in range(2):
        await campus.lms.revoke(campus.learner, campus.course)
    assert await campus.changes() == ["grant", "revoke"]


async def test_a_renamed_user_is_enrolled_by_the_id(campus: Campus) -> None:
    await campus.rename("ada")
    await campus.lms.grant(campus.learner, campus.course)
    assert await campus.changes() == ["grant"]
    user = await campus.lms.get_user(campus.learner)
    assert user is not None
    assert user.username == "ada"


async def test_grant_says_for_good_why_not(campus: Campus) -> None:
    with pytest.raises(UnknownUser):
        await campus.lms.grant("9999", campus.course)
    for course in ("77", "no such course", "course-v1:edX+Other+2026"):
        with pytest.raises(UnknownCourse):
            await campus.lms.grant(campus.learner, course)
    assert await campus.changes() == []


async def test_revoke_succeeds_where_nobody_is(campus: Campus) -> None:
    await campus.lms.revoke("9999", campus.course)
    await campus.lms.revoke(campus.learner, "no-such-course")
    assert await campus.changes() == []


async def test_a_grant_whose_answer_was_lost_has_one_effect(campus: Campus) -> None:
    await campus.trouble("answer lost", "grant")
    with pytest.raises(LmsUnavailable):
        await campus.lms.grant(campus.learner, campus.course)
    await campus.lms.grant(campus.learner, campus.course)
    assert await campus.changes() == ["grant"]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", NO_EFFECT)
async def test_what_is_no_answer_is_asked_again_later(
    campus: Campus, kind: Trouble, operation: Operation
) -> None:
    await campus.trouble(kind, operation, times=2)  # a registration may try twice by itself
    with pytest.raises(LmsUnavailable) as error:
        await call(campus.lms, campus, operation)
    assert error.value.retryable
    assert error.value.retry_after_seconds == (7 if kind == "429" else None)
    assert await campus.changes() == []


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "register"])
async def test_a_page_where_json_should_be_is_not_believed(campus: Campus, operation: Operation) -> None:
    await campus.trouble("page under 200", operation)
    with pytest.raises(LmsUnavailable):
        await call(campus.lms, campus, operation)


async def an_unknown_error_waits_for_a_person(campus: Campus, kind: Refusal, operation: Operation) -> None:
    """It is no known reason, and never one to ask again."""
    await campus.refuse(kind, operation)
    with pytest.raises(LmsRejected) as refusal:
        await call(campus.lms, campus, operation)
    assert not refusal.value.retryable
    assert type(refusal.value) is LmsRejected


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", REFUSALS)
async def test_an_unknown_error_waits_for_a_person(
    campus: Campus, kind: Refusal, operation: Operation
) -> None:
    if kind not in campus.refusals:
        kind = campus.refusals[0]
    await an_unknown_error_waits_for_a_person(campus, kind, operation)


@pytest.mark.parametrize("operation", ["grant", "revoke"])
async def test_a_refusal_is_asked_for_once(campus: Campus, operation: Operation) -> None:
    await campus.refuse("a code that nobody knows", operation)
    with pytest.raises(LmsRejected):
        await call(campus.lms, campus, operation)
    assert await campus.asked(operation) == 1


async def test_an_lms_that_is_off_is_asked_again_later(campus: Campus, http: httpx.AsyncClient) -> None:
    off = campus.with_access(base_url="http://127.0.0.1:9")
    for operation in OPERATIONS:
        with pytest.raises(LmsUnavailable):
            await call(off, campus, operation)
    with pytest.raises(LmsUnavailable):
        await off.reach()
    found = await off.check()
    assert (found.ok, found.setting, found.away) == (False, "LMS_BASE_URL", True)


async def test_who_may_enter_is_told(campus: Campus) -> None:
    """Whatever is known of progress: Open edX tells none, Moodle none without completion tracking."""
    assert await campus.lms.enrolled(campus.learner, campus.course) is False
    await campus.lms.grant(campus.learner, campus.course)
    assert await campus.lms.enrolled(campus.learner, campus.course) is True
    await campus.lms.revoke(campus.learner, campus.course)
    assert await campus.lms.enrolled(campus.learner, campus.course) is False
    assert await campus.lms.enrolled("9999", campus.course) is False
    assert await campus.lms.enrolled(campus.learner, "77") is False


async def test_a_good_configuration_is_said_to_be_good(campus: Campus) -> None:
    await campus.lms.reach()
    found = await campus.lms.check()
    assert found.ok, found
    assert (found.setting, found.away) == (None, False)
    assert await campus.changes() == []


async def test_wrong_credentials_are_an_operators_task_and_have_no_effect(campus: Campus) -> None:
    stranger = campus.with_wrong_secret()
    for operation in ("get_user", "grant", "revoke"):
        with pytest.raises(Misconfigured):
            await call(stranger, campus, operation)
    await stranger.reach()
    found = await stranger.check()
    assert (found.ok, found.away) == (False, False)
    assert found.setting in ("LMS_TOKEN", "LMS_CLIENT_ID")
    assert "wrong" not in found.detail
    assert await campus.changes() == []


async def test_a_course_has_an_address(campus: Campus) -> None:
    assert campus.lms.course_url(campus.course).startswith(campus.access.base_url)


async def test_progress_is_none_when_nobody_is_enrolled(campus: Campus) -> None:
    assert await campus.lms.progress(campus.learner, campus.course) is None

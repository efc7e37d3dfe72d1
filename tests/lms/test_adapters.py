"""Moodle and Open edX through the same port: the same cases against both wire protocols."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

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
from integrations.lms import Lms, LmsAccess, PollsCompletion, make_lms
from tests.lms.wire import Moodle, OpenEdx, limited, moodle_error, page, serving, unavailable

NEW = {
    "email": "New.Person@Example.com",
    "username": "new.person@example.com",
    "password": "a-long-password",
    "first_name": "New",
    "last_name": "Person",
}


@dataclass
class Campus:
    """One LMS, its adapter, and a learner and a course that are there."""

    wire: Moodle | OpenEdx
    lms: Lms
    course: str
    learner: str = "101"

    @property
    def changes(self) -> list[str]:
        return [operation for operation, _, _ in self.wire.changes]


def moodle_access(base_url: str) -> LmsAccess:
    return LmsAccess("moodle", base_url, token=Moodle.token, login_service=Moodle.service)


def edx_access(base_url: str) -> LmsAccess:
    return LmsAccess("openedx", base_url, client_id=OpenEdx.client[0], client_secret=OpenEdx.client[1])


async def campus_of(wire: Moodle | OpenEdx, http: httpx.AsyncClient) -> Campus:
    wire.person(username="learner", email="learner@example.com", password="commerce-demo")
    access = moodle_access if isinstance(wire, Moodle) else edx_access
    course = "42" if isinstance(wire, Moodle) else "course-v1:edX+Demo+2026"
    wire.courses.add(course)
    return Campus(wire, make_lms(access(wire.base_url), http), course)


@pytest.fixture(params=[Moodle, OpenEdx], ids=["moodle", "openedx"])
async def campus(request: pytest.FixtureRequest, http: httpx.AsyncClient) -> AsyncIterator[Campus]:
    wire = request.param()
    async with serving(wire):
        yield await campus_of(wire, http)


@pytest.fixture
async def moodle(http: httpx.AsyncClient) -> AsyncIterator[Campus]:
    wire = Moodle()
    async with serving(wire):
        yield await campus_of(wire, http)


@pytest.fixture
async def edx(http: httpx.AsyncClient) -> AsyncIterator[Campus]:
    wire = OpenEdx()
    async with serving(wire):
        yield await campus_of(wire, http)


# --- both -------------------------------------------------------------------------------------------------


async def test_a_user_logs_in_by_name_and_by_email(campus: Campus) -> None:
    by_name = await campus.lms.authenticate("learner", "commerce-demo")
    assert by_name.id == campus.learner
    assert (await campus.lms.authenticate("learner@example.com", "commerce-demo")) == by_name
    assert await campus.lms.get_user(by_name.id) == by_name


@pytest.mark.parametrize("username", ["learner", "learner@example.com", "nobody", "nobody@example.com"])
async def test_a_wrong_password_is_rejected(campus: Campus, username: str) -> None:
    with pytest.raises(BadCredentials):
        await campus.lms.authenticate(username, "wrong")


async def test_an_unconfirmed_account_is_not_ready(campus: Campus) -> None:
    campus.wire.people[101].confirmed = False
    with pytest.raises(UserNotReady):
        await campus.lms.authenticate("learner", "commerce-demo")


async def test_register_makes_an_account_that_logs_in(campus: Campus) -> None:
    user = await campus.lms.register(**NEW)
    assert user.email == "new.person@example.com"
    assert (await campus.lms.authenticate("new.person@example.com", NEW["password"])).id == user.id


async def test_register_takes_no_account_twice(campus: Campus) -> None:
    await campus.lms.register(**NEW)
    with pytest.raises(UserExists):
        await campus.lms.register(**NEW)
    with pytest.raises(UserExists):
        await campus.lms.register(**NEW | {"password": "somebody-elses"}, resuming=True)


async def test_a_resumed_registration_finds_its_own_account(campus: Campus) -> None:
    made = await campus.lms.register(**NEW)
    assert (await campus.lms.register(**NEW, resuming=True)).id == made.id


async def test_a_registration_whose_answer_was_lost_is_found_again(campus: Campus) -> None:
    campus.wire.fail(unavailable, after=True)
    user = await campus.lms.register(**NEW)
    assert len(campus.wire.people) == 2
    assert user.id == "102"


async def test_a_weak_password_is_said_to_be_one(campus: Campus) -> None:
    with pytest.raises(LmsInvalidInput, match=r"(?i)password") as refusal:
        await campus.lms.register(**NEW | {"password": "short"})
    assert "<" not in refusal.value.detail


async def test_an_email_with_a_plus_registers(campus: Campus) -> None:
    plus = {"email": "ada+math@example.com", "username": "ada+math@example.com"}
    user = await campus.lms.register(**NEW | plus)
    assert user.email == "ada+math@example.com"
    assert (await campus.lms.authenticate("ada+math@example.com", NEW["password"])).id == user.id


@pytest.mark.parametrize("user_id", ["9999", "nobody", "0", "", "¹⁰⁴", "101/../102"])
async def test_an_unknown_user_is_none(campus: Campus, user_id: str) -> None:
    assert await campus.lms.get_user(user_id) is None


async def test_grant_and_revoke_state_a_desired_end(campus: Campus) -> None:
    for _ in range(2):
        await campus.lms.grant(campus.learner, campus.course)
    for _ in range(2):
        await campus.lms.revoke(campus.learner, campus.course)
    assert campus.changes == ["grant", "revoke"]


async def test_who_may_enter_is_told(campus: Campus) -> None:
    """Whatever is known of progress: Open edX tells none, Moodle none without completion tracking."""
    assert await campus.lms.enrolled(campus.learner, campus.course) is False
    await campus.lms.grant(campus.learner, campus.course)
    assert await campus.lms.enrolled(campus.learner, campus.course) is True
    assert await campus.lms.progress(campus.learner, campus.course) is None
    await campus.lms.revoke(campus.learner, campus.course)
    assert await campus.lms.enrolled(campus.learner, campus.course) is False
    assert await campus.lms.enrolled("9999", campus.course) is False
    assert await campus.lms.enrolled(campus.learner, "77") is False
    campus.wire.fail(unavailable)
    with pytest.raises(LmsUnavailable):
        await campus.lms.enrolled(campus.learner, campus.course)


async def test_a_grant_is_as_many_calls_as_the_gate_counts(campus: Campus) -> None:
    await campus.lms.get_user(campus.learner)  # the token is there by now
    for ask in (campus.lms.grant, campus.lms.revoke):
        campus.wire.calls.clear()
        await ask(campus.learner, campus.course)
        assert len(campus.wire.calls) == campus.lms.calls_to_enrol


async def test_grant_says_for_good_why_not(campus: Campus) -> None:
    with pytest.raises(UnknownUser):
        await campus.lms.grant("9999", campus.course)
    with pytest.raises(UnknownCourse):
        await campus.lms.grant(campus.learner, "77")
    with pytest.raises(UnknownCourse):
        await campus.lms.grant(campus.learner, "no such course")


async def test_revoke_succeeds_where_nobody_is(campus: Campus) -> None:
    await campus.lms.revoke("9999", campus.course)
    await campus.lms.revoke(campus.learner, "no-such-course")


async def test_a_grant_whose_answer_was_lost_has_one_effect(campus: Campus) -> None:
    campus.wire.fail(unavailable, after=isinstance(campus.wire, Moodle))
    with pytest.raises(LmsUnavailable):
        await campus.lms.grant(campus.learner, campus.course)
    await campus.lms.grant(campus.learner, campus.course)
    assert campus.changes == ["grant"]


@pytest.mark.parametrize("fault", [unavailable, limited, page])
async def test_what_is_no_answer_is_asked_again_later(campus: Campus, fault) -> None:  # type: ignore[no-untyped-def]
    campus.wire.fail(fault, times=3)
    with pytest.raises(LmsUnavailable) as error:
        await campus.lms.grant(campus.learner, campus.course)
    assert error.value.retry_after_seconds == (7 if fault is limited else None)


async def test_an_lms_that_is_off_is_asked_again_later(http: httpx.AsyncClient) -> None:
    for access in (moodle_access, edx_access):
        lms = make_lms(access("http://127.0.0.1:9"), http)
        with pytest.raises(LmsUnavailable):
            await lms.grant("101", "42")
        found = await lms.check()
        assert (found.ok, found.setting) == (False, "LMS_BASE_URL")


async def test_a_good_configuration_is_said_to_be_good(campus: Campus) -> None:
    found = await campus.lms.check()
    assert found.ok, found
    assert found.setting is None


# --- Moodle -----------------------------------------------------------------------------------------------


async def test_the_course_page_of_moodle(moodle: Campus) -> None:
    assert moodle.lms.course_url("42") == f"{moodle.wire.base_url}/course/view.php?id=42"


async def test_an_administrator_of_moodle_is_an_operator(moodle: Campus) -> None:
    moodle.wire.people[101].admin = True
    assert (await moodle.lms.authenticate("learner", "commerce-demo")).roles == ("operator",)


async def test_a_suspended_user_of_moodle_can_be_enrolled_and_not_log_in(moodle: Campus) -> None:
    moodle.wire.people[101].suspended = True
    with pytest.raises(BadCredentials):
        await moodle.lms.authenticate("learner", "commerce-demo")
    await moodle.lms.grant("101", "42")


async def test_moodle_says_who_cannot_be_enrolled(moodle: Campus) -> None:
    moodle.wire.people[101].confirmed = False
    with pytest.raises(UserNotReady):
        await moodle.lms.grant("101", "42")
    moodle.wire.people[101].deleted = True
    with pytest.raises(UnknownUser):
        await moodle.lms.grant("101", "42")


@pytest.mark.parametrize("code", ["dmlwriteexception", "dbconnectionfailed", "sitemaintenance"])
async def test_a_busy_database_of_moodle_is_asked_again(moodle: Campus, code: str) -> None:
    moodle.wire.fail(lambda: moodle_error(code))
    with pytest.raises(LmsUnavailable):
        await moodle.lms.grant("101", "42")
    await moodle.lms.grant("101", "42")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalidtoken", Misconfigured),
        ("accessexception", Misconfigured),
        ("wsnoinstance", Misconfigured),
        ("wsusercannotassign", Misconfigured),
        ("somethingnew", LmsRejected),
    ],
)
async def test_what_moodle_refuses_waits_for_a_person(
    moodle: Campus, code: str, kind: type[LmsRejected]
) -> None:
    moodle.wire.fail(lambda: moodle_error(code))
    with pytest.raises(kind) as refusal:
        await moodle.lms.grant("101", "42")
    assert not refusal.value.retryable
    assert len(moodle.wire.calls) == 1


async def test_moodle_is_polled_for_progress_and_completion(moodle: Campus) -> None:
    assert isinstance(moodle.lms, PollsCompletion)
    assert isinstance(moodle.wire, Moodle)
    assert await moodle.lms.progress("101", "42") is None
    assert await moodle.lms.completed("101", "42") is None, "who is not enrolled may have completed it"
    await moodle.lms.grant("101", "42")
    moodle.wire.progress = {(101, "42"): 37.5}
    assert await moodle.lms.progress("101", "42") == 0.375
    assert await moodle.lms.completed("101", "42") is False
    moodle.wire.completed = {(101, "42")}
    assert await moodle.lms.completed("101", "42") is True
    await moodle.lms.revoke("101", "42")
    assert await moodle.lms.completed("101", "42") is None
    moodle.wire.fail(lambda: moodle_error("nocriteriaset"))
    assert await moodle.lms.completed("101", "42") is None


async def test_check_names_the_functions_that_moodles_service_lacks(moodle: Campus) -> None:
    assert isinstance(moodle.wire, Moodle)
    moodle.wire.functions = ("core_webservice_get_site_info", "enrol_manual_enrol_users")
    found = await moodle.lms.check()
    assert (found.ok, found.setting) == (False, "LMS_TOKEN")
    assert "enrol_manual_unenrol_users" in found.detail
    assert "enrol_manual_enrol_users," not in found.detail


async def test_check_names_the_setting_that_is_wrong_for_moodle(
    moodle: Campus, http: httpx.AsyncClient
) -> None:
    base = moodle.wire.base_url
    wrong = LmsAccess("moodle", base, token="wrong", login_service=Moodle.service)
    assert (await make_lms(wrong, http).check()).setting == "LMS_TOKEN"
    wrong = LmsAccess("moodle", base, token=Moodle.token, login_service="other")
    assert (await make_lms(wrong, http).check()).setting == "LMS_LOGIN_SERVICE"


# --- Open edX ---------------------------------------------------------------------------------------------


async def test_the_course_page_of_open_edx(edx: Campus) -> None:
    assert edx.lms.course_url(edx.course) == f"{edx.wire.base_url}/courses/{edx.course}/course/"


async def test_the_service_token_is_kept_and_renewed_when_it_is_refused(edx: Campus) -> None:
    assert isinstance(edx.wire, OpenEdx)
    await edx.lms.grant("101", edx.course)
    await edx.lms.revoke("101", edx.course)
    assert edx.wire.calls.count("token client_credentials") == 1
    edx.wire.expired = {_any_token(edx.wire)}
    await edx.lms.grant("101", edx.course)
    assert edx.wire.calls.count("token client_credentials") == 2


def _any_token(wire: OpenEdx) -> str:
    import base64
    import json

    claims = base64.urlsafe_b64encode(json.dumps({"preferred_username": "commerce_service", "n": 1}).encode())
    return f"e30.{claims.decode().rstrip('=')}.sig"


async def test_a_client_that_is_not_staff_is_named(edx: Campus) -> None:
    assert isinstance(edx.wire, OpenEdx)
    edx.wire.staff = False
    with pytest.raises(Misconfigured, match="staff"):
        await edx.lms.grant("101", edx.course)
    assert (await edx.lms.check()).setting == "LMS_CLIENT_ID"


async def test_a_wrong_client_is_named(edx: Campus, http: httpx.AsyncClient) -> None:
    wrong = LmsAccess("openedx", edx.wire.base_url, client_id="commerce", client_secret="wrong")
    found = await make_lms(wrong, http).check()
    assert (found.ok, found.setting) == (False, "LMS_CLIENT_ID")


async def test_a_forbidden_request_of_open_edx_is_its_rate_limit(edx: Campus) -> None:
    from starlette.responses import JSONResponse

    await edx.lms.get_user("101")  # now the token is there
    edx.wire.fail(lambda: JSONResponse({"error_code": "forbidden-request"}, 403))
    with pytest.raises(LmsUnavailable):
        await edx.lms.get_user("101")
    edx.wire.fail(lambda: JSONResponse({"error_code": "forbidden-request"}, 403))
    with pytest.raises(LmsUnavailable):
        await edx.lms.register(**NEW)


async def test_a_renamed_user_is_enrolled_by_the_id(edx: Campus) -> None:
    edx.wire.people[101].username = "ada"
    await edx.lms.grant("101", edx.course)
    assert edx.wire.changes == [("grant", 101, edx.course)]

"""What is Moodle's or Open edX's own, beyond the contract of the port (`test_contract.py`)."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.responses import JSONResponse, Response

from domain.errors import (
    BadCredentials,
    LmsRejected,
    LmsUnavailable,
    Misconfigured,
    UnknownUser,
    UserNotReady,
)
from integrations.http import make_http_client
from integrations.lms import PollsCompletion, make_lms
from integrations.lms.transport import NotSent
from tests.lms.campus import PASSWORD, MoodleCampus, OpenEdxCampus
from tests.lms.test_contract import NEW
from tests.lms.wire import (
    forbidden_request,
    limit_page,
    login_error,
    moodle_error,
    page,
    thrown_by_php,
    unavailable,
)

# --- Moodle -----------------------------------------------------------------------------------------------


async def test_the_course_page_of_moodle(moodle: MoodleCampus) -> None:
    assert moodle.lms.course_url("42") == f"{moodle.wire.base_url}/course/view.php?id=42"


async def test_an_administrator_of_moodle_needs_a_token_made_by_hand(moodle: MoodleCampus) -> None:
    moodle.wire.people[101].admin = True
    with pytest.raises(Misconfigured, match="site administrator") as refusal:
        await moodle.lms.authenticate("learner", PASSWORD)
    assert "by hand" in refusal.value.detail
    moodle.wire.tokens_made_by_hand = frozenset({101})
    assert (await moodle.lms.authenticate("learner", PASSWORD)).roles == ("operator",)


async def test_a_login_service_that_is_not_there_is_named_at_the_first_login(moodle: MoodleCampus) -> None:
    lost = moodle.with_access(login_service="elsewhere")
    # Moodle tells nobody without a good password.
    with pytest.raises(BadCredentials):
        await lost.authenticate("learner", "wrong")
    with pytest.raises(Misconfigured, match="LMS_LOGIN_SERVICE"):
        await lost.authenticate("learner", PASSWORD)
    found = await lost.check()
    assert found.ok
    assert any("LMS_LOGIN_SERVICE" in what for what in found.not_checked)


async def test_an_email_is_looked_up_as_typed_then_in_lower_case(moodle: MoodleCampus) -> None:
    moodle.wire.person(username="ada", email="Ada@x.org", password=PASSWORD)
    assert (await moodle.lms.authenticate(" Ada@x.org ", PASSWORD)).username == "ada"
    assert (await moodle.lms.authenticate("LEARNER@example.com", PASSWORD)).username == "learner"
    # Moodle itself would not take it for the same address.
    with pytest.raises(BadCredentials):
        await moodle.lms.authenticate("ADA@x.org", PASSWORD)


async def test_a_suspended_user_of_moodle_can_be_enrolled_and_not_log_in(moodle: MoodleCampus) -> None:
    moodle.wire.people[101].suspended = True
    with pytest.raises(BadCredentials):
        await moodle.lms.authenticate("learner", PASSWORD)
    await moodle.lms.grant("101", "42")


async def test_an_account_restored_without_its_password_is_its_owners_matter(moodle: MoodleCampus) -> None:
    moodle.wire.fail(lambda: login_error("restoredaccountresetpassword", "Reset your password"))
    with pytest.raises(UserNotReady, match="Reset your password"):
        await moodle.lms.authenticate("learner", PASSWORD)


async def test_moodle_says_who_cannot_be_enrolled(moodle: MoodleCampus) -> None:
    moodle.wire.people[101].confirmed = False
    with pytest.raises(UserNotReady):
        await moodle.lms.grant("101", "42")
    moodle.wire.people[101].deleted = True
    with pytest.raises(UnknownUser):
        await moodle.lms.grant("101", "42")


@pytest.mark.parametrize(
    "code", ["dmlwriteexception", "dmlreadexception", "dbconnectionfailed", "sitemaintenance"]
)
async def test_a_busy_database_of_moodle_is_asked_again(moodle: MoodleCampus, code: str) -> None:
    moodle.wire.fail(lambda: moodle_error(code))
    with pytest.raises(LmsUnavailable):
        await moodle.lms.grant("101", "42")
    await moodle.lms.grant("101", "42")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalidtoken", Misconfigured),
        ("accessexception", Misconfigured),
        ("nopermissions", Misconfigured),
        ("wsnoinstance", Misconfigured),
        ("wsusercannotassign", Misconfigured),
        ("somethingnew", LmsRejected),
    ],
)
async def test_what_moodle_refuses_waits_for_a_person(
    moodle: MoodleCampus, code: str, kind: type[LmsRejected]
) -> None:
    moodle.wire.fail(lambda: moodle_error(code, "You may not (Enrol users)"))
    with pytest.raises(kind, match="Enrol users") as refusal:
        await moodle.lms.grant("101", "42")
    assert not refusal.value.retryable
    assert len(moodle.wire.calls) == 1


async def test_what_php_throws_has_no_code_and_is_an_error(moodle: MoodleCampus) -> None:
    moodle.wire.fail(thrown_by_php, on="enrol_manual_enrol_users")
    with pytest.raises(LmsRejected, match="operand") as refusal:
        await moodle.lms.grant("101", "42")
    assert refusal.value.code == "lms_rejected"
    moodle.wire.fail(lambda: JSONResponse({"error": "Undefined constant"}), on="login")
    with pytest.raises(LmsRejected, match="constant"):
        await moodle.lms.authenticate("learner", PASSWORD)


@pytest.mark.parametrize(
    ("user", "course", "outcome"),
    [("101", "42", LmsRejected), ("9999", "42", None), ("101", "77", None), ("9999", "77", None)],
)
async def test_an_ambiguous_invalid_parameter_is_asked_about(
    moodle: MoodleCampus, user: str, course: str, outcome: type[LmsRejected] | None
) -> None:
    """A user or course that is not there is the end that a revoke wants; else a person looks at it."""
    moodle.wire.fail(lambda: moodle_error("invalidparameter"), on="enrol_manual_unenrol_users")
    if outcome is None:
        await moodle.lms.revoke(user, course)
        return
    with pytest.raises(outcome) as refusal:
        await moodle.lms.revoke(user, course)
    assert type(refusal.value) is outcome


@pytest.mark.parametrize("function", ["enrol_manual_enrol_users", "core_user_get_users_by_field"])
async def test_a_grant_without_its_function_is_an_operators_task(moodle: MoodleCampus, function: str) -> None:
    """Moodle answers for a function that it lacks as for a user whom it does not know."""
    moodle.wire.unknown_functions = frozenset({function})
    with pytest.raises(Misconfigured, match="commerce lms check"):
        await moodle.lms.grant("101" if function.startswith("enrol") else "9999", "42")
    assert not (await moodle.lms.check()).ok


@pytest.mark.parametrize("user", ["101", "9999"])
async def test_a_revoke_without_its_function_is_no_success(moodle: MoodleCampus, user: str) -> None:
    await moodle.lms.grant("101", "42")
    moodle.wire.unknown_functions = frozenset({"enrol_manual_unenrol_users", "core_user_get_users_by_field"})
    with pytest.raises(Misconfigured, match="commerce lms check"):
        await moodle.lms.revoke(user, "42")
    moodle.wire.unknown_functions = frozenset({"enrol_manual_unenrol_users"})
    with pytest.raises(Misconfigured, match="commerce lms check"):
        await moodle.lms.revoke("101", "42")


@pytest.mark.parametrize("function", ["enrol_manual_enrol_users", "enrol_manual_unenrol_users"])
async def test_a_function_outside_the_service_is_an_operators_task(
    moodle: MoodleCampus, function: str
) -> None:
    everything = moodle.wire._offered()
    moodle.wire.functions = tuple(name for name in everything if name != function)
    change = moodle.lms.revoke if "unenrol" in function else moodle.lms.grant
    with pytest.raises(Misconfigured, match="lacks a function"):
        await change("101", "42")


async def test_moodle_is_polled_for_progress_and_completion(moodle: MoodleCampus) -> None:
    assert isinstance(moodle.lms, PollsCompletion)
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


class Turns:
    """Counts them, and gives no more than so many."""

    def __init__(self) -> None:
        self.taken, self.left = 0, 1000

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        if self.taken == self.left:
            raise NotSent("busy")
        self.taken += 1
        yield


async def test_every_request_waits_for_its_turn(moodle: MoodleCampus, edx: OpenEdxCampus) -> None:
    """Also those that find out what a refusal means, and those that fetch a token."""
    turns = Turns()
    async with make_http_client(turns) as http:
        for campus, unknown in ((moodle, "9999"), (edx, "course-v1:Org+None+2026")):
            lms = make_lms(campus.access, http)
            campus.wire.calls.clear()
            turns.taken = 0
            await lms.grant(campus.learner, campus.course)
            await lms.revoke(campus.learner, campus.course)
            with pytest.raises(LmsRejected):
                await lms.grant(campus.learner, unknown)
            assert turns.taken == len(campus.wire.calls) >= 4


async def test_without_a_turn_nothing_is_sent(moodle: MoodleCampus, edx: OpenEdxCampus) -> None:
    """Whichever of a grant's requests has none, the grant had no effect."""
    turns = Turns()
    async with make_http_client(turns) as http:
        for campus in (moodle, edx):
            lms = make_lms(campus.access, http)
            for left in range(10):
                turns.taken, turns.left = 0, left
                try:
                    await lms.grant(campus.learner, campus.course)
                    break
                except NotSent:
                    assert await campus.changes() == []
            assert left >= 1
            assert await campus.changes() == ["grant"]


async def test_check_names_the_functions_that_moodles_service_lacks(moodle: MoodleCampus) -> None:
    moodle.wire.functions = ("core_webservice_get_site_info", "enrol_manual_enrol_users")
    found = await moodle.lms.check()
    assert (found.ok, found.setting) == (False, "LMS_TOKEN")
    assert "enrol_manual_unenrol_users" in found.detail
    assert "enrol_manual_enrol_users," not in found.detail


async def test_check_names_the_permission_without_which_nobody_logs_in_by_email(
    moodle: MoodleCampus,
) -> None:
    moodle.wire.sees_emails = False
    found = await moodle.lms.check()
    assert (found.ok, found.setting) == (False, "LMS_TOKEN")
    assert "moodle/site:viewuseridentity" in found.detail


async def test_check_says_what_it_can_not_find_out(moodle: MoodleCampus) -> None:
    moodle.wire.sees_participants = False
    await moodle.lms.grant("101", "42")
    moodle.wire.progress = {(101, "42"): 37.5}
    assert await moodle.lms.progress("101", "42") is None
    found = await moodle.lms.check()
    assert found.ok
    assert any("moodle/course:viewparticipants" in what for what in found.not_checked)
    assert not any("viewuseridentity" in what for what in found.not_checked)
    moodle.wire.first_administrator = None
    assert any("viewuseridentity" in what for what in (await moodle.lms.check()).not_checked)


async def test_check_and_reach_log_nobody_in_at_moodle(moodle: MoodleCampus) -> None:
    await moodle.lms.reach()
    assert moodle.wire.calls == ["login"]
    await moodle.lms.check()
    moodle.wire.web_services = False
    await moodle.lms.reach()
    found = await moodle.lms.check()
    assert (found.ok, found.setting) == (False, "LMS_BASE_URL")
    assert "web services are switched off" in found.detail


@pytest.mark.parametrize("fault", [unavailable, page])
async def test_moodle_under_maintenance_is_away(moodle: MoodleCampus, fault: Callable[[], Response]) -> None:
    moodle.wire.fail(fault)
    with pytest.raises(LmsUnavailable):
        await moodle.lms.reach()
    moodle.wire.fail(fault)
    assert (await moodle.lms.check()).away


# --- Open edX ---------------------------------------------------------------------------------------------


async def test_the_course_page_of_open_edx(edx: OpenEdxCampus) -> None:
    assert edx.lms.course_url(edx.course) == f"{edx.wire.base_url}/courses/{edx.course}/course/"


async def test_the_service_token_is_kept_and_renewed_when_it_is_refused(edx: OpenEdxCampus) -> None:
    await edx.lms.grant("101", edx.course)
    await edx.lms.revoke("101", edx.course)
    assert edx.wire.calls.count("token client_credentials") == 1
    edx.wire.expired = {_first_token()}
    await edx.lms.grant("101", edx.course)
    assert edx.wire.calls.count("token client_credentials") == 2


async def test_reaching_open_edx_costs_no_token(edx: OpenEdxCampus) -> None:
    await edx.lms.grant("101", edx.course)
    await edx.lms.reach()
    await edx.lms.revoke("101", edx.course)
    assert edx.wire.calls.count("token client_credentials") == 1


def _first_token() -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"preferred_username": "commerce_service", "n": 1}).encode())
    return f"e30.{claims.decode().rstrip('=')}.sig"


@pytest.mark.parametrize("guards", [True, False])
async def test_a_client_that_is_not_staff_is_named(edx: OpenEdxCampus, guards: bool) -> None:
    """Others than staff are refused, or shown what everybody may see of an account, by release."""
    edx.wire.staff, edx.wire.guards_accounts = False, guards
    with pytest.raises(Misconfigured, match="staff"):
        await edx.lms.grant("101", edx.course)
    with pytest.raises(Misconfigured, match="staff"):
        await edx.lms.authenticate("learner", PASSWORD)
    found = await edx.lms.check()
    assert (found.ok, found.setting) == (False, "LMS_CLIENT_ID")
    assert "staff" in found.detail


async def test_the_check_of_open_edx_changes_nothing(edx: OpenEdxCampus) -> None:
    assert (await edx.lms.check()).ok
    assert "enrollment" in edx.wire.calls
    assert edx.wire.changes == []


async def test_a_wrong_client_is_named(edx: OpenEdxCampus) -> None:
    found = await edx.with_access(client_secret="wrong").check()
    assert (found.ok, found.setting) == (False, "LMS_CLIENT_ID")
    found = await edx.with_access(login_client_secret="wrong").check()
    assert (found.ok, found.setting) == (False, "LMS_LOGIN_CLIENT_ID")
    assert "LMS_LOGIN_CLIENT_SECRET" in found.detail


async def test_one_client_can_not_do_both(edx: OpenEdxCampus) -> None:
    """An application has one grant type; without a client for logins the service's is used."""
    alone = edx.with_access(login_client_id="", login_client_secret="")
    await alone.grant("101", edx.course)
    with pytest.raises(Misconfigured, match="LMS_LOGIN_CLIENT_ID"):
        await alone.authenticate("learner", PASSWORD)
    found = await alone.check()
    assert (found.ok, found.setting) == (False, "LMS_LOGIN_CLIENT_ID")
    name, secret = edx.wire.login_client
    swapped = edx.with_access(client_id=name, client_secret=secret)
    with pytest.raises(Misconfigured, match="LMS_CLIENT_ID"):
        await swapped.grant("101", edx.course)
    assert (await swapped.check()).setting == "LMS_CLIENT_ID"
    assert (await edx.lms.authenticate("learner", PASSWORD)).id == "101"


@pytest.mark.parametrize("limit", [forbidden_request, limit_page])
@pytest.mark.parametrize(
    "name", ["token client_credentials", "token password", "accounts", "enrollment", "registration"]
)
async def test_each_call_of_open_edx_has_a_rate_limit(
    edx: OpenEdxCampus, name: str, limit: Callable[[], Response]
) -> None:
    edx.wire.fail(limit, times=2, on=name)  # a registration looks for its account afterwards

    async def everything() -> None:
        await edx.lms.register(**NEW)
        await edx.lms.grant("101", edx.course)

    with pytest.raises(LmsUnavailable):
        await everything()


async def test_another_403_of_a_registration_is_no_rate_limit(edx: OpenEdxCampus) -> None:
    edx.wire.fail(lambda: JSONResponse({"error_code": "registration-closed"}, 403), on="registration")
    with pytest.raises(LmsRejected):
        await edx.lms.register(**NEW)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(406, UnknownUser), (403, LmsRejected), (404, Misconfigured), (409, LmsRejected), (405, LmsRejected)],
)
async def test_an_enrolment_that_is_refused_says_why(
    edx: OpenEdxCampus, status: int, kind: type[LmsRejected]
) -> None:
    edx.wire.fail(lambda: JSONResponse({"message": "an embargo"}, status), on="enrollment")
    with pytest.raises(kind) as refusal:
        await edx.lms.grant("101", edx.course)
    assert type(refusal.value) is kind
    if kind is LmsRejected:
        assert refusal.value.detail == "an embargo"
    edx.wire.fail(lambda: Response(status_code=status), on="enrollment")
    with pytest.raises(kind):
        await edx.lms.grant("101", edx.course)


async def test_a_revoke_of_whom_the_lms_no_longer_knows_is_done(edx: OpenEdxCampus) -> None:
    """406 alone: the account was there when it was looked up."""
    edx.wire.fail(lambda: JSONResponse({"message": "no such user"}, 406), on="enrollment")
    await edx.lms.revoke("101", edx.course)


async def test_an_error_under_200_is_not_believed(edx: OpenEdxCampus) -> None:
    edx.wire.fail(lambda: JSONResponse({"message": "it failed"}), on="enrollment")
    with pytest.raises(LmsUnavailable):
        await edx.lms.grant("101", edx.course)
    edx.wire.fail(lambda: JSONResponse({"user": "learner", "is_active": False}), on="enrollment")
    with pytest.raises(LmsUnavailable):
        await edx.lms.grant("101", edx.course)


async def test_a_page_of_another_server_is_no_answer_about_a_user(edx: OpenEdxCampus) -> None:
    not_found = Response("<html>Not found</html>", 404, media_type="text/html")
    for name in ("accounts", "enrollment"):
        edx.wire.fail(lambda: not_found, on=name)
        with pytest.raises(LmsUnavailable):
            await edx.lms.grant("101", edx.course)

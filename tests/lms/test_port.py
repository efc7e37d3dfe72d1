"""What the stand-in does beyond the contract that all adapters pass (`test_contract.py`)."""

import httpx
import pytest

from devstack.lms_standin.control import LmsControl
from domain.errors import (
    BadCredentials,
    LmsInvalidInput,
    LmsRejected,
    Misconfigured,
    UnknownCourse,
    UnknownUser,
    UserExists,
    UserNotReady,
)
from integrations.lms import Lms, LmsAccess, PollsCompletion, make_lms
from integrations.lms.standin import StandinLms
from tests.lms.conftest import TOKEN

PASSWORD = "commerce-demo"
LEARNER, LEARNER2 = "104", "105"
COURSE = "python-101"
NEW = {
    "email": "New.Person@Example.com",
    "username": "New.Person@Example.com",
    "password": "a-long-password",
    "first_name": "New",
    "last_name": "Person",
}


@pytest.mark.parametrize(
    ("account", "role"),
    [
        ("operator@example.com", "operator"),
        ("instructor@example.com", "instructor"),
        ("instructor2@example.com", "instructor"),
        ("learner@example.com", "learner"),
        ("learner2@example.com", "learner"),
    ],
)
async def test_seeded_accounts_log_in_with_the_role_their_name_says(
    lms: StandinLms, account: str, role: str
) -> None:
    user = await lms.authenticate(account, PASSWORD)
    assert user.roles == (role,)
    assert user.email == account
    assert user.full_name
    assert await lms.get_user(user.id) == user


async def test_the_six_courses_have_the_ids_the_catalogue_uses(lms: StandinLms) -> None:
    ids = ("python-101", "data-science", "web-design", "japanese-basics", "live-workshop-2027", "intro-free")
    for course_id in ids:
        await lms.grant(LEARNER, course_id)


async def test_email_and_user_name_log_in_in_any_case(lms: StandinLms) -> None:
    by_email = await lms.authenticate("LEARNER@Example.COM", PASSWORD)
    assert await lms.authenticate("learner", PASSWORD) == by_email


@pytest.mark.parametrize(
    ("username", "password"),
    [("learner", "wrong"), ("learner", ""), ("", ""), ("nobody@example.com", PASSWORD), ("104", PASSWORD)],
)
async def test_wrong_credentials_are_rejected(lms: StandinLms, username: str, password: str) -> None:
    with pytest.raises(BadCredentials):
        await lms.authenticate(username, password)


async def test_a_suspended_account_looks_like_a_wrong_password(lms: StandinLms, control: LmsControl) -> None:
    await control.suspend("learner@example.com")
    with pytest.raises(BadCredentials):
        await lms.authenticate("learner", PASSWORD)
    await control.suspend("learner@example.com", suspended=False)
    assert (await lms.authenticate("learner", PASSWORD)).id == LEARNER


async def test_an_unconfirmed_account_is_not_ready(lms: StandinLms, control: LmsControl) -> None:
    await control.unconfirm("learner@example.com")
    with pytest.raises(UserNotReady):
        await lms.authenticate("learner", PASSWORD)
    with pytest.raises(BadCredentials):
        await lms.authenticate("learner", "wrong")


async def test_register_makes_a_learner_who_can_log_in(lms: StandinLms) -> None:
    user = await lms.register(**NEW)
    assert user.email == "new.person@example.com"
    assert user.full_name == "New Person"
    assert user.roles == ("learner",)
    assert await lms.authenticate(NEW["email"], NEW["password"]) == user


async def test_register_takes_no_email_twice_even_with_the_right_password(lms: StandinLms) -> None:
    await lms.register(**NEW)
    with pytest.raises(UserExists):
        await lms.register(**NEW)
    with pytest.raises(UserExists):
        await lms.register(**NEW | {"username": "another"})
    with pytest.raises(UserExists):
        await lms.register(**NEW | {"email": "another@example.com"})


async def test_a_resumed_registration_finds_its_own_account_by_the_password_only(lms: StandinLms) -> None:
    made = await lms.register(**NEW)
    assert await lms.register(**NEW, resuming=True) == made
    with pytest.raises(UserExists):
        await lms.register(**NEW | {"password": "somebody-elses"}, resuming=True)
    with pytest.raises(UserExists):
        # The user name and password open an account, but of another email.
        await lms.register(**NEW | {"email": "learner@example.com"}, resuming=True)


@pytest.mark.parametrize(
    "change",
    [
        {"email": "no-address"},
        {"email": ""},
        {"email": "a@b.c d"},
        {"username": ""},
        {"username": "has space"},
        {"username": "x" * 101},
        {"password": "short"},
        {"first_name": " "},
        {"last_name": "x" * 101},
        {"password": "surrogate-\ud800"},
    ],
)
async def test_register_refuses_bad_fields_for_good(lms: StandinLms, change: dict[str, str]) -> None:
    with pytest.raises(LmsInvalidInput):
        await lms.register(**NEW | change)


@pytest.mark.parametrize("user_id", ["9999", "nobody", "0", "9" * 40, "104/../105", "104?x=1", "¹⁰⁴"])
async def test_an_unknown_user_is_none(lms: StandinLms, user_id: str) -> None:
    assert await lms.get_user(user_id) is None


@pytest.mark.parametrize("user_id", ["", ".", "..", "10\n4", "10\x004"])
async def test_an_id_that_can_be_none_never_leaves_us(lms: StandinLms, user_id: str) -> None:
    with pytest.raises(LmsInvalidInput):
        await lms.get_user(user_id)


async def test_grant_and_revoke_state_a_desired_end(lms: StandinLms, control: LmsControl) -> None:
    for _ in range(2):
        await lms.grant(LEARNER, COURSE)
    assert [(e.user_id, e.course_id) for e in await control.enrolments()] == [(LEARNER, COURSE)]
    for _ in range(2):
        await lms.revoke(LEARNER, COURSE)
    assert await control.enrolments() == []
    log = await control.log(LEARNER, COURSE)
    assert [(entry.operation, entry.changed, entry.outcome) for entry in log] == [
        ("grant", True, "ok"),
        ("grant", False, "ok"),
        ("revoke", True, "ok"),
        ("revoke", False, "ok"),
    ]
    assert [entry.at for entry in log] == sorted(entry.at for entry in log)


async def test_grant_concerns_one_user_and_one_course(lms: StandinLms, control: LmsControl) -> None:
    await lms.grant(LEARNER, COURSE)
    await lms.grant(LEARNER2, "data-science")
    await lms.revoke(LEARNER, "data-science")
    assert {(e.user_id, e.course_id) for e in await control.enrolments()} == {
        (LEARNER, COURSE),
        (LEARNER2, "data-science"),
    }


async def test_grant_says_for_good_why_not(lms: StandinLms, control: LmsControl) -> None:
    with pytest.raises(UnknownUser):
        await lms.grant("9999", COURSE)
    with pytest.raises(UnknownCourse):
        await lms.grant(LEARNER, "no-such-course")
    await control.suspend(LEARNER)
    with pytest.raises(UserNotReady):
        await lms.grant(LEARNER, COURSE)
    await control.unconfirm(LEARNER2)
    with pytest.raises(UserNotReady):
        await lms.grant(LEARNER2, COURSE)
    await control.delete("instructor2@example.com")
    with pytest.raises(UnknownUser):
        await lms.grant("103", COURSE)
    outcomes = [entry.outcome for entry in await control.log()]
    assert outcomes == ["unknown_user", "unknown_course", "user_not_ready", "user_not_ready", "unknown_user"]


async def test_revoke_succeeds_for_whom_grant_would_refuse(lms: StandinLms, control: LmsControl) -> None:
    await lms.grant(LEARNER, COURSE)
    await control.suspend(LEARNER)
    await lms.revoke(LEARNER, COURSE)
    await lms.revoke("9999", COURSE)
    await lms.revoke(LEARNER, "no-such-course")
    await control.delete(LEARNER)
    await lms.revoke(LEARNER, COURSE)
    assert await control.enrolments() == []


async def test_an_odd_course_id_reaches_the_lms_unharmed(lms: StandinLms, control: LmsControl) -> None:
    odd = "course-v1:Org+Kurs/2027 ?#%41é"
    await control.add_course(odd, "Odd")
    await lms.grant(LEARNER, odd)
    assert [e.course_id for e in await control.enrolments()] == [odd]
    await lms.revoke(LEARNER, odd)
    assert await control.enrolments() == []


async def test_a_slash_in_an_id_moves_nothing_into_another_id(lms: StandinLms, control: LmsControl) -> None:
    await control.add_course("x/y", "Slashed")
    with pytest.raises(UnknownUser):
        await lms.grant(f"{LEARNER}/x", "y")
    assert await control.enrolments() == []


async def test_who_may_enter_is_told(lms: StandinLms) -> None:
    assert await lms.enrolled(LEARNER, COURSE) is False
    await lms.grant(LEARNER, COURSE)
    assert await lms.enrolled(LEARNER, COURSE) is True
    await lms.revoke(LEARNER, COURSE)
    assert await lms.enrolled(LEARNER, COURSE) is False
    assert await lms.enrolled("9999", COURSE) is False
    assert await lms.enrolled(LEARNER, "no-such-course") is False


async def test_progress_goes_from_0_to_1_and_is_none_outside(lms: StandinLms, control: LmsControl) -> None:
    assert await lms.progress(LEARNER, COURSE) is None
    await lms.grant(LEARNER, COURSE)
    assert await lms.progress(LEARNER, COURSE) == 0.0
    await control.set_progress(LEARNER, COURSE, 0.25)
    assert await lms.progress(LEARNER, COURSE) == 0.25
    await control.complete(LEARNER, COURSE)
    assert await lms.progress(LEARNER, COURSE) == 1.0
    await lms.revoke(LEARNER, COURSE)
    assert await lms.progress(LEARNER, COURSE) is None
    await lms.grant(LEARNER, COURSE)
    assert await lms.progress(LEARNER, COURSE) == 1.0
    with pytest.raises(UnknownUser):
        await lms.progress("9999", COURSE)
    with pytest.raises(UnknownCourse):
        await lms.progress(LEARNER, "no-such-course")


async def test_a_deleted_user_is_none_and_the_id_is_never_given_again(
    lms: StandinLms, control: LmsControl
) -> None:
    first = await lms.register(**NEW)
    await control.delete(first.id)
    assert await lms.get_user(first.id) is None
    with pytest.raises(BadCredentials):
        await lms.authenticate(NEW["email"], NEW["password"])
    second = await lms.register(**NEW)
    await control.reset()
    third = await lms.register(**NEW)
    assert len({first.id, second.id, third.id}) == 3


async def test_a_renamed_user_keeps_the_id(lms: StandinLms, control: LmsControl) -> None:
    await control.rename(LEARNER, email="Renamed@example.com", last_name="Married")
    user = await lms.get_user(LEARNER)
    assert user is not None
    assert (user.email, user.full_name) == ("renamed@example.com", "Lena Married")
    assert (await lms.authenticate("renamed@example.com", PASSWORD)).id == LEARNER


def test_the_deep_link_leads_to_the_course(lms: StandinLms, control: LmsControl) -> None:
    assert lms.course_url(COURSE) == f"{control.base_url}/courses/{COURSE}"
    assert lms.course_url("a/b c") == f"{control.base_url}/courses/a%2Fb%20c"


async def test_check_tells_what_to_look_at(
    lms: StandinLms, control: LmsControl, http: httpx.AsyncClient
) -> None:
    assert (await lms.check()).ok
    wrong_token = await StandinLms(control.base_url, "wrong", http).check()
    assert (wrong_token.ok, wrong_token.setting) == (False, "LMS_TOKEN")
    broken_token = await StandinLms(control.base_url, "secret\n", http).check()
    assert (broken_token.ok, broken_token.setting) == (False, "LMS_TOKEN")
    assert "secret" not in broken_token.detail
    for address in ("http://127.0.0.1:9", f"{control.base_url}/elsewhere", "not-a-url", "http://[", ""):
        wrong_address = await StandinLms(address, TOKEN, http).check()
        assert (wrong_address.ok, wrong_address.setting) == (False, "LMS_BASE_URL"), address
        assert wrong_address.address == address
    await control.fault("check", "unavailable_html")
    assert not (await lms.check()).ok


@pytest.mark.parametrize(
    "token", ["", "wrong", "line\nbreak", "tökèn", "lms-token-of-the-tests2", "Lms-token-of-the-tests"]
)
async def test_a_wrong_token_is_an_operators_task_and_has_no_effect(
    control: LmsControl, http: httpx.AsyncClient, token: str
) -> None:
    stranger = StandinLms(control.base_url, token, http)
    for call in (
        stranger.authenticate("learner", PASSWORD),
        stranger.register(**NEW),
        stranger.get_user(LEARNER),
        stranger.grant(LEARNER, COURSE),
        stranger.revoke(LEARNER, COURSE),
        stranger.progress(LEARNER, COURSE),
    ):
        with pytest.raises(Misconfigured):
            await call
    assert await control.log() == []


async def test_make_lms_knows_the_kinds_that_are_built(control: LmsControl, http: httpx.AsyncClient) -> None:
    lms: Lms = make_lms(LmsAccess("standin", control.base_url, TOKEN), http)
    assert (await lms.check()).ok
    # The stand-in sends events, so nobody should poll it.
    assert not isinstance(lms, PollsCompletion)
    assert isinstance(make_lms(LmsAccess("moodle", control.base_url, TOKEN), http), PollsCompletion)
    assert not isinstance(make_lms(LmsAccess("openedx", control.base_url), http), PollsCompletion)
    for kind in ("", "Standin"):
        with pytest.raises(Misconfigured, match="LMS_KIND"):
            make_lms(LmsAccess(kind, control.base_url), http)


async def test_no_error_is_retried_that_is_final() -> None:
    assert not LmsRejected.retryable

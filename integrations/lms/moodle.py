"""Adapter of Moodle 4 and 5 by its REST web services, with nothing installed in Moodle.

Moodle answers errors with status 200 and `{"exception", "errorcode", "message"}`; the login script answers
`{"error", "errorcode"}`. A call that has nothing to say answers `null`. Documented at
docs.moodle.org/dev/Web_services; docs/lms/moodle.md tells an administrator what to set up.
"""

import hashlib
import re

import httpx

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
from integrations.lms.moodle_refusals import (
    AMBIGUOUS,
    MISCONFIGURED,
    MISSING,
    NO_FUNCTION,
    Refused,
    rejection,
)
from integrations.lms.moodle_service import (
    Completion,
    Courses,
    Created,
    Enrolled,
    MoodleService,
    SiteInfo,
)
from integrations.lms.port import LmsCheck, LmsUser
from integrations.lms.transport import LmsTransport, NotSent

FUNCTIONS = frozenset(
    {
        "core_webservice_get_site_info",
        "core_user_create_users",
        "core_user_get_users_by_field",
        "core_course_get_courses_by_field",
        "enrol_manual_enrol_users",
        "enrol_manual_unenrol_users",
        "core_enrol_get_users_courses",
        "core_completion_get_course_completion_status",
    }
)
"""What the service of `LMS_TOKEN` must offer."""

# The installer makes the guest first, and the site's first administrator after it.
_FIRST_ADMINISTRATOR = "2"
_NO_EMAILS = (
    "the service's user sees no email of others, so nobody can log in by email: give its role "
    "moodle/site:viewuseridentity, and have email among the site's fields of identity (showuseridentity)"
)
_EMAILS_NOT_CHECKED = "moodle/site:viewuseridentity: the administrator whose email would show it is hidden"
_NOT_CHECKED = (
    "LMS_LOGIN_SERVICE: Moodle looks at it only once a password was right; log a learner in",
    "moodle/user:create: register a learner",
    "in each course: manual enrolment, the role LMS_STUDENT_ROLE_ID, enrol/manual:enrol and :unenrol, "
    "moodle/course:viewparticipants (without it progress is not known), report/completion:view",
)
_NOT_IN_USERNAMES = re.compile(r"[^-.@_a-z0-9]")


class MoodleLms:
    """The port, spoken to Moodle. Course ids are Moodle's numeric ids."""

    def __init__(
        self,
        base_url: str,
        token: str,
        client: httpx.AsyncClient,
        *,
        login_service: str,
        student_role_id: int = 5,
        timeout_seconds: float = 10,
    ) -> None:
        self._transport = LmsTransport(base_url, client, timeout_seconds)
        self._service = MoodleService(self._transport, token)
        self._login_service = login_service
        self._student_role_id = student_role_id

    async def authenticate(self, username: str, password: str) -> LmsUser:
        """See the port. An email is looked up first, because Moodle takes user names only by default."""
        name = await self._username_of(username.strip())
        try:
            token = await self._service.login(name, password, self._login_service)
            info = await self._service.ask(SiteInfo, "core_webservice_get_site_info", {}, token=token)
        except Refused as refusal:
            raise rejection(refusal) from refusal
        user = await self.get_user(str(info.userid))
        if user is None:
            raise UnknownUser("the account was deleted meanwhile")
        roles = ("operator",) if info.userissiteadmin else ("learner",)
        return LmsUser(user.id, user.username, user.email, user.full_name or info.fullname, roles)

    async def _username_of(self, given: str) -> str:
        """The user name behind an email (as it was typed, because Moodle compares cases, else in lower case,
        as `register` writes it), else what was typed.

        BadCredentials where Moodle would read another name than that: each of many spellings of one account
        would be a new account to who counts wrong passwords.
        """
        if "@" in given:
            for email in dict.fromkeys((given, given.lower())):
                found = await self._service.users_by("email", email)
                # A database may take `a` and `\u00e1` for the same.
                if len(found) == 1 and (found[0].email or email).lower() == email.lower():
                    return found[0].username
        name = given.lower()
        if _NOT_IN_USERNAMES.search(name):  # its login script drops these signs
            raise BadCredentials("the LMS refused the user name or password")
        return name

    async def register(
        self,
        *,
        email: str,
        username: str,
        password: str,
        first_name: str,
        last_name: str,
        resuming: bool = False,
    ) -> LmsUser:
        """See the port. The account is confirmed at once: an unconfirmed one could not be enrolled."""
        email = email.strip().lower()
        name = moodle_username(username)
        try:
            made = await self._create(
                username=name, email=email, password=password, firstname=first_name, lastname=last_name
            )
        except NotSent:
            raise
        except LmsUnavailable:
            found = await self._service.users_by("username", name)
            if not found:
                raise
            return await self._own(email, name, password)
        except Refused as refusal:
            if not await self._service.users_by("username", name) and not await self._service.users_by(
                "email", email
            ):
                raise rejection(refusal, otherwise=LmsInvalidInput) from refusal
            if not resuming:
                raise UserExists("an account with this email or user name exists already") from refusal
            return await self._own(email, name, password)
        return LmsUser(str(made.id), made.username, email, f"{first_name} {last_name}".strip(), ("learner",))

    async def _create(self, **fields: str) -> Created:
        arguments = {f"users[0][{field}]": value for field, value in fields.items()}
        made: list[Created] = await self._service.ask_list(Created, "core_user_create_users", arguments)
        if len(made) != 1:
            raise LmsUnavailable("the LMS was asked for one account and told of another number")
        return made[0]

    async def _own(self, email: str, username: str, password: str) -> LmsUser:
        """The account that is there, if the password proves that it is the caller's."""
        try:
            user = await self.authenticate(username, password)
        except (BadCredentials, UserNotReady) as error:
            raise UserExists("an account with this email or user name exists already") from error
        if (user.email or "").lower() != email:
            raise UserExists("an account with this email or user name exists already")
        return user

    async def get_user(self, user_id: str) -> LmsUser | None:
        """See the port. What Moodle's profile says of roles is per course, so none is told here."""
        if not user_id.isascii() or not user_id.isdigit():
            return None
        found = await self._service.users_by("id", user_id)
        if not found:
            return None
        if str(found[0].id) != str(int(user_id)):
            raise LmsUnavailable("the LMS answered with another user than asked for")
        one = found[0]
        return LmsUser(str(one.id), one.username, one.email, one.fullname, ("learner",))

    async def grant(self, user_id: str, course_id: str) -> None:
        """See the port."""
        arguments = {
            "enrolments[0][roleid]": str(self._student_role_id),
            "enrolments[0][userid]": _number(user_id, UnknownUser),
            "enrolments[0][courseid]": _number(course_id, UnknownCourse),
        }
        try:
            await self._service.ask_nothing("enrol_manual_enrol_users", arguments)
        except Refused as refusal:
            raise await self._who_is_wrong(user_id, course_id, refusal) from refusal

    async def _who_is_wrong(self, user_id: str, course_id: str, refusal: Refused) -> LmsRejected:
        """What a refusal to enrol or unenrol means, asked for where Moodle does not tell."""
        if refusal.code not in AMBIGUOUS:
            return rejection(refusal)
        query = {"field": "id", "value": course_id}
        found = await self._service.ask_known(Courses, "core_course_get_courses_by_field", query)
        if not found.courses:
            return UnknownCourse(f"course {course_id} is not there")
        if await self.get_user(user_id) is None:
            return UnknownUser(f"user {user_id} is not there")
        if refusal.code in MISSING:
            return Misconfigured(NO_FUNCTION)
        return LmsRejected(refusal.message)

    async def revoke(self, user_id: str, course_id: str) -> None:
        """See the port. Moodle answers nothing, whether somebody was enrolled or not."""
        if not (user_id.isdigit() and course_id.isdigit()):
            return
        arguments = {"enrolments[0][userid]": user_id, "enrolments[0][courseid]": course_id}
        try:
            await self._service.ask_nothing("enrol_manual_unenrol_users", arguments)
        except Refused as refusal:
            if refusal.code == "wsnoinstance":
                return
            wrong = await self._who_is_wrong(user_id, course_id, refusal)
            if not isinstance(wrong, UnknownUser | UnknownCourse):
                raise wrong from refusal
            # Nobody, or nowhere, to be enrolled: the end that was asked for.

    async def enrolled(self, user_id: str, course_id: str) -> bool:
        """See the port."""
        try:
            return await self._course_of(user_id, course_id) is not None
        except UnknownUser:
            return False

    async def progress(self, user_id: str, course_id: str) -> float | None:
        """See the port."""
        found = await self._course_of(user_id, course_id)
        return None if found is None or found.progress is None else found.progress / 100

    async def _course_of(self, user_id: str, course_id: str) -> Enrolled | None:
        """The course as one of those that the user is enrolled in."""
        try:
            courses: list[Enrolled] = await self._service.ask_list(
                Enrolled, "core_enrol_get_users_courses", {"userid": _number(user_id, UnknownUser)}
            )
        except Refused as refusal:
            raise rejection(refusal) from refusal
        return next((course for course in courses if str(course.id) == course_id), None)

    async def completed(self, user_id: str, course_id: str) -> bool | None:
        """See the port `PollsCompletion`; of a course without completion criteria nothing can be said."""
        arguments = {
            "userid": _number(user_id, UnknownUser),
            "courseid": _number(course_id, UnknownCourse),
        }
        try:
            found: Completion = await self._service.ask(
                Completion, "core_completion_get_course_completion_status", arguments
            )
        except Refused as refusal:
            if refusal.code in ("usernotenroled", "notenroled", "nocriteriaset"):
                return None
            raise rejection(refusal) from refusal
        return found.completionstatus.completed

    def course_url(self, course_id: str) -> str:
        """See the port. Somebody who is not logged in is asked to."""
        return f"{self._transport.base_url}/course/view.php?id={_number(course_id, UnknownCourse)}"

    async def reach(self) -> None:
        """See the port."""
        await self._service.site_for_apps()

    async def check(self) -> LmsCheck:
        """See the port: the token, every function behind it, whether it sees emails, the login script."""
        address = self._transport.base_url
        try:
            off = await self._service.site_for_apps()
            if off is not None and off.code in MISCONFIGURED:
                return LmsCheck(False, address, rejection(off).detail, "LMS_BASE_URL")
            info = await self._service.ask_known(SiteInfo, "core_webservice_get_site_info", {})
            missing = sorted(FUNCTIONS - {str(function.get("name")) for function in info.functions})
            if missing:
                detail = f"the service of the token lacks these functions: {', '.join(missing)}"
                return LmsCheck(False, address, detail, "LMS_TOKEN")
            seen = await self._service.users_by("id", _FIRST_ADMINISTRATOR)
        except LmsUnavailable as error:
            return LmsCheck(False, address, error.detail, "LMS_BASE_URL", away=True)
        except LmsRejected as error:
            setting = "LMS_TOKEN" if isinstance(error, Misconfigured) else "LMS_BASE_URL"
            return LmsCheck(False, address, error.detail, setting)
        if seen and seen[0].email is None:
            return LmsCheck(False, address, _NO_EMAILS, "LMS_TOKEN")
        detail = f"{info.sitename or 'Moodle'} answers; the token of {info.username} has every function"
        # One's own email is always seen.
        unseen = () if seen and seen[0].id != info.userid else (_EMAILS_NOT_CHECKED,)
        return LmsCheck(True, address, detail, not_checked=(*unseen, *_NOT_CHECKED))


def moodle_username(username: str) -> str:
    """A user name that Moodle takes: lower case, few signs; told apart by a digest where signs were lost."""
    lowered = username.strip().lower()
    plain = _NOT_IN_USERNAMES.sub("_", lowered)
    if plain == lowered:
        return plain
    return f"{plain}-{hashlib.sha256(lowered.encode()).hexdigest()[:8]}"


def _number(value: str, wrong: type[LmsRejected]) -> str:
    """An id of Moodle's; anything else can't be there."""
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise wrong(f"{value[:50]!r} is no id of Moodle's")
    return value

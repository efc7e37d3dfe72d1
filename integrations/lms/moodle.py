"""Adapter of Moodle 4 and 5 by its REST web services, with nothing installed in Moodle.

Moodle answers errors with status 200 and `{"exception", "errorcode", "message"}`; the login script answers
`{"error", "errorcode"}`. A call that has nothing to say answers `null`. Documented at
docs.moodle.org/dev/Web_services; docs/lms/moodle.md tells an administrator what to set up.
"""

import hashlib
import html
import re
from typing import Any

import httpx
from pydantic import Field, TypeAdapter, ValidationError

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
from integrations.lms.port import LmsCheck, LmsUser
from integrations.lms.transport import Answer, LmsTransport, NotSent, json_of, unexpected

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

# The database was busy or away: nothing was decided.
_RETRY = frozenset({"dmlwriteexception", "dmlreadexception", "dbconnectionfailed", "sitemaintenance"})
_MISCONFIGURED = {
    "invalidtoken": "the token is not valid",
    "nopermissions": "the service's user may not do this",
    "cannotcreatetoken": (
        "Moodle makes no token for this account: a site administrator gets one only by hand, others need "
        "the capability moodle/webservice:createtoken"
    ),
    "accessexception": "the token's service lacks a function that commerce calls",
    "wsusercannotassign": "the service's user may not assign the role LMS_STUDENT_ROLE_ID in this course",
    "wsnoinstance": "the course has no manual enrolment method",
    "wscannotenrol": "the course's manual enrolment method may not be used",
    "servicenotavailable": "the login service LMS_LOGIN_SERVICE is not there or not enabled",
    "enablewsdescription": "web services are switched off",
    "restoredaccountresetpassword": "this account must reset its password in Moodle",
}
_REJECTED: dict[str, type[LmsRejected]] = {
    "invalidlogin": BadCredentials,
    "usernotconfirmed": UserNotReady,
    "userdeleted": UnknownUser,
    "invaliduser": UnknownUser,
    "invalidrecordunknown": UnknownUser,
    "invalidcourseid": UnknownCourse,
}
# Moodle says so of a user as of a course, and of a function that this Moodle does not have.
_AMBIGUOUS = frozenset({"invalidparameter", "invalidrecord", "invalidrecordunknown"})
_MISSING = _AMBIGUOUS - {"invalidparameter"}
_NO_FUNCTION = "a function is not in the service of LMS_TOKEN: `commerce lms check` names it"
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
_NO_CODE = "lms_rejected"
_LOGIN = "/login/token.php"
_TAGS = re.compile(r"<[^>]*>")
_NOT_IN_USERNAMES = re.compile(r"[^-.@_a-z0-9]")


class _SiteInfo(Answer):
    userid: int
    username: str
    fullname: str
    userissiteadmin: bool = False
    sitename: str = ""
    functions: list[dict[str, Any]] = []


class _User(Answer):
    id: int
    username: str = ""
    fullname: str = ""
    email: str | None = None


class _Created(Answer):
    id: int
    username: str


class _Course(Answer):
    id: int


class _Courses(Answer):
    courses: list[_Course]


class _Enrolled(Answer):
    id: int
    progress: float | None = Field(default=None, ge=0, le=100)
    completed: bool | None = None


class _CompletionStatus(Answer):
    completed: bool


class _Completion(Answer):
    completionstatus: _CompletionStatus


class _Refused(Exception):
    """An error answer; `code` is Moodle's, which may be a sentence of HTML."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        said = code if "<" in code else message or code
        self.message = html.unescape(_TAGS.sub(" ", said)).strip()[:500]


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
        self._token = token
        self._login_service = login_service
        self._student_role_id = student_role_id

    async def authenticate(self, username: str, password: str) -> LmsUser:
        """See the port. An email is looked up first, because Moodle takes user names only by default."""
        name = await self._username_of(username.strip())
        try:
            token = await self._login(name, password)
            info = await self._ask(_SiteInfo, "core_webservice_get_site_info", {}, token=token)
        except _Refused as refusal:
            raise _rejection(refusal) from refusal
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
                found = await self._users_by("email", email)
                # A database may take `a` and `\u00e1` for the same.
                if len(found) == 1 and (found[0].email or email).lower() == email.lower():
                    return found[0].username
        name = given.lower()
        if _NOT_IN_USERNAMES.search(name):  # its login script drops these signs
            raise BadCredentials("the LMS refused the user name or password")
        return name

    async def _login(self, username: str, password: str) -> str:
        """A token of the user's own; it is used once and forgotten."""
        form = {"username": username, "password": password, "service": self._login_service}
        content = json_of(await self._transport.send("POST", _LOGIN, form=form))
        if isinstance(content, dict) and isinstance(token := content.get("token"), str) and token:
            return token
        raise _refusal_in(content) or LmsUnavailable("the LMS's login answered neither a token nor an error")

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
            found = await self._users_by("username", name)
            if not found:
                raise
            return await self._own(email, name, password)
        except _Refused as refusal:
            if not await self._users_by("username", name) and not await self._users_by("email", email):
                raise _rejection(refusal, otherwise=LmsInvalidInput) from refusal
            if not resuming:
                raise UserExists("an account with this email or user name exists already") from refusal
            return await self._own(email, name, password)
        return LmsUser(str(made.id), made.username, email, f"{first_name} {last_name}".strip(), ("learner",))

    async def _create(self, **fields: str) -> _Created:
        arguments = {f"users[0][{field}]": value for field, value in fields.items()}
        made: list[_Created] = await self._ask_list(_Created, "core_user_create_users", arguments)
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
        found = await self._users_by("id", user_id)
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
            await self._ask_nothing("enrol_manual_enrol_users", arguments)
        except _Refused as refusal:
            raise await self._who_is_wrong(user_id, course_id, refusal) from refusal

    async def _who_is_wrong(self, user_id: str, course_id: str, refusal: _Refused) -> LmsRejected:
        """What a refusal to enrol or unenrol means, asked for where Moodle does not tell."""
        if refusal.code not in _AMBIGUOUS:
            return _rejection(refusal)
        query = {"field": "id", "value": course_id}
        found = await self._ask_known(_Courses, "core_course_get_courses_by_field", query)
        if not found.courses:
            return UnknownCourse(f"course {course_id} is not there")
        if await self.get_user(user_id) is None:
            return UnknownUser(f"user {user_id} is not there")
        if refusal.code in _MISSING:
            return Misconfigured(_NO_FUNCTION)
        return LmsRejected(refusal.message)

    async def revoke(self, user_id: str, course_id: str) -> None:
        """See the port. Moodle answers nothing, whether somebody was enrolled or not."""
        if not (user_id.isdigit() and course_id.isdigit()):
            return
        arguments = {"enrolments[0][userid]": user_id, "enrolments[0][courseid]": course_id}
        try:
            await self._ask_nothing("enrol_manual_unenrol_users", arguments)
        except _Refused as refusal:
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

    async def _course_of(self, user_id: str, course_id: str) -> _Enrolled | None:
        """The course as one of those that the user is enrolled in."""
        try:
            courses: list[_Enrolled] = await self._ask_list(
                _Enrolled, "core_enrol_get_users_courses", {"userid": _number(user_id, UnknownUser)}
            )
        except _Refused as refusal:
            raise _rejection(refusal) from refusal
        return next((course for course in courses if str(course.id) == course_id), None)

    async def completed(self, user_id: str, course_id: str) -> bool | None:
        """See the port `PollsCompletion`; of a course without completion criteria nothing can be said."""
        arguments = {
            "userid": _number(user_id, UnknownUser),
            "courseid": _number(course_id, UnknownCourse),
        }
        try:
            found: _Completion = await self._ask(
                _Completion, "core_completion_get_course_completion_status", arguments
            )
        except _Refused as refusal:
            if refusal.code in ("usernotenroled", "notenroled", "nocriteriaset"):
                return None
            raise _rejection(refusal) from refusal
        return found.completionstatus.completed

    def course_url(self, course_id: str) -> str:
        """See the port. Somebody who is not logged in is asked to."""
        return f"{self._transport.base_url}/course/view.php?id={_number(course_id, UnknownCourse)}"

    async def reach(self) -> None:
        """See the port."""
        await self._site_for_apps()

    async def _site_for_apps(self) -> _Refused | None:
        """What Moodle's own app asks first: nobody logs in, and no function is called. An error tells that
        web services are off."""
        form = {"appsitecheck": "1"}
        return _refusal_in(json_of(await self._transport.send("POST", _LOGIN, form=form)))

    async def check(self) -> LmsCheck:
        """See the port: the token, every function behind it, whether it sees emails, the login script."""
        address = self._transport.base_url
        try:
            off = await self._site_for_apps()
            if off is not None and off.code in _MISCONFIGURED:
                return LmsCheck(False, address, _rejection(off).detail, "LMS_BASE_URL")
            info = await self._ask_known(_SiteInfo, "core_webservice_get_site_info", {})
            missing = sorted(FUNCTIONS - {str(function.get("name")) for function in info.functions})
            if missing:
                detail = f"the service of the token lacks these functions: {', '.join(missing)}"
                return LmsCheck(False, address, detail, "LMS_TOKEN")
            seen = await self._users_by("id", _FIRST_ADMINISTRATOR)
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

    async def _users_by(self, field: str, value: str) -> list[_User]:
        try:
            return await self._ask_list(
                _User, "core_user_get_users_by_field", {"field": field, "values[0]": value}
            )
        except _Refused as refusal:
            raise _rejection_of_look_up(refusal) from refusal

    async def _ask_known(self, shape: type[Any], function: str, arguments: dict[str, str]) -> Any:
        try:
            return await self._ask(shape, function, arguments)
        except _Refused as refusal:
            raise _rejection_of_look_up(refusal) from refusal

    async def _ask(
        self, shape: type[Any], function: str, arguments: dict[str, str], *, token: str | None = None
    ) -> Any:
        return _shaped(shape, await self._call(function, arguments, token=token))

    async def _ask_list(self, shape: type[Any], function: str, arguments: dict[str, str]) -> list[Any]:
        found: list[Any] = _shaped(list[shape], await self._call(function, arguments))  # type: ignore[valid-type]
        return found

    async def _ask_nothing(self, function: str, arguments: dict[str, str]) -> None:
        content = await self._call(function, arguments)
        if content is not None:
            raise LmsUnavailable("the LMS answered, but not what it says when it is done")

    async def _call(self, function: str, arguments: dict[str, str], *, token: str | None = None) -> Any:
        """One web service call; its JSON. Raises _Refused for an error that says no."""
        form = {
            "wstoken": token or self._token,
            "wsfunction": function,
            "moodlewsrestformat": "json",  # without it, the answer is XML
            **arguments,
        }
        content = json_of(await self._transport.send("POST", "/webservice/rest/server.php", form=form))
        refusal = _refusal_in(content)
        if refusal is not None:
            raise refusal
        return content


def moodle_username(username: str) -> str:
    """A user name that Moodle takes: lower case, few signs; told apart by a digest where signs were lost."""
    lowered = username.strip().lower()
    plain = _NOT_IN_USERNAMES.sub("_", lowered)
    if plain == lowered:
        return plain
    return f"{plain}-{hashlib.sha256(lowered.encode()).hexdigest()[:8]}"


def _shaped(shape: Any, content: Any) -> Any:
    try:
        return TypeAdapter(shape).validate_python(content)
    except ValidationError as error:
        raise unexpected(error) from error


def _refusal_in(content: Any) -> _Refused | None:
    """The error that an answer holds. One that says `try again` is raised as such.

    What PHP itself throws has no code: only `exception`, or the login script's `error`, shows it.
    """
    if not isinstance(content, dict) or content.keys().isdisjoint({"errorcode", "exception", "error"}):
        return None
    code = str(content.get("errorcode") or _NO_CODE)
    if code in _RETRY:
        raise LmsUnavailable(f"Moodle answered {code}")
    return _Refused(code, str(content.get("message") or content.get("error") or ""))


def _rejection(refusal: _Refused, otherwise: type[LmsRejected] = LmsRejected) -> LmsRejected:
    """What a refusal means; `otherwise` when what was given is wrong (a weak password is told by a sentence).
    An unknown code waits for a person: it is never asked for ever."""
    if refusal.code in _MISCONFIGURED:
        return Misconfigured(f"{_MISCONFIGURED[refusal.code]} ({refusal.code}: {refusal.message})")
    if refusal.code in _REJECTED:
        return _REJECTED[refusal.code](refusal.message)
    if otherwise is not LmsRejected and (refusal.code == "invalidparameter" or "<" in refusal.code):
        return otherwise(refusal.message)
    code = refusal.code if re.fullmatch(r"[a-z0-9_]{1,60}", refusal.code) else "lms_rejected"
    return LmsRejected(refusal.message, code=code)


def _rejection_of_look_up(refusal: _Refused) -> LmsRejected:
    """Who is looked up and not there is an empty list: a record that is missing is the function's own."""
    if refusal.code in _MISSING:
        return Misconfigured(_NO_FUNCTION)
    return _rejection(refusal)


def _number(value: str, wrong: type[LmsRejected]) -> str:
    """An id of Moodle's; anything else can't be there."""
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise wrong(f"{value[:50]!r} is no id of Moodle's")
    return value

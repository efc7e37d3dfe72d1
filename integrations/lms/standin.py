"""Adapter of the stand-in LMS.

Its protocol: JSON over REST with a bearer token; errors are `{"error": {"code", "message"}}` with a
status of 4xx (an error under 200 is taken for one, too). Nothing it answers is trusted: an answer of
another shape, or about another user or course than asked for, leaves the outcome open.
"""

from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import Field, ValidationError

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
from integrations.lms.transport import (
    Answer,
    LmsTransport,
    NotSent,
    header_safe,
    json_of,
    unexpected,
)

_REJECTIONS: dict[str, type[LmsRejected]] = {
    "bad_credentials": BadCredentials,
    "user_exists": UserExists,
    "invalid_input": LmsInvalidInput,
    "unknown_user": UnknownUser,
    "user_not_ready": UserNotReady,
    "unknown_course": UnknownCourse,
    "invalid_token": Misconfigured,
}
_REGISTER_ATTEMPTS = 2


class _Error(Answer):
    code: str = Field(min_length=1, max_length=100)
    message: str = ""


class _ErrorAnswer(Answer):
    error: _Error


class _User(Answer):
    id: str = Field(min_length=1, max_length=100)
    username: str = Field(min_length=1)
    email: str | None
    full_name: str
    roles: list[str]

    def as_lms_user(self) -> LmsUser:
        return LmsUser(self.id, self.username, self.email, self.full_name, tuple(self.roles))


class _Enrolment(Answer):
    user_id: str
    course_id: str
    active: bool


class _Progress(Answer):
    user_id: str
    course_id: str
    progress: float | None = Field(ge=0, le=1)


class _Check(Answer):
    name: str


AnswerT = TypeVar("AnswerT", bound=Answer)


class StandinLms:
    """The port, spoken to the stand-in LMS."""

    def __init__(
        self, base_url: str, token: str, client: httpx.AsyncClient, timeout_seconds: float = 5
    ) -> None:
        self._transport = LmsTransport(base_url, client, timeout_seconds)
        self._base_url = self._transport.base_url
        self._token = token

    async def authenticate(self, username: str, password: str) -> LmsUser:
        """See the port."""
        body = {"username": username, "password": password}
        return (await self._call("POST", "/api/login", _User, body)).as_lms_user()

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
        """See the port."""
        body = {
            "email": email,
            "username": username,
            "password": password,
            "first_name": first_name,
            "last_name": last_name,
        }
        effect_is_possible = resuming
        for attempt in range(1, _REGISTER_ATTEMPTS + 1):
            try:
                return (await self._call("POST", "/api/users", _User, body)).as_lms_user()
            except UserExists:
                if not effect_is_possible:
                    raise
                return await self._prove_ownership(email, username, password)
            except NotSent:
                raise
            except LmsUnavailable:
                effect_is_possible = True
                if attempt == _REGISTER_ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _prove_ownership(self, email: str, username: str, password: str) -> LmsUser:
        try:
            user = await self.authenticate(username, password)
        except (BadCredentials, UserNotReady) as error:
            raise UserExists("an account with this email or user name exists already") from error
        if (user.email or "").lower() != email.strip().lower():
            raise UserExists("an account with this email or user name exists already")
        return user

    async def get_user(self, user_id: str) -> LmsUser | None:
        """See the port."""
        try:
            user = await self._call("GET", f"/api/users/{_segment(user_id)}", _User)
        except UnknownUser:
            return None
        if user.id != user_id:
            raise LmsUnavailable("the LMS answered with another user than asked for")
        return user.as_lms_user()

    async def grant(self, user_id: str, course_id: str) -> None:
        """See the port."""
        await self._enrol("PUT", user_id, course_id, active=True)

    async def revoke(self, user_id: str, course_id: str) -> None:
        """See the port."""
        await self._enrol("DELETE", user_id, course_id, active=False)

    async def _enrol(self, method: str, user_id: str, course_id: str, *, active: bool) -> None:
        path = f"/api/enrolments/{_segment(user_id)}/{_segment(course_id)}"
        answer = await self._call(method, path, _Enrolment)
        _compare(answer, user_id, course_id)
        if answer.active is not active:
            raise LmsUnavailable("the LMS answered, but did not do what was asked")

    async def enrolled(self, user_id: str, course_id: str) -> bool:
        """See the port."""
        path = f"/api/enrolments/{_segment(user_id)}/{_segment(course_id)}"
        answer = await self._call("GET", path, _Enrolment)
        _compare(answer, user_id, course_id)
        return answer.active

    async def progress(self, user_id: str, course_id: str) -> float | None:
        """See the port."""
        path = f"/api/progress/{_segment(user_id)}/{_segment(course_id)}"
        answer = await self._call("GET", path, _Progress)
        _compare(answer, user_id, course_id)
        return answer.progress

    def course_url(self, course_id: str) -> str:
        """See the port."""
        return f"{self._base_url}/courses/{_segment(course_id)}"

    async def reach(self) -> None:
        """See the port."""
        json_of(await self._transport.send("GET", "/api/check"))

    async def check(self) -> LmsCheck:
        """See the port."""
        try:
            answer = await self._call("GET", "/api/check", _Check)
        except Misconfigured as error:
            return LmsCheck(False, self._base_url, error.detail, "LMS_TOKEN")
        except LmsUnavailable as error:
            return LmsCheck(False, self._base_url, error.detail, "LMS_BASE_URL", away=True)
        except LmsRejected as error:
            return LmsCheck(False, self._base_url, error.detail, "LMS_BASE_URL")
        return LmsCheck(True, self._base_url, f"{answer.name} answers and accepts the token")

    async def _call(
        self, method: str, path: str, expected: type[AnswerT], body: dict[str, str] | None = None
    ) -> AnswerT:
        headers = {"authorization": f"Bearer {header_safe(self._token, 'the service token')}"}
        return _read(await self._transport.send(method, path, json=body, headers=headers), expected)


def _read(answer: httpx.Response, expected: type[AnswerT]) -> AnswerT:
    """The validated answer; raises what it means when it is none."""
    content = json_of(answer)
    if isinstance(content, dict) and "error" in content:
        raise _rejection(content)
    if not answer.is_success:
        raise LmsUnavailable(f"the LMS answered {answer.status_code} without a reason")
    try:
        return expected.model_validate(content)
    except ValidationError as error:
        raise unexpected(error) from error


def _rejection(content: dict[str, Any]) -> LmsRejected | LmsUnavailable:
    try:
        error = _ErrorAnswer.model_validate(content).error
    except ValidationError as problem:
        return unexpected(problem)
    kind = _REJECTIONS.get(error.code)
    if kind is None:
        return LmsRejected(error.message[:500], code=error.code)
    return kind(error.message[:500])


def _compare(answer: _Enrolment | _Progress, user_id: str, course_id: str) -> None:
    if (answer.user_id, answer.course_id) != (user_id, course_id):
        raise LmsUnavailable("the LMS answered about another user or course than asked for")


def _segment(value: str) -> str:
    """One segment of a path: an id can't walk to another route."""
    if value in ("", ".", "..") or not value.isprintable():
        raise LmsInvalidInput(f"{value!r} is no id")
    return quote(value, safe="")

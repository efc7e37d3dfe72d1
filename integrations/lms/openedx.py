"""Adapter of Open edX by its REST APIs, as a staff service account (client credentials).

Enrolment is keyed by user name, which a person may change: it is looked up by the stored id each time.
docs/lms/openedx.md tells an administrator what to set up.
"""

import base64
import binascii
import json
import time
from typing import Any
from urllib.parse import quote

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
from integrations.lms.transport import Answer, LmsTransport, NotSent, header_safe, json_of, unexpected

_RENEW_BEFORE_SECONDS = 60
_ACCOUNTS = "/api/user/v1/accounts"
_ENROLLMENT = "/api/enrollment/v1/enrollment"
_NOT_STAFF = "the owner of LMS_CLIENT_ID is not staff at the LMS"


class _Token(Answer):
    access_token: str = Field(min_length=1)
    expires_in: float = Field(gt=0)


class _Account(Answer):
    id: int
    username: str = Field(min_length=1)
    email: str | None = None
    name: str | None = None
    is_active: bool = True

    def as_lms_user(self) -> LmsUser:
        return LmsUser(str(self.id), self.username, self.email, self.name or self.username, ("learner",))


class _Enrolment(Answer):
    user: str
    is_active: bool


class OpenEdxLms:
    """The port, spoken to Open edX. Course ids are course keys (`course-v1:...`)."""

    calls_to_enrol = 2  # whose name it is now, and the enrolment; a token comes once an hour

    def __init__(
        self,
        base_url: str,
        client_id: str,
        client_secret: str,
        client: httpx.AsyncClient,
        *,
        mode: str = "audit",
        timeout_seconds: float = 10,
    ) -> None:
        self._transport = LmsTransport(base_url, client, timeout_seconds)
        self._client_id = client_id
        self._client_secret = client_secret
        self._mode = mode
        self._token: tuple[str, float] | None = None

    async def authenticate(self, username: str, password: str) -> LmsUser:
        """See the port. Open edX lets inactive users through, so that is looked at here."""
        token = await self._exchange(grant_type="password", username=username.strip(), password=password)
        account = await self._account(username=_username_in(token.access_token))
        if account is None:
            raise UnknownUser("the account was deleted meanwhile")
        if not account.is_active:
            raise UserNotReady("the account is not active yet")
        return account.as_lms_user()

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
        email = email.strip().lower()
        form = {
            "email": email,
            "username": edx_username(username),
            "password": password,
            "name": f"{first_name} {last_name}".strip(),
            "honor_code": "true",
            "terms_of_service": "true",
        }
        try:
            await self._register(form)
        except UserExists:
            if not resuming:
                raise
        except NotSent:
            raise
        except LmsUnavailable:
            if await self._account(email=email) is None:
                raise
        return await self._own(email, password)

    async def _register(self, form: dict[str, str]) -> None:
        answer = await self._transport.send("POST", "/api/user/v1/account/registration/", form=form)
        if answer.is_success:
            return
        content = json_of(answer)
        if answer.status_code == httpx.codes.FORBIDDEN:
            raise NotSent("the LMS is limiting registrations")
        if answer.status_code == httpx.codes.CONFLICT:
            raise UserExists("an account with this email or user name exists already")
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise LmsInvalidInput(_user_messages(content))
        raise LmsRejected(f"the LMS refused the registration with {answer.status_code}")

    async def _own(self, email: str, password: str) -> LmsUser:
        """The account of this email, if the password proves that it is the caller's."""
        try:
            token = await self._exchange(grant_type="password", username=email, password=password)
        except BadCredentials as error:
            raise UserExists("an account with this email or user name exists already") from error
        account = await self._account(username=_username_in(token.access_token))
        if account is None or (account.email or "").lower() != email:
            raise UserExists("an account with this email or user name exists already")
        return account.as_lms_user()

    async def get_user(self, user_id: str) -> LmsUser | None:
        """See the port."""
        if not (user_id.isascii() and user_id.isdigit()):
            return None
        account = await self._account(lms_user_id=user_id)
        if account is not None and str(account.id) != str(int(user_id)):
            raise LmsUnavailable("the LMS answered with another user than asked for")
        return None if account is None else account.as_lms_user()

    async def grant(self, user_id: str, course_id: str) -> None:
        """See the port."""
        await self._enrol(user_id, course_id, active=True)

    async def revoke(self, user_id: str, course_id: str) -> None:
        """See the port. Without a mode: with one, an inactive enrolment would be changed to it."""
        try:
            await self._enrol(user_id, course_id, active=False)
        except (UnknownUser, UnknownCourse):
            return  # nobody, or nowhere, to be enrolled: the end that was asked for

    async def _enrol(self, user_id: str, course_id: str, *, active: bool) -> None:
        user = await self.get_user(user_id)
        if user is None:
            raise UnknownUser(f"user {user_id} is not there")
        body: dict[str, Any] = {
            "user": user.username,
            "course_details": {"course_id": course_id},
            "is_active": active,
        }
        if active:
            body["mode"] = self._mode
        answer = await self._send("POST", _ENROLLMENT, json=body)
        status = answer.status_code
        if status == httpx.codes.NOT_ACCEPTABLE:
            raise UnknownUser(f"user {user.username} is not there")
        if status == httpx.codes.BAD_REQUEST:
            raise UnknownCourse(_message(answer) or f"course {course_id} or mode {self._mode} is not there")
        if status == httpx.codes.NOT_FOUND:
            raise Misconfigured(_NOT_STAFF)
        if status == httpx.codes.FORBIDDEN:
            raise LmsRejected(_message(answer) or "the LMS does not allow this enrolment", code="forbidden")
        if not answer.is_success:
            raise LmsUnavailable(f"the LMS answered {status} without a reason")
        enrolment = _shaped(_Enrolment, json_of(answer))
        if enrolment.is_active is not active:
            raise LmsUnavailable("the LMS answered, but did not do what was asked")

    async def enrolled(self, user_id: str, course_id: str) -> bool:
        """See the port. Of who never was enrolled the LMS answers nothing, with 200."""
        user = await self.get_user(user_id)
        if user is None:
            return False
        answer = await self._send("GET", f"{_ENROLLMENT}/{user.username},{quote(course_id, safe=':+')}")
        if answer.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND):
            return False  # no such course
        if answer.status_code == httpx.codes.FORBIDDEN:
            raise Misconfigured(_NOT_STAFF)
        if not answer.is_success:
            raise LmsUnavailable(f"the LMS answered {answer.status_code} without a reason")
        found: _Enrolment | None = _shaped(_Enrolment | None, json_of(answer) if answer.content else None)
        return found is not None and found.is_active

    async def progress(self, user_id: str, course_id: str) -> float | None:
        """See the port: Open edX tells other services nothing of it."""
        del user_id, course_id
        return None

    def course_url(self, course_id: str) -> str:
        """See the port."""
        return f"{self._transport.base_url}/courses/{quote(course_id, safe=':+')}/course/"

    async def check(self) -> LmsCheck:
        """See the port: the client, and that its owner is staff."""
        address = self._transport.base_url
        try:
            self._token = None
            await self._account(lms_user_id="0")
        except Misconfigured as error:
            return LmsCheck(False, address, error.detail, "LMS_CLIENT_ID")
        except (LmsUnavailable, LmsRejected) as error:
            return LmsCheck(False, address, error.detail, "LMS_BASE_URL")
        return LmsCheck(True, address, "Open edX answers; the client's owner is staff")

    async def _account(self, **query: str) -> _Account | None:
        answer = await self._send("GET", _ACCOUNTS, query=query)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code == httpx.codes.FORBIDDEN:
            raise Misconfigured(_NOT_STAFF)
        if not answer.is_success:
            raise LmsUnavailable(f"the LMS answered {answer.status_code} without a reason")
        found: list[_Account] = _shaped(list[_Account], json_of(answer))
        return found[0] if found else None

    async def _send(
        self, method: str, path: str, *, json: Any = None, query: dict[str, str] | None = None
    ) -> httpx.Response:
        """A call as the service account; a token that the LMS no longer takes is renewed once."""
        for renewed in (False, True):
            token = await self._service_token(fresh=renewed)
            headers = {"authorization": f"JWT {token}"}
            answer = await self._transport.send(method, path, headers=headers, json=json, query=query)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                break
        else:
            raise Misconfigured("the LMS does not take the token that it gave to LMS_CLIENT_ID")
        if answer.status_code == httpx.codes.FORBIDDEN and _code(answer) == "forbidden-request":
            raise NotSent("the LMS is limiting our rate")
        return answer

    async def _service_token(self, *, fresh: bool) -> str:
        if fresh or self._token is None or self._token[1] < time.monotonic():
            try:
                given = await self._exchange(grant_type="client_credentials")
            except BadCredentials as error:
                raise Misconfigured("the LMS does not know LMS_CLIENT_ID with LMS_CLIENT_SECRET") from error
            good_for = max(0.0, given.expires_in - _RENEW_BEFORE_SECONDS)
            self._token = given.access_token, time.monotonic() + good_for
        return header_safe(self._token[0], "the LMS's token")

    async def _exchange(self, **grant: str) -> _Token:
        form = {
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "token_type": "jwt",
            **grant,
        }
        answer = await self._transport.send("POST", "/oauth2/access_token/", form=form)
        content = json_of(answer)
        if answer.is_success:
            token: _Token = _shaped(_Token, content)
            return token
        error = content.get("error") if isinstance(content, dict) else None
        if error == "invalid_grant":
            raise BadCredentials("wrong user name or password")
        if error in ("invalid_client", "unauthorized_client", "unsupported_grant_type"):
            raise Misconfigured(f"the LMS does not know LMS_CLIENT_ID with LMS_CLIENT_SECRET ({error})")
        raise LmsRejected(f"the LMS refused a token: {str(error)[:60]}")


def edx_username(username: str) -> str:
    """A user name that Open edX takes: letters, digits, hyphen and underscore, at most 30."""
    kept = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_") else "_" for sign in username)
    if kept == username and len(kept) <= 30:
        return kept
    digest = f"{binascii.crc32(username.strip().lower().encode()):08x}"
    return f"{kept.split('_')[0][:20]}_{digest}"


def _username_in(token: str) -> str:
    """Whom a token is for. It came from the LMS over our own connection, so nothing is verified here."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        name = claims["preferred_username"]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise LmsUnavailable("the LMS gave a token that names nobody") from error
    return str(name)


def _shaped(shape: Any, content: Any) -> Any:
    try:
        return TypeAdapter(shape).validate_python(content)
    except ValidationError as error:
        raise unexpected(error) from error


def _user_messages(content: Any) -> str:
    """What the form says is wrong, field by field."""
    if not isinstance(content, dict):
        return "the LMS refused the registration"
    said = [
        f"{field}: {item['user_message']}"
        for field, items in content.items()
        if isinstance(items, list)
        for item in items
        if isinstance(item, dict) and isinstance(item.get("user_message"), str)
    ]
    return "; ".join(said)[:500] or "the LMS refused the registration"


def _message(answer: httpx.Response) -> str:
    content = json_of(answer)
    return str(content.get("message", ""))[:500] if isinstance(content, dict) else ""


def _code(answer: httpx.Response) -> str | None:
    try:
        content = answer.json()
    except ValueError:
        return None
    return content.get("error_code") if isinstance(content, dict) else None

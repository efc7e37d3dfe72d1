"""Adapter of Open edX by its REST APIs, as a staff service account (client credentials).

Enrolment is keyed by user name, which a person may change: it is looked up by the stored id each time.
docs/lms/openedx.md tells an administrator what to set up.
"""

import base64
import binascii
import json
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
from integrations.lms.openedx_tokens import EdxClient, EdxTokens, limited
from integrations.lms.port import LmsCheck, LmsUser
from integrations.lms.transport import Answer, LmsTransport, NotSent, json_of, refused_or_open, unexpected

_ACCOUNTS = "/api/user/v1/accounts"
_ENROLLMENT = "/api/enrollment/v1/enrollment"
_NOT_STAFF = "the owner of LMS_CLIENT_ID is not staff at the LMS"
# `!` is in no user name, and the course is nobody's: nothing can come of it.
_NOTHING = {"user": "commerce!check", "course_details": {"course_id": "course-v1:commerce+check+none"}}
_NOT_CHECKED = (
    "the grant type of LMS_LOGIN_CLIENT_ID: the LMS looks at it once a password was right; log a learner in",
    "in each course run: the mode LMS_ENROLMENT_MODE",
)


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

    def __init__(
        self,
        base_url: str,
        client_id: str,
        client_secret: str,
        client: httpx.AsyncClient,
        *,
        login_client_id: str = "",
        login_client_secret: str = "",
        mode: str = "audit",
        timeout_seconds: float = 10,
    ) -> None:
        """Learners log in by the same client when no other is named."""
        self._transport = LmsTransport(base_url, client, timeout_seconds)
        self._mode = mode
        self._tokens = EdxTokens(
            self._transport,
            EdxClient(client_id, client_secret, "LMS_CLIENT_ID", "client credentials"),
            EdxClient(
                login_client_id or client_id,
                login_client_secret or client_secret,
                "LMS_LOGIN_CLIENT_ID",
                "resource owner password-based",
            ),
        )

    async def authenticate(self, username: str, password: str) -> LmsUser:
        """See the port. Open edX lets inactive users through, so that is looked at here."""
        token = await self._tokens.of_learner(username.strip(), password)
        account = await self._account(username=_username_in(token))
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
        limited(answer)
        content = json_of(answer)
        if answer.status_code == httpx.codes.CONFLICT:
            raise UserExists("an account with this email or user name exists already")
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise LmsInvalidInput(_user_messages(content))
        raise refused_or_open(answer, f"the LMS refused the registration with {answer.status_code}")

    async def _own(self, email: str, password: str) -> LmsUser:
        """The account of this email, if the password proves that it is the caller's."""
        try:
            token = await self._tokens.of_learner(email, password)
        except BadCredentials as error:
            raise UserExists("an account with this email or user name exists already") from error
        account = await self._account(username=_username_in(token))
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
            raise refused_or_open(answer, _message(answer))
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
            raise refused_or_open(answer, _message(answer))
        found: _Enrolment | None = _shaped(_Enrolment | None, json_of(answer) if answer.content else None)
        return found is not None and found.is_active

    async def progress(self, user_id: str, course_id: str) -> float | None:
        """See the port: Open edX tells other services nothing of it."""
        del user_id, course_id
        return None

    def course_url(self, course_id: str) -> str:
        """See the port."""
        return f"{self._transport.base_url}/courses/{quote(course_id, safe=':+')}/course/"

    async def reach(self) -> None:
        """See the port. What load balancers of Open edX ask: no token is needed."""
        await self._transport.send("GET", "/heartbeat")

    async def check(self) -> LmsCheck:
        """See the port: the client of service calls, that its owner is staff, the client of logins."""
        address = self._transport.base_url
        setting = "LMS_CLIENT_ID"
        try:
            await self._tokens.of_service(fresh=True)
            await self._prove_staff()
            setting = "LMS_LOGIN_CLIENT_ID"
            await self._tokens.check_login()
        except Misconfigured as error:
            return LmsCheck(False, address, error.detail, setting)
        except LmsUnavailable as error:
            return LmsCheck(False, address, error.detail, "LMS_BASE_URL", away=True)
        except LmsRejected as error:
            return LmsCheck(False, address, error.detail, "LMS_BASE_URL")
        detail = "Open edX answers; the client's owner is staff, and logins have a client of their own"
        return LmsCheck(True, address, detail, not_checked=_NOT_CHECKED)

    async def _prove_staff(self) -> None:
        """Only staff is told that a user is unknown (406): to others, no user is known."""
        answer = await self._send("POST", _ENROLLMENT, json={**_NOTHING, "is_active": False})
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.FORBIDDEN):
            raise Misconfigured(_NOT_STAFF)
        if answer.status_code != httpx.codes.NOT_ACCEPTABLE:
            raise refused_or_open(answer, _message(answer))

    async def _account(self, **query: str) -> _Account | None:
        answer = await self._send("GET", _ACCOUNTS, query=query)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code == httpx.codes.FORBIDDEN:
            raise Misconfigured(_NOT_STAFF)
        if not answer.is_success:
            raise refused_or_open(answer, _message(answer))
        content = json_of(answer)
        if _is_shared_with_everybody(content):
            raise Misconfigured(_NOT_STAFF)
        found: list[_Account] = _shaped(list[_Account], content)
        return found[0] if found else None

    async def _send(
        self, method: str, path: str, *, json: Any = None, query: dict[str, str] | None = None
    ) -> httpx.Response:
        """A call as the service account; a token that the LMS no longer takes is renewed once."""
        for renewed in (False, True):
            token = await self._tokens.of_service(fresh=renewed)
            headers = {"authorization": f"JWT {token}"}
            answer = await self._transport.send(method, path, headers=headers, json=json, query=query)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                break
        else:
            raise Misconfigured("the LMS does not take the token that it gave to LMS_CLIENT_ID")
        limited(answer)
        if answer.is_client_error and answer.content:
            json_of(answer)  # a page is of something in between, or of its rate limit: no answer of the API's
        return answer


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
    """What the LMS says in its own words: `message`, or `detail` where its framework answers."""
    content = json_of(answer) if answer.content else None
    if not isinstance(content, dict):
        return ""
    return str(content.get("message") or content.get("detail") or "")[:500]


def _is_shared_with_everybody(content: Any) -> bool:
    """Whether an account shows only what anybody may see of it: no id and no email."""
    return isinstance(content, list) and any(
        isinstance(account, dict) and "username" in account and "id" not in account for account in content
    )

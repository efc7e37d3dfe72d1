"""Tokens of Open edX by OAuth 2 (RFC 6749), as Django OAuth Toolkit gives them.

An application there has one grant type, and its client id is unique: logins and service calls need one each.
"""

import time
from dataclasses import dataclass

import httpx
from pydantic import Field, TypeAdapter, ValidationError

from domain.errors import BadCredentials, LmsRejected, Misconfigured
from integrations.lms.transport import (
    Answer,
    LmsTransport,
    NotSent,
    header_safe,
    json_of,
    refused_or_open,
    unexpected,
)

_RENEW_BEFORE_SECONDS = 60
_NOBODY = "commerce!check"
"""No user name: `!` is in none."""


@dataclass(frozen=True, slots=True)
class EdxClient:
    """An OAuth application of the LMS, and the setting that names it."""

    id: str
    secret: str
    setting: str
    grant_type: str


class _Token(Answer):
    access_token: str = Field(min_length=1)
    expires_in: float = Field(gt=0)


class EdxTokens:
    """Gives tokens of the service account and of learners; keeps the service's until it ends."""

    def __init__(self, transport: LmsTransport, service: EdxClient, login: EdxClient) -> None:
        self._transport = transport
        self._service = service
        self._login = login
        self._kept: tuple[str, float] | None = None

    async def of_service(self, *, fresh: bool) -> str:
        """A token of the service account; Misconfigured when the LMS gives none."""
        if fresh or self._kept is None or self._kept[1] < time.monotonic():
            try:
                given = await self._exchange(self._service, grant_type="client_credentials")
            except BadCredentials as error:
                raise Misconfigured(f"the LMS gives {self._service.setting} no token") from error
            good_for = max(0.0, given.expires_in - _RENEW_BEFORE_SECONDS)
            self._kept = given.access_token, time.monotonic() + good_for
        return header_safe(self._kept[0], "the LMS's token")

    async def of_learner(self, username: str, password: str) -> str:
        """A token of whom the password belongs to; BadCredentials else."""
        return (
            await self._exchange(self._login, grant_type="password", username=username, password=password)
        ).access_token

    async def check_login(self) -> None:
        """Raises Misconfigured when learners can't log in by LMS_LOGIN_CLIENT_ID, as far as it can be told
        without a learner's password: the LMS looks at the grant type only after it."""
        try:
            await self._exchange(self._login, grant_type="client_credentials")
        except _WrongGrantType:
            pass
        else:
            raise Misconfigured(
                f"{self._login.setting} names an application for client credentials, and each has one grant "
                "type: logins need one of their own, resource owner password-based"
            )
        try:
            await self.of_learner(_NOBODY, _NOBODY)
        except BadCredentials:
            return

    async def _exchange(self, client: EdxClient, **grant: str) -> _Token:
        form = {"client_id": client.id, "client_secret": client.secret, "token_type": "jwt", **grant}
        answer = await self._transport.send("POST", "/oauth2/access_token/", form=form)
        limited(answer)
        content = json_of(answer)
        if answer.is_success:
            try:
                return TypeAdapter(_Token).validate_python(content)
            except ValidationError as problem:
                raise unexpected(problem) from problem
        error = content.get("error") if isinstance(content, dict) else None
        if error == "invalid_grant":
            raise BadCredentials("wrong user name or password")
        if error == "invalid_client":
            secret = client.setting.replace("_ID", "_SECRET")
            raise Misconfigured(f"the LMS does not know {client.setting} with {secret} ({error})")
        if error in ("unauthorized_client", "unsupported_grant_type"):
            wanted = f"another grant type than {client.grant_type}"
            raise _WrongGrantType(f"the application of {client.setting} has {wanted} ({error})")
        if error is not None:
            raise LmsRejected(f"the LMS refused a token: {str(error)[:60]}")
        raise refused_or_open(answer)


class _WrongGrantType(Misconfigured):
    """The application is there, for another grant type."""


def limited(answer: httpx.Response) -> None:
    """Open edX's own rate limit answers 403; raises NotSent for one."""
    if answer.status_code == httpx.codes.FORBIDDEN and _code(answer) == "forbidden-request":
        raise NotSent("the LMS is limiting our rate")


def _code(answer: httpx.Response) -> str | None:
    try:
        content = answer.json()
    except ValueError:
        return None
    return content.get("error_code") if isinstance(content, dict) else None

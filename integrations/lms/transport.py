"""HTTP to an LMS: bounded in time, and every way of not answering told apart."""

from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from domain.errors import LmsInvalidInput, LmsRejected, LmsUnavailable, Misconfigured
from integrations.outbound import parse_retry_after

# 408 and 425: the request came too late or too early, not for good.
_PASSING = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY})


class Answer(BaseModel):
    """The shape of an answer. It can hold personal data, which must not get into messages of errors."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


class NotSent(LmsUnavailable):
    """The LMS is unavailable, and the call certainly had no effect."""


class LmsTransport:
    """Calls below one base address. Redirects are never followed: they would carry the token along."""

    def __init__(self, base_url: str, client: httpx.AsyncClient, timeout_seconds: float) -> None:
        self.base_url = base_url.rstrip("/")
        self._client = client
        self._timeout_seconds = timeout_seconds

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        json: Any = None,
        form: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> httpx.Response:
        """One call. Raises NotSent or LmsUnavailable without an answer, and for 429 and 5xx."""
        try:
            answer = await self._client.request(
                method,
                self.base_url + path,
                json=json,
                data=form,
                params=query,
                headers={"accept": "application/json", **(headers or {})},
                timeout=self._timeout_seconds,
                follow_redirects=False,
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSent(f"the LMS at {self.base_url} can't be reached: {_say(error)}") from error
        except UnicodeEncodeError as error:
            raise LmsInvalidInput("the text holds characters that can't be sent") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LmsUnavailable(f"the LMS at {self.base_url} did not answer: {_say(error)}") from error
        retry_after = parse_retry_after(answer.headers.get("retry-after"))
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise NotSent("the LMS is limiting our rate", retry_after_seconds=retry_after)
        if answer.is_server_error:
            raise LmsUnavailable(f"the LMS answered {answer.status_code}", retry_after_seconds=retry_after)
        return answer


def header_safe(token: str, what: str) -> str:
    """The token, if a header may carry it; said here, because the HTTP library would quote it."""
    if not (token and token.isascii() and token.isprintable()):
        raise Misconfigured(f"{what} is empty or holds characters that no header may")
    return token


def json_of(answer: httpx.Response) -> Any:
    """The answer's JSON; LmsUnavailable when it is none (a maintenance page, a proxy's error)."""
    try:
        return answer.json()
    except (ValueError, RecursionError) as error:
        kind = answer.headers.get("content-type", "an unnamed type")
        raise LmsUnavailable(f"the LMS answered {answer.status_code} with {kind[:80]}, not JSON") from error


def unexpected(error: ValidationError) -> LmsUnavailable:
    """What an answer of another shape means: the outcome is open."""
    fields = ", ".join(".".join(str(part) for part in item["loc"]) or "the whole" for item in error.errors())
    return LmsUnavailable(f"the LMS answered something unexpected: {fields}")


def refused_or_open(answer: httpx.Response, message: str = "") -> LmsRejected | LmsUnavailable:
    """What an answer without a known meaning is: a `no` of the LMS's own waits for a person, and is not asked
    for ever; a page of something in between leaves the outcome open."""
    said = message or f"the LMS answered {answer.status_code} without a reason"
    if answer.content:
        json_of(answer)
    if answer.is_client_error and answer.status_code not in _PASSING:
        return LmsRejected(said)
    return LmsUnavailable(said)


def _say(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()

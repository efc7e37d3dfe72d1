"""Versions of mutable objects: `ETag` out, `If-Match` and `If-None-Match` in.

A route names its object's version, `"v3"`. What is sent is that and a digest of the answer, `"v3.0f1b6a..."`:
seats, uses and prices of a cart change without a change of the object, and look different to an operator.
A change is refused for another version only; a copy is current (304) only with the digest.
"""

import hashlib
import re

from fastapi import Request, Response

from domain.errors import CommerceError

_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_DIGITS_OF_DIGEST = 20
# What a 304 repeats of the answer that it stands for (RFC 9110, 15.4.5).
_KEPT_HEADERS = ("cache-control", "content-location", "etag", "expires", "vary")


def etag_of(version: int) -> str:
    """The tag of a version."""
    return f'"v{version}"'


def check_match(request: Request, current: str) -> None:
    """Refuse (412) what was meant for another version; without `If-Match`, or with `*`, any will do."""
    given = _given(request, "if-match")
    if given is None or given == "*":
        return
    # Proxies that compress make tags weak; the version is the same.
    if current.strip('"') not in [tag.partition(".")[0] for tag in _TAG.findall(given)]:
        raise CommerceError("If-Match names another version", code="precondition_failed")


def expected_version(request: Request, current: int) -> int:
    """The version that the caller read; the current one when it does not say. 412 for another."""
    check_match(request, etag_of(current))
    return current


def is_current(request: Request, etag: str) -> bool:
    """Whether the caller says by `If-None-Match` that it has just this."""
    given = _given(request, "if-none-match")
    return given is not None and (given == "*" or etag.strip('"') in _TAG.findall(given))


def not_modified(response: Response) -> Response:
    """The 304 that stands for an answer."""
    kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return Response(status_code=304, headers=kept)


def add_digest(response: Response) -> Response:
    """Complete the version that a route has put into `ETag`; binary documents have their own digest there."""
    version = response.headers.get("etag")
    if version is not None and response.headers.get("content-type") == "application/json":
        digest = hashlib.sha256(response.body).hexdigest()[:_DIGITS_OF_DIGEST]
        response.headers["etag"] = f'"{version.strip(chr(34))}.{digest}"'
    return response


def _given(request: Request, name: str) -> str | None:
    """The field's value; several lines are one list."""
    lines = request.headers.getlist(name)
    return ", ".join(lines).strip() if lines else None

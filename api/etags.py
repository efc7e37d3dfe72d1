"""Versions of mutable objects: `ETag` out, `If-Match` in."""

import re

from fastapi import Request

from domain.errors import CommerceError

_ETAG = re.compile(r'^(?:W/)?"v(\d{1,9})"$')


def etag_of(version: int) -> str:
    """The tag of a version."""
    return f'"v{version}"'


def expected_version(request: Request, current: int) -> int:
    """The version that the caller read; the current one when it does not say. 412 for another."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return current
    found = _ETAG.match(given.strip())
    if found is None or int(found.group(1)) != current:
        raise CommerceError("If-Match names another version", code="precondition_failed")
    return current

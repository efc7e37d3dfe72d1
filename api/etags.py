"""Versions of mutable objects: `ETag` out, `If-Match` in."""

from fastapi import Request

from domain.errors import CommerceError


def etag_of(version: int) -> str:
    """The tag of a version."""
    return f'"v{version}"'


def check_match(request: Request, current: str) -> None:
    """Refuse (412) what was meant for another version; without `If-Match`, or with `*`, any will do."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return
    # Proxies that compress make tags weak; the version is the same.
    if current not in [tag.strip().removeprefix("W/") for tag in given.split(",")]:
        raise CommerceError("If-Match names another version", code="precondition_failed")


def expected_version(request: Request, current: int) -> int:
    """The version that the caller read; the current one when it does not say. 412 for another."""
    check_match(request, etag_of(current))
    return current

"""Keyset paging: opaque cursors over time-sorted ids."""

import base64
import binascii
import json
import uuid
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Query

from domain.errors import InvalidInput, NotFound

_USE_NEXT = "use the `next_cursor` of the answer before"

Limit = Annotated[int, Query(ge=1, le=100, description="How many rows a page has at most.")]
CURSOR_SAYS = "The `next_cursor` of the page before; without it, the first page."


def parse_id(value: str, kind: str) -> str:
    """The id of an object of this kind; what is no id at all is not found."""
    try:
        return str(uuid.UUID(value))
    except ValueError as error:
        raise NotFound(f"no such {kind}") from error


def _before(
    cursor: Annotated[str | None, Query(max_length=100, description=CURSOR_SAYS)] = None,
) -> str | None:
    if cursor is None:
        return None
    try:
        return str(uuid.UUID(bytes=_decoded(cursor)))
    except (ValueError, binascii.Error) as error:
        raise InvalidInput(_USE_NEXT, code="invalid_cursor") from error


# The id that the page begins after; None for the first page.
Cursor = Annotated[str | None, Depends(_before)]


def key_cursor(*parts: str) -> str:
    """A cursor of a key that is no id."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).rstrip(b"=").decode()


def parse_key(cursor: str, size: int) -> list[str]:
    """The parts of such a cursor; InvalidInput `invalid_cursor` for anything else."""
    try:
        parts = json.loads(_decoded(cursor))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(_USE_NEXT, code="invalid_cursor") from error
    if (
        not isinstance(parts, list)
        or len(parts) != size
        or not all(isinstance(part, str) and part.isprintable() for part in parts)
    ):
        raise InvalidInput(_USE_NEXT, code="invalid_cursor")
    return parts


def _decoded(cursor: str) -> bytes:
    """Strictly: nothing that is no base64 is passed over."""
    return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)


def next_cursor(ids: Sequence[str], limit: int) -> str | None:
    """The cursor of the page after, when `ids` has one more than `limit`."""
    if len(ids) <= limit:
        return None
    return base64.urlsafe_b64encode(uuid.UUID(ids[limit - 1]).bytes).rstrip(b"=").decode()

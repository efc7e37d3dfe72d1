"""What the LMS tells of a person's account: changed, gone, or one with another."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from domain.errors import InvalidInput

UPDATED = "user.updated"
DELETED = "user.deleted"
MERGED = "user.merged"
_LONGEST = 320


@dataclass(frozen=True, slots=True)
class AccountChange:
    """A `user.updated`. None: the event did not say, and what is known stays; an empty email is none."""

    lms_user_id: str
    username: str | None
    email: str | None
    full_name: str | None
    roles: tuple[str, ...] | None
    at: datetime


def change_of(data: Any, received_at: datetime) -> AccountChange:
    """Read the data of `user.updated`; raises InvalidInput. One without a time, or with one that is still to
    come, counts from its arrival: a clock that is ahead must not outlive every later change."""
    if not isinstance(data, Mapping):
        raise InvalidInput("user.updated has no data")
    email = "" if "email" in data and data["email"] is None else _text(data, "email")
    roles = data.get("roles")
    if roles is not None and not (isinstance(roles, list) and all(isinstance(role, str) for role in roles)):
        raise InvalidInput("user.updated: roles is a list of names")
    return AccountChange(
        person_of(data),
        _text(data, "username"),
        email,
        _text(data, "full_name"),
        None if roles is None else tuple(roles),
        min(_moment(data.get("updated_at"), received_at), received_at),
    )


@dataclass(frozen=True, slots=True)
class AccountMerge:
    """Two ids of the LMS: the account that ends, and the one that has all of its own from then on."""

    lms_user_id: str
    into_lms_user_id: str


def merge_of(data: Any) -> AccountMerge:
    """Read the data of `user.merged`; raises InvalidInput."""
    absorbed = person_of(data)
    assert isinstance(data, Mapping)
    survivor = person_of({"user_id": data.get("into_user_id")})
    if absorbed == survivor:
        raise InvalidInput("user.merged: an account can't be merged into itself")
    return AccountMerge(absorbed, survivor)


def stored_form(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event as it is stored: what it told of an account was taken over, and is kept nowhere else."""
    if event.get("type") != UPDATED:
        return dict(event)
    return {**event, "data": {"user_id": person_of(event.get("data"))}}


def person_of(data: Any) -> str:
    """The LMS's id of whom an event is about; raises InvalidInput."""
    found = data.get("user_id") if isinstance(data, Mapping) else None
    if type(found) is int:
        return str(found)
    if not isinstance(found, str) or not found.strip():
        raise InvalidInput("user_id is missing")
    return found


def _text(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _LONGEST or "\0" in value:
        raise InvalidInput(f"user.updated: {name} is a text of at most {_LONGEST} characters")
    return value


def _moment(value: object, otherwise: datetime) -> datetime:
    try:
        parsed = datetime.fromisoformat(str(value))
    except ValueError:
        return otherwise
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)

"""What the LMS tells of two accounts that are one person's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.errors import InvalidInput
from domain.identity import person_of

MERGED = "user.merged"


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

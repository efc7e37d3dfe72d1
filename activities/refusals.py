"""Why something was not made, as data: an activity returns it, and the workflow answers with it."""

from dataclasses import dataclass, field
from typing import Any

from domain.errors import CommerceError, Conflict


@dataclass(frozen=True)
class Refusal:
    """Why an order (or refund) was not made; `conflict` tells 409 from 422."""

    code: str
    detail: str
    conflict: bool = True
    members: dict[str, Any] = field(default_factory=dict)


def refusal_of(error: CommerceError) -> Refusal:
    """A refusal as data, so that the workflow can answer with it."""
    return Refusal(error.code, error.detail or error.code, isinstance(error, Conflict), dict(error.members))

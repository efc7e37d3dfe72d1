"""Roles that operators give and take, beside those that the LMS says."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Path, Query
from pydantic import Field

from api.audit import AuditReason
from api.dependencies import Operator, SessionDep
from api.idempotency import CommerceRoute
from api.paging import parse_id
from api.parameters import UserPath
from api.schemas.common import Body as RequestBody
from api.schemas.common import NextCursor, Output, ShortText, UserId
from domain.errors import NotFound
from models.queries import people
from models.queries.people import UserRow

router = APIRouter(route_class=CommerceRoute, tags=["auth"])

Given = Literal["instructor", "operator"]
RolePath = Annotated[
    Given, Path(description="`instructor`: reads their own earnings; `operator`: everything but settings.")
]


class RoleBody(RequestBody):
    """Why; it stands in the audit log."""

    reason: Annotated[
        ShortText,
        Field(min_length=1, max_length=500, description="Why the role is given; kept in the audit log."),
    ]


class RolesView(Output):
    """A user's roles: what the LMS said at the last login, and what operators gave."""

    user_id: UserId
    lms_user_id: Annotated[str, Field(description="The LMS's id of the user.")]
    from_lms: Annotated[
        Sequence[str], Field(description="What the LMS said last, at a login or by an event.")
    ]
    given: Annotated[
        Sequence[str],
        Field(description="What operators gave, whatever the LMS says: `instructor`, `operator`."),
    ]


class RolesList(Output):
    """At most one: an id of the LMS is one person's."""

    data: Annotated[list[RolesView], Field(description="The one user, or nobody.")]
    next_cursor: Annotated[NextCursor, Field(description="Always null: there is no second page.")] = None


def _view(row: UserRow | None) -> RolesView:
    if row is None:
        raise NotFound("no such user")
    return RolesView(
        user_id=row.id, lms_user_id=row.lms_user_id, from_lms=row.lms_roles, given=row.given_roles
    )


@router.get("/v1/users", operation_id="find_users")
async def find_users(
    caller: Operator,
    session: SessionDep,
    lms_user_id: Annotated[
        str,
        Query(min_length=1, max_length=100, pattern=r"^[^\x00]+$", description="The LMS's id of the user."),
    ],
) -> RolesList:
    """The user whom the LMS knows under this id, if they were ever here."""
    row = await people.by_lms_id(session, lms_user_id)
    return RolesList(data=[] if row is None else [_view(row)])


@router.get("/v1/users/{user_id}/roles", operation_id="get_roles")
async def get_roles(user_id: UserPath, caller: Operator, session: SessionDep) -> RolesView:
    """One user's roles."""
    return _view(await people.get(session, parse_id(user_id, "user")))


@router.put("/v1/users/{user_id}/roles/{role}", operation_id="give_role")
async def give_role(
    user_id: UserPath,
    role: RolePath,
    body: Annotated[RoleBody, Body()],
    caller: Operator,
    session: SessionDep,
) -> RolesView:
    """Give a role. It counts from the user's next access token, and stays whatever the LMS says."""
    return _view(await people.give_role(session, parse_id(user_id, "user"), role))


@router.delete("/v1/users/{user_id}/roles/{role}", operation_id="take_role")
async def take_role(
    user_id: UserPath, role: RolePath, caller: Operator, session: SessionDep, reason: AuditReason
) -> RolesView:
    """Take a role that was given; one of the LMS is taken there. Access tokens keep it until they end."""
    return _view(await people.take_role(session, parse_id(user_id, "user"), role))

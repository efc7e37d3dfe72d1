"""Erasing persons: asked for by themselves or by operators, waited for, and looked at."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Query
from pydantic import Field

from api.commands import Commands, CommandsDep
from api.dependencies import NewObjectId, Operator, Services, ServicesDep, SessionDep, SignedIn
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.parameters import UserPath
from api.schemas.common import Body as RequestBody
from api.schemas.common import Newest, NextCursor, Output, OwnId, ShortText, UserId, WorkflowId
from domain.erasure import ErasureSource
from domain.errors import NotFound
from domain.ids import erasure_workflow_id
from models.database import Session
from models.queries import erasures, people
from models.queries.erasures import ErasureRow

router = APIRouter(route_class=CommerceRoute, tags=["people"])


class ErasureBody(RequestBody):
    """Why an operator has a person erased; kept in the audit log."""

    reason: Annotated[
        ShortText,
        Field(min_length=1, max_length=500, description="Why the person is erased; kept in the audit log."),
    ]


class ErasureView(Output):
    """Where an erasure stands. `waits_for` says what of the person's money and access is still open;
    `done_at` is after a last look, when no access token of theirs is good any more."""

    id: OwnId
    user_id: UserId
    source: Annotated[str, Field(description="`person`, `operator` or `lms`")]
    status: Annotated[
        str, Field(description="`waiting`, `erased`, `done`; `withdrawn`: the LMS let them in again")
    ]
    waits_for: Annotated[
        list[str],
        Field(
            examples=[["a refund of order C-2026-000123 is under way"]],
            description="What of their money and access is still open, in words; empty when nothing is.",
        ),
    ]
    created_at: Annotated[datetime, Field(description="When it was asked for: their sign-ins ended then.")]
    erased_at: Annotated[
        datetime | None, Field(description="When what is held of them was wiped; null as long as it was not.")
    ]
    done_at: Annotated[
        datetime | None,
        Field(
            description="When a last look found nothing more, or the request was withdrawn; null while it is "
            "under way."
        ),
    ]
    workflow_id: WorkflowId


class ErasureList(Output):
    """Newest first."""

    data: Newest[ErasureView]
    next_cursor: NextCursor = None


@router.post("/v1/me/erasure", status_code=202, operation_id="erase_me")
async def erase_me(
    caller: SignedIn,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    erasure_id: NewObjectId,
) -> ErasureView:
    """Erase the caller: sign-ins end now, all that is held of them goes as soon as nothing of theirs is open.

    The books and the documents that the law wants kept stay; so does access to courses, which is the LMS's.
    """
    return await _erase(
        services, session, commands, erasure_id, caller.user_id, ErasureSource.PERSON, caller.user_id
    )


@router.get("/v1/me/erasure", operation_id="get_my_erasure")
async def get_my_erasure(caller: SignedIn, session: SessionDep) -> ErasureView:
    """The caller's request, while their last access token is good."""
    return await _found(session, caller.user_id)


@router.post("/v1/users/{user_id}/erasure", status_code=202, operation_id="erase_person")
async def erase_person(
    user_id: UserPath,
    body: Annotated[ErasureBody, Body()],
    caller: Operator,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    erasure_id: NewObjectId,
) -> ErasureView:
    """Erase a person who asked for it; who did it, and why, is in the audit log."""
    return await _erase(
        services,
        session,
        commands,
        erasure_id,
        parse_id(user_id, "user"),
        ErasureSource.OPERATOR,
        caller.user_id,
    )


@router.get("/v1/users/{user_id}/erasure", operation_id="get_erasure")
async def get_erasure(user_id: UserPath, caller: Operator, session: SessionDep) -> ErasureView:
    """The newest request about a person."""
    return await _found(session, parse_id(user_id, "user"))


@router.get("/v1/erasures", operation_id="list_erasures")
async def list_erasures(
    caller: Operator,
    session: SessionDep,
    cursor: Cursor,
    limit: Limit = 20,
    open: Annotated[  # noqa: A002 - says what it is
        bool | None,
        Query(description="True: only those that are under way; false: only those that have ended."),
    ] = None,
) -> ErasureList:
    """Requests, newest first."""
    rows = await erasures.page(session, is_open=open, before=cursor, limit=limit + 1)
    return ErasureList(
        data=[_view(row) for row in rows[:limit]],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )


async def _erase(
    services: Services,
    session: Session,
    commands: Commands,
    erasure_id: str,
    user_id: str,
    source: ErasureSource,
    requested_by: str,
) -> ErasureView:
    async with commands.transaction() as first:
        if await people.get(first, user_id) is None:
            raise NotFound("no such user")
        row = await erasures.request(
            first, user_id, source=source, erasure_id=erasure_id, requested_by=requested_by
        )
    if row.done_at is None:
        await services.dispatcher.wake_erasure(user_id)
    return await _found(session, user_id)


async def _found(session: Session, user_id: str) -> ErasureView:
    row = await erasures.of_user(session, user_id)
    if row is None:
        raise NotFound("nobody asked for it")
    return _view(row)


def _view(row: ErasureRow) -> ErasureView:
    status = "waiting" if row.done_at is None else "withdrawn"
    if row.erased_at is not None:
        status = "erased" if row.done_at is None else "done"
    return ErasureView(
        id=row.id,
        user_id=row.user_id,
        source=row.source.value,
        status=status,
        waits_for=list(row.waits_for),
        created_at=row.created_at,
        erased_at=row.erased_at,
        done_at=row.done_at,
        workflow_id=erasure_workflow_id(row.user_id),
    )

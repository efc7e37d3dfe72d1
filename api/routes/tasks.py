"""What operators have to decide, because no rule does."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Query
from pydantic import Field

from api.dependencies import Operator, SessionDep
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.parameters import TaskPath
from api.schemas.common import Body as RequestBody
from api.schemas.common import CreatedAt, Newest, NextCursor, Output, OwnId, ShortText
from domain.errors import Conflict, NotFound
from domain.tasks import TaskKind
from models.queries import tasks
from models.queries.tasks import TaskRow

router = APIRouter(route_class=CommerceRoute, tags=["operations"])


class CloseTaskBody(RequestBody):
    """What was decided."""

    note: Annotated[
        ShortText,
        Field(min_length=1, max_length=500, description="What was decided, in words; kept with the task."),
    ]


class TaskView(Output):
    """A task: `what` says what happened and what can be done about it."""

    id: OwnId
    kind: Annotated[
        str,
        Field(
            description="Why somebody is asked: `completion_taken_back`, `account_not_found`, "
            "`merged_store_credit`, `merged_payee` or `event_not_stored`."
        ),
    ]
    status: Annotated[str, Field(description="`open` or `closed`")]
    user_id: Annotated[
        str | None, Field(description="Our id of the user whom it is about; null when it is about nobody.")
    ]
    order_id: Annotated[
        str | None, Field(description="The order that it is about; null when it is about none.")
    ]
    what: Annotated[str, Field(description="What happened, and what can be done about it, in words.")]
    note: Annotated[str | None, Field(description="What was decided, in words; null while it is open.")]
    created_at: CreatedAt
    closed_at: Annotated[datetime | None, Field(description="When it was decided; null while it is open.")]
    closed_by: Annotated[
        str | None, Field(description="Our id of the operator who decided it; null while it is open.")
    ]


class TaskList(Output):
    """Newest first."""

    data: Newest[TaskView]
    next_cursor: NextCursor = None


@router.get("/v1/tasks", operation_id="list_tasks")
async def list_tasks(
    caller: Operator,
    session: SessionDep,
    cursor: Cursor,
    status: Annotated[
        Literal["open", "closed"] | None,
        Query(description="Only those that wait for a decision, or only those that have one."),
    ] = None,
    kind: Annotated[
        TaskKind | None, Query(description="Only those that were opened for this reason.")
    ] = None,
    limit: Limit = 20,
) -> TaskList:
    """What waits for a person, or was decided."""
    rows = await tasks.page(
        session,
        is_open=None if status is None else status == "open",
        kind=kind,
        before=cursor,
        limit=limit + 1,
    )
    return TaskList(
        data=[_view(row) for row in rows[:limit]], next_cursor=next_cursor([row.id for row in rows], limit)
    )


@router.get("/v1/tasks/{task_id}", operation_id="get_task")
async def get_task(task_id: TaskPath, caller: Operator, session: SessionDep) -> TaskView:
    """One task."""
    row = await tasks.get(session, parse_id(task_id, "task"))
    if row is None:
        raise NotFound("no such task")
    return _view(row)


@router.post("/v1/tasks/{task_id}/close", operation_id="close_task")
async def close_task(
    task_id: TaskPath, body: Annotated[CloseTaskBody, Body()], caller: Operator, session: SessionDep
) -> TaskView:
    """Say what was decided; nothing else follows from it."""
    row = await tasks.close(session, parse_id(task_id, "task"), by=caller.user_id, note=body.note)
    if row is not None:
        return _view(row)
    if await tasks.get(session, parse_id(task_id, "task")) is None:
        raise NotFound("no such task")
    raise Conflict("it was closed before", code="task_closed")


def _view(row: TaskRow) -> TaskView:
    return TaskView(
        id=row.id,
        kind=row.kind.value,
        status="open" if row.closed_at is None else "closed",
        user_id=row.user_id,
        order_id=row.order_id,
        what=row.what,
        note=row.note,
        created_at=row.created_at,
        closed_at=row.closed_at,
        closed_by=row.closed_by,
    )

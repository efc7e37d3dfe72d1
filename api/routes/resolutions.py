"""What becomes of a line that can't be had as it was sold: the question, the choice, the open ones."""

from typing import Annotated

from fastapi import APIRouter, Body, Query

from api.commands import CommandsDep
from api.dependencies import NewObjectId, OrdersReader, Principal, ServicesDep, SessionDep, SignedIn
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.parameters import LinePath, OrderPath, UserFilter
from api.routes.orders import own_order
from api.routes.views import resolution_view
from api.schemas.resolutions import (
    OtherRun,
    ResolutionBody,
    ResolutionList,
    ResolutionStateName,
    ResolutionView,
)
from api.workflow_calls import ask_resolution
from domain.errors import Conflict, NotFound
from domain.resolutions import ResolutionChoice, ResolutionState
from models.database import Session
from models.queries import recorded_commands, resolutions
from models.queries.resolutions import ResolutionRow

router = APIRouter(route_class=CommerceRoute, tags=["resolutions"])


@router.get("/v1/resolutions", operation_id="list_resolutions")
async def list_resolutions(
    caller: OrdersReader,
    session: SessionDep,
    cursor: Cursor,
    state: Annotated[ResolutionStateName | None, Query(description="Only questions in this state.")] = None,
    run_change_id: Annotated[
        str | None, Query(description="Only those that this change of a run led to.")
    ] = None,
    user_id: UserFilter = None,
    limit: Limit = 20,
) -> ResolutionList:
    """Questions to the caller about what was bought, newest first; an operator sees all, or one user's."""
    whose = (parse_id(user_id, "user") if user_id else None) if caller.sees_all else caller.user_id
    rows = await resolutions.page(
        session,
        user_id=whose,
        state=None if state is None else ResolutionState(state),
        run_change_id=parse_id(run_change_id, "run change") if run_change_id else None,
        before=cursor,
        limit=limit + 1,
    )
    return ResolutionList(
        data=[resolution_view(row) for row in rows[:limit]],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )


@router.get("/v1/orders/{order_id}/lines/{line_id}/resolution", operation_id="get_line_resolution")
async def get_line_resolution(
    order_id: OrderPath, line_id: LinePath, caller: OrdersReader, session: SessionDep
) -> ResolutionView:
    """The last question about a line, and the other runs that it may move to while it is open."""
    return await _view(session, await _question(session, caller, order_id, line_id))


@router.post("/v1/orders/{order_id}/lines/{line_id}/resolution", operation_id="resolve_line")
async def resolve_line(
    order_id: OrderPath,
    line_id: LinePath,
    body: Annotated[ResolutionBody, Body()],
    caller: SignedIn,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    command_id: NewObjectId,
) -> ResolutionView:
    """Choose another run of the course, store credit, a refund, or to keep a run with another date.

    The learner whose line it is, or an operator. A seat is taken, and money reserved, before the answer.
    """
    row = await _question(session, caller, order_id, line_id)
    async with commands.transaction() as first:
        command = await recorded_commands.get(first, command_id)
        if command is None:
            if row.state is not ResolutionState.OPEN:
                raise Conflict(f"the question is {row.state}", code="resolution_closed")
            asked = {
                "resolution_id": row.id,
                "item_id": parse_id(body.item_id, "item") if body.item_id else None,
            }
            await recorded_commands.record(first, command_id, "resolve_line", caller.user_id, asked)
            command = await recorded_commands.get(first, command_id)
    assert command is not None
    await ask_resolution(
        services,
        command.body["resolution_id"],
        command_id,
        choice=ResolutionChoice(body.choice),
        item_id=command.body["item_id"],
        by="the customer" if row.user_id == caller.user_id else "an operator",
        user_id=caller.user_id,
    )
    fresh = await resolutions.get(session, command.body["resolution_id"])
    return await _view(session, fresh or row)


async def _question(session: Session, caller: Principal, order_id: str, line_id: str) -> ResolutionRow:
    order = await own_order(session, caller, order_id)
    row = await resolutions.latest_of_line(session, parse_id(line_id, "line"))
    if row is None or row.order_id != order.id:
        raise NotFound("nothing was asked about such a line")
    return row


async def _view(session: Session, row: ResolutionRow) -> ResolutionView:
    still_open = row.state is ResolutionState.OPEN
    may_move = ResolutionChoice.OTHER_RUN in row.choices
    runs = await resolutions.runs_for(session, row.id) if still_open and may_move else []
    return ResolutionView(
        resolution=resolution_view(row),
        runs=[
            OtherRun(
                item_id=run.item_id,
                slug=run.slug,
                title=run.title,
                starts_at=run.starts_at,
                seats_left=run.seats_left,
            )
            for run in runs
            if run.seats_left is None or run.seats_left > 0
        ],
    )

"""Dated runs that operators cancel or give another date; every buyer is asked what to do instead."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Query

from api.commands import Commands, CommandsDep
from api.dependencies import NewObjectId, Operator, Principal, Services, ServicesDep, SessionDep
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.parameters import ItemPath, RunChangePath
from api.schemas.resolutions import (
    CancelRunBody,
    RescheduleRunBody,
    RunChangeAnswers,
    RunChangeList,
    RunChangeView,
)
from domain.errors import Conflict, InvalidInput, NotFound
from domain.ids import run_change_workflow_id
from domain.orders import ItemType
from domain.resolutions import RunChangeKind
from models.database import Session
from models.queries import catalog, run_changes
from models.queries.run_changes import RunChangeRow

router = APIRouter(route_class=CommerceRoute, tags=["runs"])


@router.post("/v1/catalog/items/{item_id}/cancel-run", status_code=202, operation_id="cancel_run")
async def cancel_run(
    item_id: ItemPath,
    body: Annotated[CancelRunBody, Body()],
    caller: Operator,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    change_id: NewObjectId,
) -> RunChangeView:
    """The run does not take place: nobody can buy it any more, unpaid orders of it are canceled, and every
    buyer chooses another run, store credit or a refund; who does not choose is refunded."""
    return await _change(services, session, commands, caller, change_id, item_id, body, None)


@router.post("/v1/catalog/items/{item_id}/reschedule-run", status_code=202, operation_id="reschedule_run")
async def reschedule_run(
    item_id: ItemPath,
    body: Annotated[RescheduleRunBody, Body()],
    caller: Operator,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    change_id: NewObjectId,
) -> RunChangeView:
    """The run has another date: who bought it before may keep it, or choose another run, store credit or a
    refund; who does not choose keeps it."""
    return await _change(services, session, commands, caller, change_id, item_id, body, body.starts_at)


@router.get("/v1/run-changes", operation_id="list_run_changes")
async def list_run_changes(
    caller: Operator,
    session: SessionDep,
    cursor: Cursor,
    item_id: Annotated[str | None, Query(description="Only changes of this run, by the item's `id`.")] = None,
    limit: Limit = 20,
) -> RunChangeList:
    """Changes of runs, newest first, with how their buyers answered."""
    rows = await run_changes.page(
        session, item_id=parse_id(item_id, "item") if item_id else None, before=cursor, limit=limit + 1
    )
    return RunChangeList(
        data=[await _view(session, row) for row in rows[:limit]],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )


@router.get("/v1/run-changes/{change_id}", operation_id="get_run_change")
async def get_run_change(change_id: RunChangePath, caller: Operator, session: SessionDep) -> RunChangeView:
    """One change of a run."""
    row = await run_changes.get(session, parse_id(change_id, "change"))
    if row is None:
        raise NotFound("no such change")
    return await _view(session, row)


async def _change(
    services: Services,
    session: Session,
    commands: Commands,
    caller: Principal,
    change_id: str,
    item_id: str,
    body: CancelRunBody,
    starts_at: datetime | None,
) -> RunChangeView:
    """Write the change under the item's lock, so that whoever takes a seat after it knows of it; then ask."""
    async with commands.transaction() as first:
        if await run_changes.get(first, change_id) is None:
            await _write(first, services, caller, change_id, item_id, body, starts_at)
    await services.dispatcher.wake_run_change(change_id)
    row = await run_changes.get(session, change_id)
    if row is None:
        raise NotFound("no such change")
    return await _view(session, row)


async def _write(
    session: Session,
    services: Services,
    caller: Principal,
    change_id: str,
    item_id: str,
    body: CancelRunBody,
    starts_at: datetime | None,
) -> None:
    item = await catalog.find(session, parse_id(item_id, "item"), lock=True)
    if item is None:
        raise NotFound("no such item")
    if item.type is not ItemType.REGISTRATION:
        raise InvalidInput("only a registration is a dated run", code="not_a_run")
    if item.cancelled_at is not None:
        raise Conflict("the run was cancelled before", code="run_cancelled")
    kind = RunChangeKind.CANCELLED if starts_at is None else RunChangeKind.RESCHEDULED
    if starts_at is None:
        columns: dict[str, object] = {"cancelled_at": datetime.now(UTC), "available": False}
    elif starts_at <= datetime.now(UTC):
        raise InvalidInput("a run is moved to a date that is to come", code="date_has_passed")
    else:
        columns = {"starts_at": starts_at}
    await catalog.update(session, item.id, item.version, columns)
    await run_changes.insert(
        session,
        {
            "id": change_id,
            "item_id": item.id,
            "kind": kind,
            "reason": body.reason,
            "started_at": item.starts_at,
            "starts_at": starts_at,
            "requested_by": caller.user_id,
        },
        days=body.answer_days or services.resolution_days,
    )


async def _view(session: Session, row: RunChangeRow) -> RunChangeView:
    tally = await run_changes.tally(session, row.id)
    return RunChangeView(
        id=row.id,
        item_id=row.item_id,
        title=row.title,
        kind=row.kind.value,
        reason=row.reason,
        started_at=row.started_at,
        starts_at=row.starts_at,
        deadline=row.deadline,
        created_at=row.created_at,
        done_at=row.done_at,
        answers=RunChangeAnswers(
            asked=tally.asked,
            open=tally.open,
            other_run=tally.other_run,
            store_credit=tally.store_credit,
            refund=tally.refund,
            keep=tally.keep,
            withdrawn=tally.withdrawn,
        ),
        workflow_id=run_change_workflow_id(row.id),
    )

"""The reconciliation, for operators: runs, differences, repairs."""

from typing import Annotated

from fastapi import APIRouter, Body, Query

from api.commands import CommandsDep
from api.dependencies import Operator, ServicesDep, SessionDep
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.parameters import DifferencePath
from api.schemas.reconciliation import (
    AcceptBody,
    CashView,
    DifferenceList,
    DifferenceState,
    DifferenceView,
    Kind,
    RepairBody,
    RunList,
    RunView,
)
from domain.errors import Conflict, NotFound
from domain.ids import repair_workflow_id
from models.database import Session
from models.queries import differences, reconciliation
from models.queries.differences import DifferenceRow
from models.queries.reconciliation import RunRow

router = APIRouter(route_class=CommerceRoute, tags=["reconciliation"])

StateFilter = Annotated[DifferenceState | None, Query(description="Only differences in this state.")]
KindFilter = Annotated[Kind | None, Query(description="Only differences of this kind.")]
RunFilter = Annotated[
    str | None, Query(max_length=64, description="Only those that this run was the first to see.")
]


def _run(row: RunRow) -> RunView:
    report = row.report or {}
    return RunView(
        id=row.id,
        workflow_id=row.workflow_id,
        period_from=row.period_from,
        period_to=row.period_to,
        state="completed" if row.state == "completed" else "running",
        pages=row.pages,
        transactions=row.transactions,
        by_category=report.get("by_category", {}),
        foreign=report.get("foreign", 0),
        cash=[CashView.model_validate(one) for one in report.get("cash", [])],
        differences_opened=report.get("opened", 0),
        differences_open=report.get("open", 0),
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _difference(row: DifferenceRow) -> DifferenceView:
    return DifferenceView.model_validate(
        {
            "id": row.id,
            "kind": str(row.kind),
            "subject": row.subject,
            "provider_id": row.transaction_id,
            "order_id": row.order_id,
            "run_id": row.run_id,
            "currency": row.currency,
            "expected": row.expected,
            "found": row.found,
            "detail": row.detail,
            "state": row.state,
            "resolution": row.resolution,
            "resolved_by": row.resolved_by,
            "resolved_at": row.resolved_at,
            "opened_at": row.opened_at,
            "seen_at": row.seen_at,
            "workflow_id": repair_workflow_id(row.id),
        }
    )


@router.get("/v1/reconciliation/runs", operation_id="list_reconciliation_runs")
async def list_runs(caller: Operator, session: SessionDep, cursor: Cursor, limit: Limit = 20) -> RunList:
    """Comparisons of the processor's balance with the books, newest first."""
    rows = await reconciliation.runs(session, before=cursor, limit=limit + 1)
    return RunList(
        data=[_run(row) for row in rows[:limit]], next_cursor=next_cursor([row.id for row in rows], limit)
    )


@router.get("/v1/reconciliation/differences", operation_id="list_reconciliation_differences")
async def list_differences(
    caller: Operator,
    session: SessionDep,
    cursor: Cursor,
    state: StateFilter = None,
    kind: KindFilter = None,
    run_id: RunFilter = None,
    limit: Limit = 20,
) -> DifferenceList:
    """Differences, newest first; by state, kind, or the run that found them."""
    rows = await differences.page(
        session,
        state=state,
        kind=kind,
        run_id=None if run_id is None else parse_id(run_id, "run"),
        before=cursor,
        limit=limit + 1,
    )
    return DifferenceList(
        data=[_difference(row) for row in rows[:limit]],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )


@router.get("/v1/reconciliation/differences/{difference_id}", operation_id="get_reconciliation_difference")
async def get_difference(
    difference_id: DifferencePath, caller: Operator, session: SessionDep
) -> DifferenceView:
    """One difference."""
    return _difference(await _found(session, difference_id))


@router.post(
    "/v1/reconciliation/differences/{difference_id}/repair",
    status_code=202,
    operation_id="repair_reconciliation_difference",
)
async def repair_difference(
    difference_id: DifferencePath,
    caller: Operator,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    body: Annotated[RepairBody | None, Body()] = None,
) -> DifferenceView:
    """Ask the processor again, and send what never came; the workflow says what it did."""
    row = await _still_open(session, difference_id)
    await commands.begin()
    await services.dispatcher.start_repair(row.id)
    return _difference(row)


@router.post(
    "/v1/reconciliation/differences/{difference_id}/accept", operation_id="accept_reconciliation_difference"
)
async def accept_difference(
    difference_id: DifferencePath, body: Annotated[AcceptBody, Body()], caller: Operator, session: SessionDep
) -> DifferenceView:
    """Take a difference as it is, for a reason; with other figures it opens again."""
    row = await _still_open(session, difference_id)
    await differences.accept(session, row.id, reason=body.reason, user_id=caller.user_id)
    return _difference(await _found(session, row.id))


async def _found(session: Session, difference_id: str, *, lock: bool = False) -> DifferenceRow:
    row = await differences.get(session, parse_id(difference_id, "difference"), lock=lock)
    if row is None:
        raise NotFound("no such difference")
    return row


async def _still_open(session: Session, difference_id: str) -> DifferenceRow:
    row = await _found(session, difference_id, lock=True)
    if row.state != "open":
        raise Conflict(f"the difference is {row.state} already", code="difference_closed")
    return row

"""Periods of the ledger, for operators: how months stand, closing and opening them."""

import re
from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Query

from api.dependencies import LedgerReader, Operator, SessionDep
from api.idempotency import CommerceRoute
from api.paging import CURSOR_SAYS, Limit, key_cursor, parse_key
from api.parameters import PeriodPath
from api.schemas.ledger import CloseBody, PeriodList, PeriodView, ReopenBody
from domain.errors import InvalidInput, NotFound
from models.database import Session
from models.queries import periods
from models.queries.periods import PeriodRow

router = APIRouter(route_class=CommerceRoute, tags=["ledger"])

_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")


def _month(period_id: str) -> date:
    if not _MONTH.fullmatch(period_id):
        raise NotFound("no such period; its id is a month, such as 2026-03")
    return date.fromisoformat(f"{period_id}-01")


def _start(month: date) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def _view(row: PeriodRow) -> PeriodView:
    return PeriodView.model_validate(
        {
            "id": row.month.strftime("%Y-%m"),
            "status": row.status,
            "starts_at": _start(row.month),
            "ends_at": _start(periods.following(row.month)),
            "entries": row.entries,
            "changed_by": row.changed_by,
            "changed_at": row.changed_at,
            "reason": row.reason,
        }
    )


async def _existing(session: Session, month: date) -> PeriodRow:
    row = await periods.get(session, month)
    if row is None:
        raise NotFound("no such period: it has not begun, or lies before the first entry")
    return row


@router.get("/v1/ledger/periods", operation_id="list_periods")
async def list_periods(
    caller: LedgerReader,
    session: SessionDep,
    cursor: Annotated[str | None, Query(max_length=100, description=CURSOR_SAYS)] = None,
    limit: Limit = 20,
) -> PeriodList:
    """Months from the present one back to the first that has an entry."""
    before = None
    if cursor is not None:
        (last,) = parse_key(cursor, 1)
        if not _MONTH.fullmatch(last):
            raise InvalidInput("use the `next_cursor` of the answer before", code="invalid_cursor")
        before = _month(last)
    rows = await periods.page(session, before=before, limit=limit + 1)
    data = [_view(row) for row in rows[:limit]]
    return PeriodList(data=data, next_cursor=key_cursor(data[-1].id) if len(rows) > limit else None)


@router.post("/v1/ledger/periods/{period_id}/close", operation_id="close_period")
async def close_period(
    period_id: PeriodPath, body: Annotated[CloseBody, Body()], caller: Operator, session: SessionDep
) -> PeriodView:
    """Close a month that is over, and all before it: `soft`, or `hard` for good.

    409 `period_not_over`; 409 `period_closed` for a soft close of what is closed for good.
    """
    row = await _existing(session, _month(period_id))
    await periods.close(
        session, row.month, hard=body.kind == "hard", operator_id=caller.user_id, reason=body.reason
    )
    return _view(await _existing(session, row.month))


@router.post("/v1/ledger/periods/{period_id}/reopen", operation_id="reopen_period")
async def reopen_period(
    period_id: PeriodPath, body: Annotated[ReopenBody, Body()], caller: Operator, session: SessionDep
) -> PeriodView:
    """Open a soft-closed month again, and the soft-closed ones after it; 409 `period_closed`."""
    row = await _existing(session, _month(period_id))
    await periods.reopen(session, row.month, operator_id=caller.user_id, reason=body.reason)
    return _view(await _existing(session, row.month))

"""Affiliates, for operators: codes that front ends pass on at checkout, and who is paid for them."""

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from api.dependencies import NewObjectId, Operator, SessionDep
from api.etags import check_match
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.parameters import AffiliatePath
from api.schemas.revenue import AffiliateList, AffiliatePatch, AffiliateView, NewAffiliateBody
from domain.errors import NotFound
from models.database import Session
from models.queries import affiliates
from models.queries.affiliates import AffiliateRow

router = APIRouter(route_class=CommerceRoute, tags=["splits"])


def _view(row: AffiliateRow) -> AffiliateView:
    return AffiliateView(
        id=row.id, code=row.code, payee_ref=row.payee, active=row.active, created_at=row.created_at
    )


async def _require(session: Session, affiliate_id: str, *, lock: bool = False) -> AffiliateRow:
    row = await affiliates.get(session, affiliate_id, lock=lock)
    if row is None:
        raise NotFound("no such affiliate")
    return row


def _etag(row: AffiliateRow) -> str:
    """Nothing else of an affiliate changes."""
    return '"active"' if row.active else '"inactive"'


async def _answer(session: Session, affiliate_id: str, response: Response) -> AffiliateView:
    row = await _require(session, affiliate_id)
    response.headers["ETag"] = _etag(row)
    return _view(row)


@router.post("/v1/affiliates", status_code=201, operation_id="create_affiliate")
async def create_affiliate(
    body: Annotated[NewAffiliateBody, Body()],
    caller: Operator,
    session: SessionDep,
    affiliate_id: NewObjectId,
    response: Response,
) -> AffiliateView:
    """Add an affiliate. What a sale pays them stands in the split rules."""
    await affiliates.insert(session, affiliate_id, code=body.code, payee=body.payee_ref)
    return await _answer(session, affiliate_id, response)


@router.get("/v1/affiliates", operation_id="list_affiliates")
async def list_affiliates(
    caller: Operator, session: SessionDep, cursor: Cursor, limit: Limit = 20
) -> AffiliateList:
    """All affiliates, newest first."""
    rows = await affiliates.page(session, before=cursor, limit=limit + 1)
    return AffiliateList(
        data=[_view(row) for row in rows[:limit]], next_cursor=next_cursor([row.id for row in rows], limit)
    )


@router.get("/v1/affiliates/{affiliate_id}", operation_id="get_affiliate")
async def get_affiliate(
    affiliate_id: AffiliatePath, caller: Operator, session: SessionDep, response: Response
) -> AffiliateView:
    """One affiliate."""
    return await _answer(session, parse_id(affiliate_id, "affiliate"), response)


@router.patch("/v1/affiliates/{affiliate_id}", operation_id="change_affiliate")
async def change_affiliate(
    affiliate_id: AffiliatePath,
    body: Annotated[AffiliatePatch, Body()],
    request: Request,
    caller: Operator,
    session: SessionDep,
    response: Response,
) -> AffiliateView:
    """Switch an affiliate off or on; orders keep their snapshots. A stale If-Match is 412."""
    row = await _require(session, parse_id(affiliate_id, "affiliate"), lock=True)
    check_match(request, _etag(row))
    await affiliates.set_active(session, row.id, active=body.active)
    return await _answer(session, row.id, response)

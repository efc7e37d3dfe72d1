"""Promotion codes, for operators."""

from datetime import datetime
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Body, Request, Response

from api.dependencies import NewObjectId, PromotionsReader, PromotionsWriter, SessionDep
from api.etags import etag_of, expected_version
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.parameters import PromotionPath
from api.schemas.promotions import PromotionBody, PromotionList, PromotionPatch, PromotionView
from domain.errors import InvalidInput, NotFound
from models.database import Session
from models.queries import catalog, promotions
from models.queries.promotions import PromotionRow

router = APIRouter(route_class=CommerceRoute, tags=["promotions"])

# What a change may set to null, which takes the limit off; null of anything else means: leave it.
_NULLABLE = frozenset(
    {"usage_limit", "usage_limit_per_user", "starts_at", "ends_at", "min_subtotal", "max_discount"}
)


def _view(row: PromotionRow) -> PromotionView:
    return PromotionView(
        id=row.id,
        code=row.code,
        kind=cast(Literal["percent", "fixed"], row.kind),
        percent_bp=row.percent_bp,
        amount_off=row.amount_off,
        currency=row.currency,
        item_ids=list(row.item_ids),
        min_subtotal=row.min_subtotal,
        max_discount=row.max_discount,
        usage_limit=row.usage_limit,
        usage_limit_per_user=row.usage_limit_per_user,
        uses=row.uses,
        first_purchase_only=row.first_purchase_only,
        funding=cast(Literal["shared", "platform"], row.funding),
        stackable=row.stackable,
        priority=row.priority,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        active=row.active,
    )


async def _answer(session: Session, promotion_id: str, response: Response) -> PromotionView:
    row = await promotions.get(session, parse_id(promotion_id, "promotion"))
    if row is None:
        raise NotFound("no such promotion")
    response.headers["ETag"] = etag_of(row.version)
    return _view(row)


async def _items(session: Session, ids: list[str]) -> list[str]:
    """The items that a promotion is for; InvalidInput when one does not exist."""
    try:
        wanted = list(dict.fromkeys(parse_id(item_id, "item") for item_id in ids))
    except NotFound as error:
        raise InvalidInput("item_ids holds something that is no id") from error
    if len(await catalog.by_ids(session, wanted)) != len(wanted):
        raise InvalidInput("item_ids names an item that does not exist")
    return wanted


def _require_order_of_dates(starts_at: datetime | None, ends_at: datetime | None) -> None:
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        raise InvalidInput("ends_at is after starts_at")


@router.get("/v1/promotions", operation_id="list_promotions")
async def list_promotions(
    caller: PromotionsReader, session: SessionDep, cursor: Cursor, limit: Limit = 20
) -> PromotionList:
    """All promotions, newest first."""
    rows = await promotions.page(session, before=cursor, limit=limit + 1)
    return PromotionList(
        data=[_view(row) for row in rows[:limit]], next_cursor=next_cursor([row.id for row in rows], limit)
    )


@router.get("/v1/promotions/{promotion_id}", operation_id="get_promotion")
async def get_promotion(
    promotion_id: PromotionPath, caller: PromotionsReader, session: SessionDep, response: Response
) -> PromotionView:
    """One promotion."""
    return await _answer(session, promotion_id, response)


@router.post("/v1/promotions", status_code=201, operation_id="create_promotion")
async def create_promotion(
    body: Annotated[PromotionBody, Body()],
    caller: PromotionsWriter,
    session: SessionDep,
    promotion_id: NewObjectId,
    response: Response,
) -> PromotionView:
    """Add a promotion; its code is kept in capitals."""
    _require_order_of_dates(body.starts_at, body.ends_at)
    columns = body.model_dump()
    columns["code"] = body.code.upper()
    columns["item_ids"] = await _items(session, body.item_ids)
    await promotions.insert(session, promotion_id, columns)
    return await _answer(session, promotion_id, response)


@router.patch("/v1/promotions/{promotion_id}", operation_id="change_promotion")
async def change_promotion(
    promotion_id: PromotionPath,
    body: Annotated[PromotionPatch, Body()],
    request: Request,
    caller: PromotionsWriter,
    session: SessionDep,
    response: Response,
) -> PromotionView:
    """Change scope, limits, dates or activity. A stale If-Match is 412."""
    # Locked, so that no use is reserved between the look at the limit and its change.
    row = await promotions.get(session, parse_id(promotion_id, "promotion"), lock=True)
    if row is None:
        raise NotFound("no such promotion")
    version = expected_version(request, row.version)
    given = {
        name: value
        for name, value in body.model_dump(exclude_unset=True).items()
        if value is not None or name in _NULLABLE
    }
    _require_order_of_dates(given.get("starts_at", row.starts_at), given.get("ends_at", row.ends_at))
    if body.item_ids is not None:
        given["item_ids"] = await _items(session, body.item_ids)
    if given.get("usage_limit") is not None and given["usage_limit"] < row.uses:
        raise InvalidInput(f"it was used {row.uses} times already", code="limit_below_uses")
    await promotions.update(session, row.id, version, given)
    return await _answer(session, row.id, response)

"""The catalogue: public reads, operator writes."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response

from api.dependencies import CatalogWriter, NewObjectId, SessionDep, authenticate
from api.etags import etag_of, expected_version
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.parameters import ItemOrSlugPath, ItemPath
from api.schemas.catalog import ItemBody, ItemList, ItemPatch, ItemView
from api.schemas.common import Money
from api.schemas.orders import money
from domain.currencies import currency_of
from domain.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from domain.orders import ItemType
from domain.splits import SplitRule
from models.database import Session
from models.queries import catalog, split_rules
from models.queries.catalog import ItemRow, Price
from models.queries.split_rules import Sale

router = APIRouter(route_class=CommerceRoute, tags=["catalog"])

# What a change may set to null; null of anything else means: leave it.
_NULLABLE = frozenset({"available_from", "available_until", "starts_at", "refund_window_days", "run_of"})


def _is_operator(request: Request) -> bool:
    try:
        return authenticate(request).is_operator
    except Unauthenticated:
        return False


async def _view(session: Session, item: ItemRow, *, for_operator: bool) -> ItemView:
    now = datetime.now(UTC)
    view = ItemView(
        id=item.id,
        slug=item.slug,
        type=item.type.value,
        title=item.title,
        description=item.description,
        lms_course_id=item.lms_course_id,
        prices=[money(price.amount, price.currency) for price in item.prices],
        available=item.on_sale(now),
        available_from=item.available_from,
        available_until=item.available_until,
        starts_at=item.starts_at,
        run_of=item.run_of,
        cancelled_at=item.cancelled_at,
        capacity=item.capacity,
        seats_left=item.seats_left,
        tax_code=item.tax_code,
        tax_behavior="inclusive" if item.tax_behavior == "inclusive" else "exclusive",
        refund_window_days=item.refund_window_days,
        members=list(item.members),
    )
    if not for_operator:
        return view
    rule = None if item.payees else await split_rules.rule_for(session, Sale(item.id), now)
    return ItemView.model_validate(
        {
            **view.model_dump(),
            "payees": list(item.payees if rule is None else SplitRule.from_dict(rule.rule).payees),
            "recognition": item.recognition,
            "presentation": item.presentation,
        }
    )


@router.get("/v1/catalog/items", operation_id="list_items")
async def list_items(
    request: Request,
    session: SessionDep,
    cursor: Cursor,
    type: Annotated[ItemType | None, Query(description="Only items of this type.")] = None,  # noqa: A002 - the contract's name
    q: Annotated[
        str | None,
        Query(
            max_length=100,
            pattern=r"^[^\x00]*$",
            description="A text that title or description hold, in any case.",
        ),
    ] = None,
    currency: Annotated[
        str | None, Query(pattern=r"^[A-Z]{3}$", description="ISO 4217: only items with a price in it.")
    ] = None,
    limit: Limit = 20,
) -> ItemList:
    """Items, newest first; `q` looks into title and description. Operators also see what is not for sale."""
    operator = _is_operator(request)
    rows = await catalog.page(
        session,
        hidden_too=operator,
        item_type=type,
        words=q,
        currency=currency,
        before=cursor,
        limit=limit + 1,
    )
    return ItemList(
        data=[await _view(session, row, for_operator=operator) for row in rows[:limit]],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )


@router.get("/v1/catalog/items/{id_or_slug}", operation_id="get_item")
async def get_item(
    id_or_slug: ItemOrSlugPath, request: Request, session: SessionDep, response: Response
) -> ItemView:
    """One item by id or slug."""
    item = None if "\x00" in id_or_slug else await catalog.find(session, id_or_slug)
    if item is None:
        raise NotFound("no such item")
    response.headers["ETag"] = etag_of(item.version)
    return await _view(session, item, for_operator=_is_operator(request))


@router.post("/v1/catalog/items", status_code=201, operation_id="create_item")
async def create_item(
    body: Annotated[ItemBody, Body()],
    caller: CatalogWriter,
    session: SessionDep,
    item_id: NewObjectId,
    response: Response,
) -> ItemView:
    """Add an item."""
    members = await _members(session, body.members)
    columns = body.model_dump(exclude={"prices", "members"}, exclude_none=True)
    prices = _chargeable(body.prices)
    _require_member_prices(prices, members)
    await catalog.insert(session, item_id, columns, prices, [member.id for member in members])
    return await _changed(session, item_id, response)


@router.patch("/v1/catalog/items/{item_id}", operation_id="change_item")
async def change_item(
    item_id: ItemPath,
    body: Annotated[ItemPatch, Body()],
    request: Request,
    caller: CatalogWriter,
    session: SessionDep,
    response: Response,
) -> ItemView:
    """Change an item; orders keep their snapshots. A stale If-Match is 412."""
    # Locked, so that no seat is taken between the look at the capacity and its change.
    item = await catalog.find(session, parse_id(item_id, "item"), lock=True)
    if item is None:
        raise NotFound("no such item")
    version = expected_version(request, item.version)
    if body.available and item.cancelled_at is not None:
        raise Conflict("a cancelled run stays cancelled", code="run_cancelled")
    if body.capacity is not None and item.type is not ItemType.REGISTRATION:
        raise InvalidInput("only a registration has a capacity")
    if body.capacity is not None and body.capacity < item.seats_taken:
        raise InvalidInput(f"{item.seats_taken} seats are taken already", code="capacity_below_taken")
    given = body.model_dump(exclude={"prices"}, exclude_unset=True)
    columns = {name: value for name, value in given.items() if value is not None or name in _NULLABLE}
    await catalog.update(session, item.id, version, columns)
    if body.prices is not None:
        await catalog.set_prices(session, item.id, _chargeable(body.prices))
        await _check_bundles(session, item.id)
    return await _changed(session, item.id, response)


def _chargeable(prices: list[Money]) -> list[Price]:
    """Prices that the processor can charge; NotChargeable for one that is off its currency's step."""
    return [
        Price(price.currency, currency_of(price.currency).require_chargeable(price.amount))
        for price in prices
    ]


def _require_member_prices(prices: list[Price], members: list[ItemRow]) -> None:
    """A bundle is divided by its members' list prices, so each has one in every currency of the bundle."""
    for price in prices:
        for member in members:
            if member.price_in(price.currency) is None:
                raise InvalidInput(f"{member.slug} has no price in {price.currency}", code="invalid_members")


async def _members(session: Session, ids: list[str]) -> list[ItemRow]:
    """The items of a bundle in the order given; InvalidInput for what can't be one."""
    try:
        wanted = [parse_id(member, "item") for member in ids]
    except NotFound as error:
        raise InvalidInput("a bundle's members are given by id", code="invalid_members") from error
    found = await catalog.by_ids(session, wanted)
    if len(found) != len(wanted) or any(row.type is ItemType.BUNDLE for row in found.values()):
        raise InvalidInput("a bundle's members are items that are no bundles", code="invalid_members")
    return [found[member] for member in wanted]


async def _check_bundles(session: Session, item_id: str) -> None:
    """After a change of prices: the item as a bundle, and the bundles that it is in, still divide."""
    item = await catalog.find(session, item_id)
    for bundle in [*([] if item is None else [item]), *await catalog.bundles_with(session, item_id)]:
        _require_member_prices(
            list(bundle.prices), list((await catalog.by_ids(session, list(bundle.members))).values())
        )


async def _changed(session: Session, item_id: str, response: Response) -> ItemView:
    item = await catalog.find(session, item_id)
    if item is None:
        raise NotFound("no such item")
    response.headers["ETag"] = etag_of(item.version)
    return await _view(session, item, for_operator=True)

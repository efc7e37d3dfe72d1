"""The cart: one open per learner, its lines, its promotion code, its live problems."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response

from api.dependencies import NewObjectId, Principal, SessionDep, SignedIn
from api.etags import check_match
from api.idempotency import CommerceRoute
from api.paging import parse_id
from api.parameters import CartLinePath
from api.rate_limits import limited
from api.routes.cart_view import cart_view
from api.schemas.cart import CartItemBody, CartLinePatch, CartView, PromoBody
from domain.errors import Conflict, NotFound, PromoInvalid
from domain.limits import PROMOTION
from models.database import Session
from models.queries import carts, catalog, promotions, quotes
from models.queries.carts import CartRow
from models.queries.quotes import CartQuote

_ITEM = "item; ids are those of GET /v1/catalog/items"

router = APIRouter(route_class=CommerceRoute, tags=["cart"])

_MOST_CODES = 10


async def _priced(session: Session, cart_id: str) -> CartQuote:
    return await quotes.quote_cart(session, cart_id, None, now=datetime.now(UTC))


def _etag(cart: CartRow) -> str:
    """With the id: after a checkout, the next cart begins at the same version."""
    return f'"{cart.id}-{cart.version}"'


async def _locked(session: Session, caller: Principal, request: Request) -> CartRow:
    """The open cart, to be changed; 412 when the caller has seen another version of it."""
    cart = await carts.open_cart(session, caller.user_id, lock=True)
    check_match(request, _etag(cart))
    return cart


async def _answer(session: Session, caller: Principal, response: Response) -> CartView:
    cart = await carts.open_cart(session, caller.user_id)
    response.headers["ETag"] = _etag(cart)
    return cart_view(cart, await _priced(session, cart.id))


@router.get("/v1/cart", operation_id="get_cart")
async def get_cart(caller: SignedIn, session: SessionDep, response: Response) -> CartView:
    """The caller's open cart, made when missing."""
    return await _answer(session, caller, response)


@router.post("/v1/cart/items", status_code=201, operation_id="add_cart_item")
async def add_cart_item(
    body: Annotated[CartItemBody, Body()],
    request: Request,
    caller: SignedIn,
    session: SessionDep,
    response: Response,
    line_id: NewObjectId,
) -> CartView:
    """Put an item in. The first line fixes the currency: the one asked for, else the item's first price."""
    item = await catalog.find(session, parse_id(body.item_id, _ITEM))
    if item is None:
        raise NotFound(f"no such {_ITEM}")
    cart = await _locked(session, caller, request)
    currency = cart.currency or body.currency or item.prices[0].currency
    if body.currency not in (None, currency):
        raise Conflict(f"the cart is in {currency}", code="currency_mismatch")
    if item.price_in(currency) is None:
        raise Conflict(f"{item.title} has no price in {currency}", code="currency_mismatch")
    await carts.add_line(session, cart.id, line_id, item.id, currency)
    # Under another key it may have been there before, as a line of its own id.
    added = [line.id for line in await carts.lines(session, cart.id) if line.item_id == item.id]
    for problem in (await _priced(session, cart.id)).problems:
        if problem.line_id in added:
            raise Conflict(problem.detail, code=problem.code)
    return await _answer(session, caller, response)


@router.patch("/v1/cart/items/{line_id}", operation_id="change_cart_item")
async def change_cart_item(
    line_id: CartLinePath,
    body: Annotated[CartLinePatch, Body()],
    request: Request,
    caller: SignedIn,
    session: SessionDep,
    response: Response,
) -> CartView:
    """Change a line's quantity; 0 takes it out."""
    cart = await _locked(session, caller, request)
    wanted = parse_id(line_id, "line")
    if wanted not in [line.id for line in await carts.lines(session, cart.id)]:
        raise NotFound("no such line in your cart")
    if body.quantity == 0:
        await carts.remove_line(session, cart.id, wanted)
    return await _answer(session, caller, response)


@router.delete("/v1/cart/items/{line_id}", operation_id="remove_cart_item")
async def remove_cart_item(
    line_id: CartLinePath,
    request: Request,
    caller: SignedIn,
    session: SessionDep,
    response: Response,
) -> CartView:
    """Take a line out."""
    cart = await _locked(session, caller, request)
    if not await carts.remove_line(session, cart.id, parse_id(line_id, "line")):
        raise NotFound("no such line in your cart")
    return await _answer(session, caller, response)


@router.put("/v1/cart/promo", operation_id="set_promo")
@limited(PROMOTION)
async def set_promo(
    body: Annotated[PromoBody, Body()],
    request: Request,
    caller: SignedIn,
    session: SessionDep,
    response: Response,
) -> CartView:
    """Use a promotion code, if it applies to the cart now.

    It takes the place of the codes that are there, unless it and they are all stackable.
    """
    cart = await _locked(session, caller, request)
    await carts.set_promos(session, cart.id, await _with_code(session, cart, body.code.strip().upper()))
    for problem in (await _priced(session, cart.id)).problems:
        if problem.code == "promo_invalid":
            raise PromoInvalid(problem.reason or "unknown", problem.detail)
    return await _answer(session, caller, response)


async def _with_code(session: Session, cart: CartRow, code: str) -> list[str]:
    if code in cart.promo_codes:
        return list(cart.promo_codes)
    wanted = [*cart.promo_codes, code]
    found = [await promotions.by_code(session, one) for one in wanted]
    if not all(promotion is not None and promotion.stackable for promotion in found):
        return [code]
    if len(wanted) > _MOST_CODES:
        raise PromoInvalid("not_applicable", f"a cart has at most {_MOST_CODES} codes")
    return wanted


@router.delete("/v1/cart/promo", operation_id="clear_promo")
async def clear_promo(
    request: Request,
    caller: SignedIn,
    session: SessionDep,
    response: Response,
    code: Annotated[
        str | None,
        Query(
            max_length=50,
            pattern=r"^[^\x00]*$",
            description="The code to take off, in any case; left out: all of them.",
        ),
    ] = None,
) -> CartView:
    """Take one promotion code off, or all of them."""
    cart = await _locked(session, caller, request)
    gone = None if code is None else code.strip().upper()
    left = [one for one in cart.promo_codes if gone is not None and one != gone]
    await carts.set_promos(session, cart.id, left)
    return await _answer(session, caller, response)

"""The quote: totals with tax by line. A read, although it is a POST."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body

from api.dependencies import ServicesDep, SessionDep, SignedIn
from api.idempotency import CommerceRoute, without_key
from api.rate_limits import limited
from api.routes.cart_view import problems_view, totals_view
from api.schemas.cart import QuoteBody, QuoteLine, QuoteView, TaxLine
from api.schemas.orders import money
from api.taxation import decide_tax
from domain.limits import QUOTE
from domain.store_credit import credit_to_use
from models.queries import carts, quotes, store_credit

router = APIRouter(route_class=CommerceRoute, tags=["checkout"])


@router.post("/v1/checkout/quote", operation_id="quote")
@without_key
@limited(QUOTE)
async def quote(
    body: Annotated[QuoteBody, Body()], caller: SignedIn, services: ServicesDep, session: SessionDep
) -> QuoteView:
    """What the open cart costs at this address, now."""
    address = body.billing_address.model_dump(exclude_none=True)
    cart = await carts.open_cart(session, caller.user_id)
    tax = await decide_tax(services, session, cart.id, address)
    priced = await quotes.quote_cart(session, cart.id, address, now=datetime.now(UTC), tax=tax)
    currency, credit = priced.currency, 0
    if body.use_store_credit:
        available = await store_credit.available(session, caller.user_id, currency)
        credit = credit_to_use(priced.total, available, currency)
    return QuoteView(
        totals=totals_view(priced),
        store_credit=money(credit, currency),
        due=money(priced.total - credit, currency),
        lines=[
            QuoteLine(
                item_id=line.item_id,
                bundle_id=line.bundle_id,
                title=line.title,
                list_price=money(line.list_net, currency),
                discount=money(line.discount_net, currency),
                net=money(line.net, currency),
                taxes=[
                    TaxLine(
                        jurisdiction=tax["jurisdiction"],
                        rate_ppm=tax["ppm"],
                        amount=money(tax["amount"], currency),
                    )
                    for tax in line.taxes
                ],
                total=money(line.gross, currency),
            )
            for line in priced.sold
        ],
        reverse_charge=tax.reverse_charge,
        problems=problems_view(priced),
    )

"""Checkout: starts the order's workflow and answers with what the front end needs to pay."""

from typing import Annotated

from fastapi import APIRouter, Body, Request

from api.commands import Commands, CommandsDep
from api.dependencies import NewObjectId, Principal, Services, ServicesDep, SessionDep, SignedIn
from api.idempotency import CommerceRoute
from api.rate_limits import limited, refuse_who_does_not_pay
from api.routes.orders import order_answer
from api.schemas.checkout import CheckoutAnswer, CheckoutBody, PaymentToMake
from api.taxation import decide_tax, with_plain_tax_id
from api.workflow_calls import ask_checkout
from domain.errors import Conflict, InvalidInput
from domain.ids import instructor_payee
from domain.limits import CHECKOUT
from domain.orders import PaymentState
from integrations.documents.locales import document_locale
from models.database import Session
from models.queries import affiliates, carts, orders, people, recorded_commands
from models.queries.affiliates import AffiliateRow

router = APIRouter(route_class=CommerceRoute, tags=["checkout"])


@router.post("/v1/checkout", status_code=201, operation_id="checkout")
@limited(CHECKOUT)
async def checkout(
    body: Annotated[CheckoutBody, Body()],
    request: Request,
    caller: SignedIn,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    order_id: NewObjectId,
) -> CheckoutAnswer:
    """Check out the open cart. The order's id is committed before its workflow starts.

    A second checkout of the same cart, from another tab, is `cart_empty`.
    """
    if await recorded_commands.get(session, order_id) is None:
        accepted = request.headers.get("accept-language")
        await _record(services, session, commands, order_id, caller, body, accepted)
    intent_id = await ask_checkout(services, order_id)
    return CheckoutAnswer(
        order=await order_answer(session, services, order_id),
        payment=await _payment_to_make(services, session, order_id, intent_id),
    )


async def _record(
    services: Services,
    session: SessionDep,
    commands: Commands,
    order_id: str,
    caller: Principal,
    body: CheckoutBody,
    accept_language: str | None,
) -> None:
    """Commit what was asked, with what was decided about its tax: a retry goes on from there."""
    await refuse_who_does_not_pay(services, session, caller)
    affiliate = await _affiliate(session, caller, body.affiliate)
    cart_id = await carts.open_id(session, caller.user_id)
    if cart_id is None:
        raise Conflict("the cart is empty", code="cart_empty")
    address = body.billing_address.model_dump(exclude_none=True)
    tax = await decide_tax(services, session, cart_id, address, order_id=order_id)
    command = {
        "cart_id": cart_id,
        "billing_address": with_plain_tax_id(address, tax),
        "expected_total": None if body.expected_total is None else body.expected_total.model_dump(),
        "expected_due": None if body.expected_due is None else body.expected_due.model_dump(),
        "use_store_credit": body.use_store_credit,
        "return_url": body.return_url,
        "locale": document_locale(
            body.billing_address.country, wanted=body.locale, accept_language=accept_language
        ),
        "tax": tax.to_dict(),
        "channel": body.channel,
        "affiliate_id": None if affiliate is None else affiliate.id,
    }
    async with commands.transaction() as first:
        await recorded_commands.record(first, order_id, "checkout", caller.user_id, command)


async def _affiliate(session: Session, caller: Principal, code: str | None) -> AffiliateRow | None:
    """Who brought the sale; nobody is paid for their own purchase."""
    if code is None:
        return None
    found = await affiliates.by_code(session, code)
    if found is None or not found.active:
        raise InvalidInput("no affiliate has this code (any more)", code="affiliate_unknown")
    buyer = await people.get(session, caller.user_id)
    if buyer is not None and found.payee == instructor_payee(buyer.lms_user_id):
        raise InvalidInput("nobody is paid for their own purchase", code="affiliate_unknown")
    return found


async def _payment_to_make(
    services: Services, session: SessionDep, order_id: str, intent_id: str | None
) -> PaymentToMake | None:
    row = await orders.get(session, order_id)
    if intent_id is None or row is None or row.payment_state is not PaymentState.PENDING:
        return None
    # Read from the processor, not passed through the workflow: no secret stands in a history.
    intent = await services.payments.get_intent(intent_id)
    return PaymentToMake(
        provider="stripe",
        payment_intent_id=intent.id,
        client_secret=intent.client_secret or "",
        publishable_key=services.publishable_key,
    )

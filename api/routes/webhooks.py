"""Inbound webhooks: verify, store if new, commit, answer, then signal, then mark as dispatched.

The sender is answered 200 as soon as the event is safe, however slow Temporal is just then. A duplicate
that was never dispatched is dispatched; what can't be dispatched now is left to the inbox recovery.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Request
from pydantic import Field
from sqlalchemy.exc import DataError, SQLAlchemyError

from api.dependencies import Services, ServicesDep
from api.idempotency import CommerceRoute, without_key
from api.schemas.common import Output
from domain.certificates import in_own_words
from domain.errors import InvalidInput, Unavailable
from domain.identity import stored_form
from domain.messages import StoredEvent
from integrations.webhook_verification import BadSignature, verify_standard, verify_stripe
from models.queries import inbox, lms_events

log = logging.getLogger(__name__)
router = APIRouter(route_class=CommerceRoute, tags=["inbound webhooks"])


class Stored(Output):
    """The event is safe."""

    received: Annotated[
        bool,
        Field(examples=[True], description="Always true: the event is stored, now or by an earlier sending."),
    ] = True


@router.post("/v1/webhooks/stripe", operation_id="receive_stripe_event")
@without_key
async def receive_stripe_event(request: Request, services: ServicesDep, after: BackgroundTasks) -> Stored:
    """An event of Stripe, signed by `Stripe-Signature`."""
    event = verify_stripe(
        await request.body(),
        request.headers.get("stripe-signature", ""),
        services.webhook_secrets.stripe,
        now=int(time.time()),
    )
    subject = event.get("data", {}).get("object") if isinstance(event.get("data"), dict) else None
    if not isinstance(subject, dict):
        raise BadSignature("the event has no object")
    stored = await _store(services, inbox.STRIPE, event, subject)
    if not stored.dispatched:
        after.add_task(_dispatch, _dispatch_stripe, services, stored)
    return Stored()


@router.post("/v1/webhooks/lms", operation_id="receive_lms_event")
@without_key
async def receive_lms_event(request: Request, services: ServicesDep, after: BackgroundTasks) -> Stored:
    """An event of the LMS, signed by Standard Webhooks."""
    event = verify_standard(
        await request.body(), dict(request.headers), services.webhook_secrets.lms, now=int(time.time())
    )
    stored = await _store(services, inbox.LMS, event)
    if not stored.dispatched:
        after.add_task(_dispatch, _dispatch_lms, services, stored)
    return Stored()


@router.post("/v1/webhooks/payout", operation_id="receive_payout_event")
@without_key
async def receive_payout_event(request: Request, services: ServicesDep, after: BackgroundTasks) -> Stored:
    """An event of the payout system, signed by Standard Webhooks; `payout.settled` is posted."""
    event = verify_standard(
        await request.body(), dict(request.headers), services.webhook_secrets.payout, now=int(time.time())
    )
    stored = await _store(services, inbox.PAYOUT, event)
    if not stored.dispatched:
        after.add_task(_dispatch, _dispatch_payout, services, stored)
    return Stored()


async def _store(
    services: Services, source: str, event: dict[str, Any], subject: dict[str, Any] | None = None
) -> StoredEvent:
    """Store the event, with the order that its `subject` is about."""
    try:
        async with services.commands.transaction() as session:
            if source == inbox.LMS:
                event = in_own_words(event)
                await lms_events.take_in(session, event)
            order_id = None if subject is None else await inbox.resolve_order(session, subject)
            return await inbox.store(session, source, stored_form(event), order_id)
    except (DataError, InvalidInput, LookupError, TypeError, ValueError) as error:
        # Signed, but not what it should be: asking the sender to send it again would not mend it.
        raise BadSignature("the event can't be read") from error
    except SQLAlchemyError as error:
        raise Unavailable("the event could not be stored") from error


async def _dispatch(
    send: Callable[[Services, StoredEvent], Awaitable[None]], services: Services, event: StoredEvent
) -> None:
    async def is_dispatched() -> bool:
        async with services.commands.transaction() as session:
            return await inbox.is_dispatched(session, event.inbox_id)

    try:
        await services.dispatches.run(event.inbox_id, partial(send, services, event), is_dispatched)
    except Exception:
        # Its sender has its answer; `verify` names what stays undispatched.
        log.exception("event %s can't be dispatched", event.inbox_id)


async def _dispatch_stripe(services: Services, event: StoredEvent) -> None:
    try:
        outcome = await services.dispatcher.stripe_event(event)
        await _mark(services, event, outcome)
    except (Unavailable, SQLAlchemyError):
        log.warning("event %s is stored, and left to the recovery", event.inbox_id)


async def _dispatch_lms(services: Services, event: StoredEvent) -> None:
    try:
        async with services.commands.transaction() as session:
            concerned = await lms_events.concerned(session, event)
        await _mark(services, event, await services.dispatcher.lms_event(concerned))
    except (Unavailable, SQLAlchemyError):
        log.warning("event %s is stored, and left to the recovery", event.inbox_id)


async def _dispatch_payout(services: Services, event: StoredEvent) -> None:
    try:
        await _mark(services, event, await services.dispatcher.payout_event(event))
    except (Unavailable, SQLAlchemyError):
        log.warning("event %s is stored, and left to the recovery", event.inbox_id)
    except InvalidInput as error:
        # Money that left and that we can't read: it stays undispatched, and `verify` names it.
        log.error("event %s of the payout system can't be posted: %s", event.inbox_id, error)  # noqa: TRY400


async def _mark(services: Services, event: StoredEvent, outcome: str) -> None:
    async with services.commands.transaction() as session:
        await inbox.mark_dispatched(session, event.inbox_id, outcome)

"""What was sent to receivers of our events: the log, one event again, all since a moment again."""

import logging
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Body, Query

from api.commands import CommandsDep
from api.dependencies import NewObjectId, Services, ServicesDep, SessionDep, WebhooksReader, WebhooksWriter
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.parameters import DeliveryPath, EndpointPath
from api.routes.webhook_endpoints import require_endpoint
from api.schemas.webhooks import (
    AttemptView,
    DeliveryList,
    DeliveryStatus,
    DeliveryView,
    DeliveryWithLog,
    ReplayBody,
    ReplayView,
    RequestView,
    ResponseView,
)
from domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from domain.messages import ReplayInput
from models.database import Session
from models.queries import webhook_deliveries
from models.queries.webhook_deliveries import Attempt, DeliveryRow

log = logging.getLogger(__name__)
router = APIRouter(route_class=CommerceRoute, tags=["webhook deliveries"])

StatusFilter = Annotated[
    DeliveryStatus | None, Query(alias="status", description="Only deliveries with this status.")
]


def _view(row: DeliveryRow) -> DeliveryView:
    return DeliveryView.model_validate(
        {name: getattr(row, name) for name in DeliveryView.model_fields if name != "next_attempt_at"}
        | {"next_attempt_at": row.next_attempt_at if row.status == "pending" else None}
    )


def _attempt_view(at: datetime, tried: Attempt) -> AttemptView:
    return AttemptView.model_validate(
        {
            "attempt": tried.attempt,
            "at": at,
            "outcome": tried.outcome,
            "request": RequestView(url=tried.url, headers=tried.request_headers, body=tried.request_body),
            "response": ResponseView(
                status_code=tried.status_code, headers=tried.response_headers, body=tried.response_body
            ),
            "error": tried.error,
            "duration_ms": tried.duration_ms,
        }
    )


async def _require(session: Session, delivery_id: str) -> DeliveryRow:
    row = await webhook_deliveries.get(session, parse_id(delivery_id, "delivery"))
    if row is None:
        raise NotFound("no such delivery")
    return row


@router.get("/v1/webhook-endpoints/{endpoint_id}/deliveries", operation_id="list_webhook_deliveries")
async def list_deliveries(
    endpoint_id: EndpointPath,
    caller: WebhooksReader,
    session: SessionDep,
    cursor: Cursor,
    status: StatusFilter = None,
    limit: Limit = 20,
) -> DeliveryList:
    """What was sent there and what came back, newest first."""
    endpoint = await require_endpoint(session, endpoint_id)
    rows = await webhook_deliveries.page(session, endpoint.id, status=status, before=cursor, limit=limit + 1)
    return DeliveryList(
        data=[_view(row) for row in rows[:limit]], next_cursor=next_cursor([row.id for row in rows], limit)
    )


@router.get("/v1/webhook-deliveries/{delivery_id}", operation_id="get_webhook_delivery")
async def get_delivery(
    delivery_id: DeliveryPath, caller: WebhooksReader, session: SessionDep
) -> DeliveryWithLog:
    """One delivery, with the request and the answer of every attempt."""
    row = await _require(session, delivery_id)
    tried = await webhook_deliveries.attempts(session, row.id)
    return DeliveryWithLog(**_view(row).model_dump(), log=[_attempt_view(at, one) for at, one in tried])


@router.post(
    "/v1/webhook-deliveries/{delivery_id}/redeliver", status_code=202, operation_id="redeliver_webhook"
)
async def redeliver(
    delivery_id: DeliveryPath,
    caller: WebhooksWriter,
    services: ServicesDep,
    session: SessionDep,
    after: BackgroundTasks,
) -> DeliveryView:
    """Send one event again, now and under its old `webhook-id`; one that waits for a retry waits no longer.

    Events of its stream that are still pending follow it. 409 `endpoint_disabled` when the endpoint is off.
    """
    row = await _require(session, delivery_id)
    endpoint = await require_endpoint(session, row.endpoint_id)
    if not endpoint.active:
        raise Conflict("switch the endpoint on first", code="endpoint_disabled")
    await webhook_deliveries.redeliver(session, row.id)
    after.add_task(_retry, services, row.endpoint_id, row.stream)
    return _view(await _require(session, row.id))


async def _retry(services: Services, endpoint_id: str, stream: str) -> None:
    """Runs after the commit; when it can't, the sweep of the inbox recovery does it later."""
    try:
        await services.dispatcher.retry_delivery(endpoint_id, stream)
    except Unavailable:
        log.warning("could not send %s to endpoint %s at once", stream, endpoint_id)


@router.post("/v1/webhook-endpoints/{endpoint_id}/replay", status_code=202, operation_id="replay_webhooks")
async def replay(
    endpoint_id: EndpointPath,
    body: Annotated[ReplayBody, Body()],
    caller: WebhooksWriter,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    replay_id: NewObjectId,
) -> ReplayView:
    """Send all events since a moment again, each stream in its order, also those of while it was off.

    409 `endpoint_disabled` when the endpoint is off.
    """
    endpoint = await require_endpoint(session, endpoint_id)
    if not endpoint.active:
        raise Conflict("switch the endpoint on first", code="endpoint_disabled")
    since = body.since.astimezone(UTC)
    if since > datetime.now(UTC):
        raise InvalidInput("since lies in the future")
    events = await webhook_deliveries.count_to_replay(
        session, endpoint.id, since, only_undelivered=body.only_undelivered
    )
    await commands.begin()
    workflow_id = await services.dispatcher.start_replay(
        replay_id, ReplayInput(endpoint.id, since.isoformat(), body.only_undelivered)
    )
    return ReplayView(
        id=replay_id,
        endpoint_id=endpoint.id,
        since=since,
        only_undelivered=body.only_undelivered,
        events=events,
        workflow_id=workflow_id,
    )

"""Receivers of our events: made, changed, their secrets rotated."""

import base64
import json
import logging
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Body, Request, Response

from api.dependencies import NewObjectId, Services, ServicesDep, SessionDep, WebhooksReader, WebhooksWriter
from api.etags import check_match, etag_of
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.parameters import EndpointPath
from api.schemas.webhooks import (
    EndpointBody,
    EndpointList,
    EndpointPatch,
    EndpointView,
    EndpointWithSecret,
    RotationBody,
)
from domain.errors import Conflict, NotFound, Unavailable
from domain.messages import ReplayInput
from integrations.outbound import check_target
from models.database import Session
from models.queries import webhook_endpoints
from models.queries.webhook_endpoints import EndpointRow

log = logging.getLogger(__name__)
router = APIRouter(route_class=CommerceRoute, tags=["webhook endpoints"])

_SECRET_BYTES = 32
# Each signs every delivery; somebody who rotates in a loop must not make the header grow without end.
_MOST_OLD_SECRETS = 5


def _view(row: EndpointRow) -> EndpointView:
    return EndpointView(
        id=row.id,
        url=row.url,
        event_types=list(row.event_types),
        description=row.description,
        active=row.active,
        disabled_at=row.disabled_at,
        disabled_by=row.disabled_by,
        disabled_reason=row.disabled_reason,
        last_disabled_at=row.last_disabled_at,
        created_at=row.created_at,
    )


async def require_endpoint(session: Session, endpoint_id: str) -> EndpointRow:
    """An endpoint to read, also one that was deleted; NotFound without one."""
    row = await webhook_endpoints.get(session, parse_id(endpoint_id, "webhook endpoint"))
    if row is None:
        raise NotFound("no such webhook endpoint")
    return row


async def _for_change(session: Session, endpoint_id: str) -> EndpointRow:
    row = await webhook_endpoints.get(session, parse_id(endpoint_id, "webhook endpoint"), lock=True)
    if row is None:
        raise NotFound("no such webhook endpoint")
    if row.deleted_at is not None:
        raise Conflict("the endpoint was deleted", code="endpoint_disabled")
    return row


def _fresh_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _sealed(services: Services, endpoint_id: str, entries: list[dict[str, str | None]]) -> bytes:
    return services.sealer.seal(json.dumps(entries).encode(), f"webhook-endpoint/{endpoint_id}")


@router.post("/v1/webhook-endpoints", status_code=201, operation_id="create_webhook_endpoint")
async def create_endpoint(
    body: Annotated[EndpointBody, Body()],
    caller: WebhooksWriter,
    services: ServicesDep,
    session: SessionDep,
    endpoint_id: NewObjectId,
    response: Response,
) -> EndpointWithSecret:
    """Add a receiver. Its secret is in this answer and nowhere else."""
    check_target(body.url, allow_private=services.allow_private_addresses)
    secret = _fresh_secret()
    await webhook_endpoints.insert(
        session,
        endpoint_id,
        url=body.url,
        description=body.description,
        event_types=body.event_types,
        secret_sealed=_sealed(services, endpoint_id, [{"secret": secret, "expires_at": None}]),
    )
    row = await require_endpoint(session, endpoint_id)
    response.headers["ETag"] = etag_of(row.version)
    return EndpointWithSecret(**_view(row).model_dump(), secret=secret)


@router.get("/v1/webhook-endpoints", operation_id="list_webhook_endpoints")
async def list_endpoints(
    caller: WebhooksReader, session: SessionDep, cursor: Cursor, limit: Limit = 20
) -> EndpointList:
    """All receivers, newest first."""
    rows = await webhook_endpoints.page(session, before=cursor, limit=limit + 1)
    return EndpointList(
        data=[_view(row) for row in rows[:limit]], next_cursor=next_cursor([row.id for row in rows], limit)
    )


@router.get("/v1/webhook-endpoints/{endpoint_id}", operation_id="get_webhook_endpoint")
async def get_endpoint(
    endpoint_id: EndpointPath, caller: WebhooksReader, session: SessionDep, response: Response
) -> EndpointView:
    """One receiver."""
    row = await require_endpoint(session, endpoint_id)
    response.headers["ETag"] = etag_of(row.version)
    return _view(row)


@router.patch("/v1/webhook-endpoints/{endpoint_id}", operation_id="change_webhook_endpoint")
async def change_endpoint(
    endpoint_id: EndpointPath,
    body: Annotated[EndpointPatch, Body()],
    request: Request,
    caller: WebhooksWriter,
    services: ServicesDep,
    session: SessionDep,
    response: Response,
    after: BackgroundTasks,
) -> EndpointView:
    """Change address, types, description or activity. A stale If-Match is 412.

    What waits for the endpoint is sent at once when it is switched on or gets another address.
    """
    row = await _for_change(session, endpoint_id)
    check_match(request, etag_of(row.version))
    if body.url is not None:
        check_target(body.url, allow_private=services.allow_private_addresses)
    active = row.active if body.active is None else body.active
    changed = replace(
        row,
        url=body.url or row.url,
        description=row.description if body.description is None else body.description,
        event_types=row.event_types if body.event_types is None else tuple(body.event_types),
        active=active,
        disabled_by=None if active else row.disabled_by or "operator",
        disabled_reason=None if active else row.disabled_reason or "switched off by an operator",
    )
    await webhook_endpoints.save(session, changed)
    if active and (not row.active or changed.url != row.url):
        after.add_task(_send_what_waits, services, row.id, row.version + 1)
    response.headers["ETag"] = etag_of(row.version + 1)
    return _view(await require_endpoint(session, row.id))


async def _send_what_waits(services: Services, endpoint_id: str, version: int) -> None:
    """Runs after the commit; when it can't, the sweep of the inbox recovery does it later."""
    try:
        await services.dispatcher.start_replay(f"{endpoint_id}/{version}", ReplayInput(endpoint_id))
    except Unavailable:
        log.warning("could not send at once what waits for endpoint %s", endpoint_id)


@router.delete("/v1/webhook-endpoints/{endpoint_id}", status_code=204, operation_id="delete_webhook_endpoint")
async def delete_endpoint(
    endpoint_id: EndpointPath, request: Request, caller: WebhooksWriter, session: SessionDep
) -> Response:
    """Send nothing more there; the log stays. A stale If-Match is 412."""
    row = await require_endpoint(session, endpoint_id)
    check_match(request, etag_of(row.version))
    await webhook_endpoints.delete(session, row.id)
    return Response(status_code=204)


@router.post("/v1/webhook-endpoints/{endpoint_id}/rotate-secret", operation_id="rotate_webhook_secret")
async def rotate_secret(
    endpoint_id: EndpointPath,
    request: Request,
    caller: WebhooksWriter,
    services: ServicesDep,
    session: SessionDep,
    response: Response,
    body: Annotated[RotationBody | None, Body()] = None,
) -> EndpointWithSecret:
    """A new secret; the one before signs beside it for 24 hours, or as long as `overlap_hours` says."""
    row = await _for_change(session, endpoint_id)
    check_match(request, etag_of(row.version))
    overlap = timedelta(hours=(body or RotationBody()).overlap_hours)
    newest, *older = json.loads(services.sealer.open(row.secret_sealed, f"webhook-endpoint/{row.id}"))
    now = datetime.now(UTC)
    secret = _fresh_secret()
    until = now + overlap
    kept = [
        {"secret": newest["secret"], "expires_at": until.isoformat()},
        # A shorter overlap is for all of them: what leaked may be any.
        *(
            entry | {"expires_at": min(datetime.fromisoformat(entry["expires_at"]), until).isoformat()}
            for entry in older
        ),
    ]
    kept = [entry for entry in kept if datetime.fromisoformat(entry["expires_at"]) > now][:_MOST_OLD_SECRETS]
    sealed = _sealed(services, row.id, [{"secret": secret, "expires_at": None}, *kept])
    await webhook_endpoints.save(session, replace(row, secret_sealed=sealed))
    response.headers["ETag"] = etag_of(row.version + 1)
    return EndpointWithSecret(**_view(row).model_dump(), secret=secret)

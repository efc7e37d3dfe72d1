"""The audit log, for operators."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from api.dependencies import Operator, SessionDep
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor
from api.schemas.common import Newest, NextCursor, Output, OwnId
from models.queries import audit
from models.queries.audit import AuditFilter

router = APIRouter(route_class=CommerceRoute, tags=["operations"])


class AuditView(Output):
    """One action. `actor_id` is a user, an API key, or who ran a command on a machine of ours."""

    id: OwnId
    at: Annotated[datetime, Field(description="When it was logged, with its effect.")]
    actor_kind: Annotated[
        Literal["operator", "machine", "command"],
        Field(
            description="`operator`: a person; `machine`: an API key; `command`: somebody at a machine of "
            "ours."
        ),
    ]
    actor_id: Annotated[
        str,
        Field(
            description="Our id of the user, the id of the API key, or the machine's user who ran the "
            "command."
        ),
    ]
    action: Annotated[str, Field(description="The operation's id in this document, or the command's name.")]
    objects: Annotated[
        Sequence[str], Field(description="Ids that the address had, then that of what was made.")
    ]
    status_code: Annotated[
        int | None,
        Field(
            description="The HTTP status of the answer; null for a command, and as long as there is no "
            "answer."
        ),
    ]
    code: Annotated[
        str | None, Field(description="The problem's code, where it was refused; null when it was not.")
    ]
    reason: Annotated[
        str | None,
        Field(description="Why, as `reason` of the body or `X-Audit-Reason` said; null when neither did."),
    ]
    request: Annotated[
        dict[str, Any] | None,
        Field(
            description="The body without its secrets; null where bodies are not kept. One of more than 16 "
            "kB is `too_large_to_keep_bytes` alone."
        ),
    ]
    request_id: Annotated[str, Field(description="The request's `X-Request-Id`; empty for a command.")]


class AuditList(Output):
    """A page of actions."""

    data: Newest[AuditView]
    next_cursor: NextCursor


_ACTION = AuditView.model_fields.keys() - {"id", "at"}


@router.get("/v1/audit", operation_id="list_audit_entries")
async def list_audit_entries(
    caller: Operator,
    session: SessionDep,
    cursor: Cursor,
    actor_id: Annotated[
        str | None,
        Query(
            max_length=200,
            pattern=r"^[^\x00]*$",
            description="Only what this user, API key or machine's user did, as `actor_id` has it.",
        ),
    ] = None,
    action: Annotated[
        str | None,
        Query(
            max_length=200,
            pattern=r"^[^\x00]*$",
            description="Only this action: an operation's id, such as `create_refund`, or a command.",
        ),
    ] = None,
    object_id: Annotated[
        str | None,
        Query(
            max_length=200,
            pattern=r"^[^\x00]*$",
            description="Only what was done to it: an id that `objects` hold.",
        ),
    ] = None,
    request_id: Annotated[
        str | None,
        Query(
            max_length=200,
            pattern=r"^[^\x00]*$",
            description="Only what this request did, by its `X-Request-Id`.",
        ),
    ] = None,
    limit: Limit = 20,
) -> AuditList:
    """What operators, machines and commands did, newest first; `action` is an operation's id."""
    wanted = AuditFilter(actor_id, action, object_id, request_id)
    rows = await audit.page(session, wanted, before=cursor, limit=limit + 1)
    return AuditList(
        data=[
            AuditView.model_validate(
                {"id": row.id, "at": row.created_at} | {name: getattr(row.action, name) for name in _ACTION}
            )
            for row in rows[:limit]
        ],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )

"""The audit log: added to, and read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from models.database import Session


@dataclass(frozen=True, slots=True)
class Action:
    """What was done, by whom and why; no answer's status for what was no request, or has no answer yet."""

    actor_kind: str
    actor_id: str
    action: str
    objects: Sequence[str]
    request_id: str = ""
    status_code: int | None = None
    code: str | None = None
    reason: str | None = None
    request: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An action as it was logged."""

    id: str
    created_at: datetime
    action: Action


async def add(session: Session, action: Action, *, write_id: str | None = None) -> None:
    """Log an action; commits with its effect. One entry a `write_id`: what was logged of it before its answer
    gets the answer's status and code, and nothing else changes."""
    await session.execute(
        text(
            "INSERT INTO audit_entry (actor_kind, actor_id, action, objects, status_code, code, reason, "
            "request, request_id, write_id) VALUES (:kind, :actor, :action, :objects, :status, :code, "
            ":reason, CAST(:request AS jsonb), :request_id, :write) "
            "ON CONFLICT (write_id) DO UPDATE SET status_code = excluded.status_code, code = excluded.code "
            "WHERE audit_entry.status_code IS NULL AND excluded.status_code IS NOT NULL"
        ),
        {
            "write": write_id,
            "kind": action.actor_kind,
            "actor": action.actor_id,
            "action": action.action,
            "objects": list(action.objects),
            "status": action.status_code,
            "code": action.code,
            "reason": action.reason,
            "request": None if action.request is None else json.dumps(action.request),
            "request_id": action.request_id,
        },
    )


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to look for; None: anything."""

    actor_id: str | None = None
    action: str | None = None
    object_id: str | None = None
    request_id: str | None = None


async def page(session: Session, wanted: AuditFilter, *, before: str | None, limit: int) -> list[AuditRow]:
    """Newest first, keyset."""
    rows = await session.execute(
        text(
            "SELECT * FROM audit_entry WHERE "
            "(CAST(:actor AS varchar) IS NULL OR actor_id = CAST(:actor AS varchar)) "
            "AND (CAST(:action AS varchar) IS NULL OR action = CAST(:action AS varchar)) "
            "AND (CAST(:object AS varchar) IS NULL OR objects @> ARRAY[CAST(:object AS text)]) "
            "AND (CAST(:request AS varchar) IS NULL OR request_id = CAST(:request AS varchar)) "
            "AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid)) ORDER BY id DESC LIMIT :limit"
        ),
        {
            "actor": wanted.actor_id,
            "action": wanted.action,
            "object": wanted.object_id,
            "request": wanted.request_id,
            "before": before,
            "limit": limit,
        },
    )
    return [
        AuditRow(
            str(row.id),
            row.created_at,
            Action(
                actor_kind=row.actor_kind,
                actor_id=row.actor_id,
                action=row.action,
                objects=tuple(row.objects),
                request_id=row.request_id,
                status_code=row.status_code,
                code=row.code,
                reason=row.reason,
                request=row.request,
            ),
        )
        for row in rows
    ]

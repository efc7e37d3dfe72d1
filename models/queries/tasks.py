"""Tasks of operators: opened once, read, closed with a note."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.tasks import TaskKind
from models.database import Session


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task; open while it has no `closed_at`."""

    id: str
    kind: TaskKind
    user_id: str | None
    order_id: str | None
    what: str
    note: str | None
    created_at: datetime
    closed_at: datetime | None
    closed_by: str | None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _task(row: Row[Any]) -> TaskRow:
    return TaskRow(
        str(row.id),
        TaskKind(row.kind),
        _text(row.user_id),
        _text(row.order_id),
        row.what,
        row.note,
        row.created_at,
        row.closed_at,
        _text(row.closed_by),
    )


async def open_once(
    session: Session,
    *,
    key: str,
    kind: TaskKind,
    what: str,
    user_id: str | None = None,
    order_id: str | None = None,
) -> None:
    """Open a task, once for its key; one that was closed stays closed."""
    await session.execute(
        text(
            "INSERT INTO operator_task (task_key, kind, user_id, order_id, what) "
            "VALUES (:key, :kind, :user_id, :order_id, :what) ON CONFLICT DO NOTHING"
        ),
        {"key": key, "kind": kind, "user_id": user_id, "order_id": order_id, "what": what},
    )


async def get(session: Session, task_id: str) -> TaskRow | None:
    """One task."""
    row = (
        await session.execute(text("SELECT * FROM operator_task WHERE id = :id"), {"id": task_id})
    ).one_or_none()
    return None if row is None else _task(row)


async def page(
    session: Session, *, is_open: bool | None, kind: str | None, before: str | None, limit: int
) -> list[TaskRow]:
    """Newest first, keyset; None: any."""
    rows = await session.execute(
        text(
            "SELECT * FROM operator_task WHERE (CAST(:open AS boolean) IS NULL "
            "OR (closed_at IS NULL) = CAST(:open AS boolean)) "
            "AND (CAST(:kind AS varchar) IS NULL OR kind = CAST(:kind AS varchar)) "
            "AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid)) ORDER BY id DESC LIMIT :limit"
        ),
        {"open": is_open, "kind": kind, "before": before, "limit": limit},
    )
    return [_task(row) for row in rows]


async def close(session: Session, task_id: str, *, by: str, note: str) -> TaskRow | None:
    """Close an open task; None when it is closed, or there is none."""
    row = (
        await session.execute(
            text(
                "UPDATE operator_task SET closed_at = now(), closed_by = :by, note = :note "
                "WHERE id = :id AND closed_at IS NULL RETURNING *"
            ),
            {"id": task_id, "by": by, "note": note},
        )
    ).one_or_none()
    return None if row is None else _task(row)

"""What callers asked for, kept before a workflow starts from it."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from models.database import Session


@dataclass(frozen=True, slots=True)
class CommandRow:
    """What a caller asked for."""

    id: str
    kind: str
    user_id: str
    body: dict[str, Any]


async def record(session: Session, command_id: str, kind: str, user_id: str, body: dict[str, Any]) -> None:
    """Keep what was asked, before a workflow starts from it; a repeat changes nothing."""
    await session.execute(
        text(
            "INSERT INTO command (id, kind, user_id, body) "
            "VALUES (:id, :kind, :user_id, CAST(:body AS jsonb)) ON CONFLICT DO NOTHING"
        ),
        {"id": command_id, "kind": kind, "user_id": user_id, "body": json.dumps(body)},
    )


async def get(session: Session, command_id: str) -> CommandRow | None:
    """What was asked under this id."""
    row = (
        await session.execute(text("SELECT * FROM command WHERE id = :id"), {"id": command_id})
    ).one_or_none()
    return None if row is None else CommandRow(str(row.id), row.kind, str(row.user_id), row.body)

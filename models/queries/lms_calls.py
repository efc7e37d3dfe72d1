"""Calls of the LMS that may have their effect when nobody waits for it any more.

Before each grant and revoke it is written down until when the call may land; its answer takes that back. What
stays is of calls whose outcome nobody knows: the answer was lost, or the worker. When the opposite was done
since, it is owed once more after that moment.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import text

from models.database import Session

Action = Literal["grant", "revoke"]

OWED_SQL = (
    "((e.status = 'revoked' AND e.grant_may_land_until IS NOT NULL "
    "AND NOT EXISTS (SELECT FROM commerce_user ended WHERE ended.id = e.user_id "
    "AND ended.merged_into IS NOT NULL)) "
    "OR (e.status = 'granted' AND e.revoke_may_land_until IS NOT NULL))"
)
"""Of an entitlement `e`: what was reached may still be undone by an earlier call, so it is done once more.
An account that ended in a merge is not asked about."""

_COLUMNS: dict[Action, str] = {"grant": "grant_may_land_until", "revoke": "revoke_may_land_until"}
_OPPOSITE: dict[Action, Action] = {"grant": "revoke", "revoke": "grant"}


@dataclass(frozen=True, slots=True)
class Call:
    """A call that begins: when, until when it may land, and until when one before it may."""

    entitlement_id: str
    action: Action
    began: datetime
    until: datetime
    before: datetime | None


async def begin(
    session: Session, entitlement_id: str, action: Action, *, lands_within_seconds: float
) -> Call:
    """Write down that the LMS is about to be asked.

    An opposite call that is still without an answer now was made by a worker that is taken for dead. Should
    it live, it may hear of a success that comes after this call: its mark is moved, so that it is not its own
    any more, and stays.
    """
    column, opposite = _COLUMNS[action], _COLUMNS[_OPPOSITE[action]]
    row = (
        await session.execute(
            text(
                f"UPDATE entitlement e SET {column} = clock_timestamp() + :within, "
                f"{opposite} = e.{opposite} + interval '1 microsecond' FROM entitlement old "
                "WHERE e.id = :id AND old.id = e.id "
                f"RETURNING e.{column} - :within AS began, e.{column} AS until, old.{column} AS before"
            ),
            {"id": entitlement_id, "within": timedelta(seconds=lands_within_seconds)},
        )
    ).one()
    return Call(entitlement_id, action, row.began, row.until, row.before)


async def had_no_effect(session: Session, call: Call) -> None:
    """The LMS was not reached, or refused: all is as before the call."""
    column = _COLUMNS[call.action]
    await session.execute(
        text(f"UPDATE entitlement SET {column} = :before WHERE id = :id AND {column} = :until"),
        {"id": call.entitlement_id, "before": call.before, "until": call.until},
    )


async def succeeded(session: Session, call: Call, *, again_at: int | None) -> None:
    """The LMS did it. An opposite call that could land until the call began, or until `again_at` (seconds
    since the epoch, told by who waited for that), is undone by it whatever became of it."""
    column, opposite = _COLUMNS[call.action], _COLUMNS[_OPPOSITE[call.action]]
    await session.execute(
        text(
            f"UPDATE entitlement SET {column} = CASE WHEN {column} = :until THEN :before ELSE {column} END, "
            f"{opposite} = CASE WHEN {opposite} > greatest(CAST(:began AS timestamptz), "
            f"to_timestamp(CAST(:again_at AS double precision))) THEN {opposite} END WHERE id = :id"
        ),
        {
            "id": call.entitlement_id,
            "until": call.until,
            "before": call.before,
            "began": call.began,
            "again_at": again_at,
        },
    )

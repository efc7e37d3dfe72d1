"""What the LMS tells of accounts, taken over in the transaction that stores its event."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from domain import identity
from domain.erasure import ErasureSource
from domain.messages import StoredEvent
from models.database import Session
from models.queries import erasures, inbox, merges


async def take_in(session: Session, event: dict[str, Any]) -> None:
    """Take over a changed account, have the person of one that is gone erased, or two that are one merged.
    Raises InvalidInput.

    Events may come twice, late and in any order: an older change leaves a newer one alone, a deletion and a
    merge count once. Strangers are not made users by it.
    """
    if event["type"] == identity.UPDATED:
        await _update(session, identity.change_of(event.get("data"), datetime.now(UTC)))
    elif event["type"] == identity.DELETED:
        lms_user_id = identity.person_of(event.get("data"))
        if not await inbox.known(session, inbox.LMS, str(event["id"])):
            await _end(session, lms_user_id)
    elif event["type"] == identity.MERGED:
        merge = identity.merge_of(event.get("data"))
        if not await inbox.known(session, inbox.LMS, str(event["id"])):
            await merges.take_in(session, str(event["id"]), merge)


async def _update(session: Session, change: identity.AccountChange) -> None:
    await session.execute(
        text(
            "UPDATE commerce_user SET username = coalesce(:username, username), "
            "email = CASE WHEN CAST(:email AS text) IS NULL THEN email ELSE nullif(:email, '') END, "
            "full_name = coalesce(:full_name, full_name), "
            "roles = coalesce(CAST(:roles AS text[]), roles), lms_updated_at = :at "
            "WHERE lms_user_id = :id AND lms_deleted_at IS NULL AND erased_at IS NULL "
            "AND (lms_updated_at IS NULL OR lms_updated_at < :at)"
        ),
        {
            "id": change.lms_user_id,
            "username": change.username,
            "email": change.email,
            "full_name": change.full_name,
            "roles": None if change.roles is None else list(change.roles),
            "at": change.at,
        },
    )


async def _end(session: Session, lms_user_id: str) -> None:
    ended = await session.execute(
        text(
            "UPDATE commerce_user SET lms_deleted_at = coalesce(lms_deleted_at, now()) "
            "WHERE lms_user_id = :id RETURNING id"
        ),
        {"id": lms_user_id},
    )
    row = ended.one_or_none()
    if row is not None:
        await erasures.request(session, str(row.id), source=ErasureSource.LMS)


async def to_erase(session: Session, event: StoredEvent) -> str | None:
    """The user whom an event has erased, when that is still to be done."""
    if event.type != identity.DELETED:
        return None
    return await erasures.open_of_lms_user(session, identity.person_of(event.payload.get("data")))

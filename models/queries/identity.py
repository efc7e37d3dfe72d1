"""What the LMS tells of accounts, taken over in the transaction that stores its event."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from domain import identity
from domain.erasure import ErasureSource
from domain.messages import StoredEvent
from models.database import Session
from models.queries import account_changes, erasures, inbox, merges


async def take_in(session: Session, event: dict[str, Any]) -> None:
    """Take over a changed account, have the person of one that is gone erased, or two that are one merged.
    Raises InvalidInput.

    Events may come late and in any order: an older change leaves a newer one alone. One that comes again
    changes nothing. Strangers are not made users by it.
    """
    if event["type"] not in (identity.UPDATED, identity.DELETED, identity.MERGED):
        return
    known = bool(await inbox.known(session, inbox.LMS, [str(event["id"])]))
    if event["type"] == identity.UPDATED:
        change = identity.change_of(event.get("data"), datetime.now(UTC))
        if not known:
            await _update(session, change)
    elif event["type"] == identity.DELETED:
        lms_user_id = identity.person_of(event.get("data"))
        if not known:
            await _end(session, lms_user_id)
    else:
        merge = identity.merge_of(event.get("data"))
        if not known:
            await merges.take_in(session, str(event["id"]), merge)


async def _update(session: Session, change: identity.AccountChange) -> None:
    """Bring the cache up to date at once: a role that the LMS took counts from here. What else follows, a
    workflow does; it also asks the LMS, because this event may be a late one."""
    living = await session.execute(
        text(
            "SELECT u.id FROM commerce_user u WHERE u.lms_user_id = :id "
            f"AND {account_changes.LIVING_SQL} FOR NO KEY UPDATE"
        ),
        {"id": change.lms_user_id},
    )
    user_id = living.scalar_one_or_none()
    if user_id is None:
        return
    taken = await session.execute(
        text(
            "UPDATE commerce_user SET username = coalesce(:username, username), "
            "email = CASE WHEN CAST(:email AS text) IS NULL THEN email ELSE nullif(:email, '') END, "
            "full_name = coalesce(:full_name, full_name), "
            "roles = coalesce(CAST(:roles AS text[]), roles), lms_updated_at = :at "
            "WHERE id = :id AND (lms_updated_at IS NULL OR lms_updated_at < :at) "
            f"RETURNING {account_changes.CHANGED_SQL} AS changed"
        ),
        {
            "id": user_id,
            "username": change.username,
            "email": change.email,
            "full_name": change.full_name,
            "roles": None if change.roles is None else list(change.roles),
            "at": change.at,
        },
    )
    row = taken.one_or_none()
    await account_changes.note(session, str(user_id), () if row is None else row.changed)


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


async def to_follow(session: Session, event: StoredEvent) -> str | None:
    """The user of whose account an event told a change, when what follows from it is still to be done."""
    if event.type != identity.UPDATED:
        return None
    return await account_changes.open_of_lms_user(session, identity.person_of(event.payload.get("data")))

"""Accounts that the LMS told had changed: how often, up to which of them all that follows was done."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from models.database import Session

# Whom nothing is kept up to date of: erased, merged into another, or gone at the LMS.
LIVING_SQL = "u.erased_at IS NULL AND u.lms_deleted_at IS NULL AND u.merged_into IS NULL"


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """What was told of a person's account, `open` while something was not followed. `living`: the person is
    not erased, merged or gone; `cache_at` is how new the cache is, `now` the database's clock."""

    user_id: str
    lms_user_id: str
    told: int
    open: bool
    living: bool
    cache_at: datetime | None
    now: datetime


async def note(session: Session, user_id: str, changed: Collection[str]) -> None:
    """The LMS told of a change; `changed` are the members that were taken over with it."""
    await session.execute(
        text(
            "INSERT INTO account_change (user_id, changed) VALUES (:user, :changed) "
            "ON CONFLICT (user_id) DO UPDATE SET told = account_change.told + 1, told_at = now(), "
            "changed = array(SELECT DISTINCT unnest(account_change.changed || excluded.changed) ORDER BY 1)"
        ),
        {"user": user_id, "changed": list(changed)},
    )


async def open_of_lms_user(session: Session, lms_user_id: str) -> str | None:
    """The user of whom something was told that was not followed yet, by the LMS's id."""
    found = await session.execute(
        text(
            "SELECT a.user_id FROM account_change a JOIN commerce_user u ON u.id = a.user_id "
            "WHERE u.lms_user_id = :id AND a.followed < a.told"
        ),
        {"id": lms_user_id},
    )
    row = found.one_or_none()
    return None if row is None else str(row.user_id)


async def get(session: Session, user_id: str) -> ChangeRow | None:
    """What was told of a person's account; None when nothing ever was."""
    found = await session.execute(
        text(
            "SELECT a.user_id, u.lms_user_id, a.told, a.followed < a.told AS open, "
            f"({LIVING_SQL}) AS living, u.lms_updated_at, clock_timestamp() AS now "
            "FROM account_change a JOIN commerce_user u ON u.id = a.user_id WHERE a.user_id = :user"
        ),
        {"user": user_id},
    )
    row = found.one_or_none()
    if row is None:
        return None
    return ChangeRow(
        str(row.user_id), row.lms_user_id, row.told, row.open, row.living, row.lms_updated_at, row.now
    )


@dataclass(frozen=True, slots=True)
class Cache:
    """What the LMS tells of an account, as far as it is kept; an empty text is not known."""

    username: str
    email: str | None
    full_name: str


# Of commerce_user, by PostgreSQL's `old` and `new`; names only.
CHANGED_SQL = (
    "array_remove(ARRAY[CASE WHEN old.username <> new.username THEN 'username' END, "
    "CASE WHEN old.email IS DISTINCT FROM new.email THEN 'email' END, "
    "CASE WHEN old.full_name <> new.full_name THEN 'full_name' END, "
    "CASE WHEN old.roles <> new.roles THEN 'roles' END], NULL)"
)


async def take_over(session: Session, before: ChangeRow, cache: Cache) -> bool:
    """Bring the cache up to what the LMS answered after `before` was read.

    False, with nothing done, when somebody else brought it up to date meanwhile, or the person is erased,
    merged or gone: the answer may be older than what is known now. No clock of ours decides that.
    """
    taken = await session.execute(
        text(
            "UPDATE commerce_user u SET username = coalesce(nullif(:username, ''), username), "
            "email = :email, full_name = coalesce(nullif(:full_name, ''), full_name), "
            "lms_updated_at = greatest(lms_updated_at, :asked_at) "
            f"WHERE id = :user AND {LIVING_SQL} AND lms_updated_at IS NOT DISTINCT FROM "
            f"CAST(:cache_at AS timestamptz) RETURNING {CHANGED_SQL} AS changed"
        ),
        {
            "user": before.user_id,
            "username": cache.username,
            "email": cache.email,
            "full_name": cache.full_name,
            "asked_at": before.now,
            "cache_at": before.cache_at,
        },
    )
    row = taken.one_or_none()
    if row is None:
        return False
    await session.execute(
        text(
            "UPDATE account_change SET changed = "
            "array(SELECT DISTINCT unnest(changed || CAST(:changed AS text[])) ORDER BY 1) "
            "WHERE user_id = :user"
        ),
        {"user": before.user_id, "changed": list(row.changed)},
    )
    return True


@dataclass(frozen=True, slots=True)
class Untold:
    """What receivers of events are to be told now, for the `number`th time."""

    number: int
    changed: list[str]


async def take_untold(session: Session, user_id: str) -> Untold | None:
    """The members that changed since receivers were told last, marked as told; None when there are none, or
    when the person is erased, merged or gone."""
    found = await session.execute(
        text(
            "UPDATE account_change a SET changed = '{}', published = published + 1 FROM commerce_user u "
            f"WHERE a.user_id = :user AND u.id = a.user_id AND {LIVING_SQL} AND a.changed <> '{{}}' "
            "RETURNING new.published, old.changed"
        ),
        {"user": user_id},
    )
    row = found.one_or_none()
    return None if row is None else Untold(row.published, list(row.changed))


async def ask_refused_again(session: Session, user_id: str, codes: Collection[str]) -> list[str]:
    """Have accesses planned anew that the LMS refused under one of these codes and that are still wanted, of
    a person who is not erased, merged or gone; returns their courses."""
    rows = await session.execute(
        text(
            "UPDATE entitlement e SET status = CASE WHEN failed_action = 'revoke' THEN 'revoking' "
            "ELSE 'pending' END, failed_action = NULL, changed_at = now(), version = version + 1 "
            f"FROM commerce_user u WHERE e.user_id = :user AND u.id = e.user_id AND {LIVING_SQL} "
            "AND e.status = 'failed' AND e.failure_code = ANY(:codes) "
            "AND (coalesce(failed_action, 'grant') = 'revoke') <> "
            "EXISTS (SELECT FROM justification j WHERE j.entitlement_id = e.id AND j.active) "
            "RETURNING e.lms_course_id"
        ),
        {"user": user_id, "codes": list(codes)},
    )
    return sorted(str(one) for one in rows.scalars())


async def set_followed(session: Session, user_id: str, told: int) -> None:
    """All was done that follows from the first `told` of what the LMS told."""
    await session.execute(
        text("UPDATE account_change SET followed = greatest(followed, :told) WHERE user_id = :user"),
        {"user": user_id, "told": told},
    )

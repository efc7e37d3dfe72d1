"""Users of the LMS as commerce knows them, and refresh tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.errors import Conflict
from models.database import Session

REFRESH_DAYS = 30


@dataclass(frozen=True, slots=True)
class UserRow:
    """A commerce user; email and name are a cache of the LMS's. `gone`: the account there was deleted;
    `erased_at`: the cache was wiped, and nobody signed in since; `merged`: the LMS made the account one with
    another, and nobody signed in with it since."""

    id: str
    lms_user_id: str
    username: str
    email: str | None
    full_name: str
    lms_roles: tuple[str, ...]
    given_roles: tuple[str, ...]
    gone: bool
    erased_at: datetime | None
    merged: bool

    @property
    def roles(self) -> tuple[str, ...]:
        """What the LMS says and what operators gave, each once."""
        return tuple(dict.fromkeys((*self.lms_roles, *self.given_roles)))


def _user(row: Row[Any]) -> UserRow:
    return UserRow(
        str(row.id),
        row.lms_user_id,
        row.username,
        row.email,
        row.full_name,
        tuple(row.roles),
        tuple(row.given_roles),
        row.lms_deleted_at is not None,
        row.erased_at,
        row.merged_into is not None,
    )


async def remember(
    session: Session, *, lms_user_id: str, username: str, email: str | None, full_name: str, roles: list[str]
) -> UserRow:
    """The commerce user of an LMS user as it is there now, made or brought up to date."""
    row = (
        await session.execute(
            text(
                "INSERT INTO commerce_user (lms_user_id, username, email, full_name, roles, lms_updated_at) "
                "VALUES (:lms_user_id, :username, :email, :full_name, :roles, now()) "
                "ON CONFLICT (lms_user_id) DO UPDATE SET username = excluded.username, "
                "email = excluded.email, full_name = excluded.full_name, roles = excluded.roles, "
                "lms_updated_at = greatest(commerce_user.lms_updated_at, now()), lms_deleted_at = NULL, "
                "erased_at = NULL, merged_into = NULL "
                "RETURNING *"
            ),
            {
                "lms_user_id": lms_user_id,
                "username": username,
                "email": email,
                "full_name": full_name,
                "roles": roles,
            },
        )
    ).one()
    return _user(row)


async def get(session: Session, user_id: str) -> UserRow | None:
    """One user."""
    row = (
        await session.execute(text("SELECT * FROM commerce_user WHERE id = :id"), {"id": user_id})
    ).one_or_none()
    return None if row is None else _user(row)


async def lock(session: Session, user_ids: Sequence[str]) -> None:
    """Nobody else changes these persons, nor places an order for them, until the commit; in this order."""
    for user_id in user_ids:
        await session.execute(text("SELECT FROM commerce_user WHERE id = :id FOR UPDATE"), {"id": user_id})


async def hold_still(session: Session, user_id: str) -> None:
    """Nobody merges or erases this person until the commit; everything else of theirs may go on."""
    await session.execute(text("SELECT FROM commerce_user WHERE id = :id FOR KEY SHARE"), {"id": user_id})


async def by_lms_id(session: Session, lms_user_id: str) -> UserRow | None:
    """The commerce user of an LMS user; None when they were never here."""
    row = (
        await session.execute(
            text("SELECT * FROM commerce_user WHERE lms_user_id = :id"), {"id": lms_user_id}
        )
    ).one_or_none()
    return None if row is None else _user(row)


async def by_email(session: Session, email: str) -> list[UserRow]:
    """Whoever the cache knows under this address, in any case: to be shown, never to tell users apart."""
    rows = await session.execute(
        text("SELECT * FROM commerce_user WHERE lower(email) = lower(:email) ORDER BY id"), {"email": email}
    )
    return [_user(row) for row in rows]


async def with_roles(session: Session) -> list[UserRow]:
    """Everybody who is more than a learner."""
    rows = await session.execute(
        text(
            "SELECT * FROM commerce_user WHERE given_roles <> '{}' OR NOT roles <@ ARRAY['learner']::text[] "
            "ORDER BY id"
        )
    )
    return [_user(row) for row in rows]


async def give_role(session: Session, user_id: str, role: str) -> UserRow | None:
    """Give a role, once; None when nobody has this id."""
    statement = (
        "UPDATE commerce_user SET given_roles = array_append(array_remove(given_roles, :role), :role) "
        "WHERE id = :id RETURNING *"
    )
    row = (await session.execute(text(statement), {"id": user_id, "role": role})).one_or_none()
    return None if row is None else _user(row)


async def take_role(session: Session, user_id: str, role: str) -> UserRow | None:
    """Take a role that was given, if it was; None when nobody has this id. Conflict for one of the LMS."""
    before = await get(session, user_id)
    if before is not None and role in before.lms_roles and role not in before.given_roles:
        raise Conflict("this role is the LMS's, and taken there", code="role_of_lms")
    statement = (
        "UPDATE commerce_user SET given_roles = array_remove(given_roles, :role) WHERE id = :id RETURNING *"
    )
    row = (await session.execute(text(statement), {"id": user_id, "role": role})).one_or_none()
    return None if row is None else _user(row)


async def keep_refresh_token(
    session: Session, *, user_id: str, token_hash: str, family_id: str | None
) -> None:
    """Store a refresh token, in its family or as the first of a new one."""
    await session.execute(
        text(
            "INSERT INTO refresh_token (family_id, user_id, token_hash, expires_at) "
            "VALUES (coalesce(CAST(:family AS uuid), uuidv7()), :user_id, :hash, "
            "now() + make_interval(days => :days))"
        ),
        {"family": family_id, "user_id": user_id, "hash": token_hash, "days": REFRESH_DAYS},
    )


@dataclass(frozen=True, slots=True)
class SpentToken:
    """A refresh token that was just presented. `good`: it may be exchanged."""

    user_id: str
    family_id: str
    good: bool


async def spend_refresh_token(session: Session, token_hash: str) -> SpentToken | None:
    """Spend a token once. One that was spent before ends its whole family: somebody else has it.

    A family's tokens are presented one at a time: what an exchange under way makes is revoked with the rest.
    """
    statement = "SELECT family_id FROM refresh_token WHERE token_hash = :hash"
    family_id = (await session.execute(text(statement), {"hash": token_hash})).scalar_one_or_none()
    if family_id is None:
        return None
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"refresh-tokens/{family_id}"},
    )
    row = (
        await session.execute(
            text(
                "SELECT id, user_id, family_id, spent_at, revoked, expires_at < now() AS expired, "
                # Also of one that was made while the deletion revoked those it saw.
                "EXISTS (SELECT FROM commerce_user u WHERE u.id = user_id AND u.lms_deleted_at IS NOT NULL) "
                "AS gone FROM refresh_token WHERE token_hash = :hash FOR UPDATE"
            ),
            {"hash": token_hash},
        )
    ).one_or_none()
    if row is None:
        return None
    if row.spent_at is not None:
        await revoke_family(session, str(row.family_id))
    good = row.spent_at is None and not row.revoked and not row.expired and not row.gone
    if good:
        await session.execute(
            text("UPDATE refresh_token SET spent_at = now() WHERE id = :id"), {"id": row.id}
        )
    return SpentToken(str(row.user_id), str(row.family_id), good)


async def revoke_family(session: Session, family_id: str) -> None:
    """No token of this family is good any more."""
    await session.execute(
        text("UPDATE refresh_token SET revoked = true WHERE family_id = :id"), {"id": family_id}
    )

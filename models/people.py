"""Who buys: users of the LMS, their refresh tokens, and the end of what is held of them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from models.columns import created, flag, moment, primary_key, reference, text_list, uuid_column, whole


class CommerceUser(SQLModel, table=True):
    """A user of the LMS. `lms_user_id` is the identity; email and name are a cache, never matched on.
    `roles` are those of the LMS, `given_roles` those that operators gave. `lms_updated_at` is how new the
    cache is, `lms_deleted_at` when the LMS told that the account is gone: its sign-ins have ended.
    `erased_at`: the cache was wiped, and only a new sign-in fills it again. `merged_into`: the LMS made one
    of two accounts, and what was theirs is that user's now."""

    __tablename__ = "commerce_user"
    __table_args__ = (
        CheckConstraint("given_roles <@ ARRAY['instructor', 'operator']", name="given_roles"),
        Index("merged_users", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
    )

    id: UUID = primary_key()
    lms_user_id: str = Field(unique=True)
    username: str
    email: str | None
    full_name: str
    roles: list[str] = text_list()
    given_roles: list[str] = text_list()
    created_at: datetime = created()
    lms_updated_at: datetime | None = moment()
    lms_deleted_at: datetime | None = moment()
    erased_at: datetime | None = moment()
    merged_into: UUID | None = reference("commerce_user.id", nullable=True, index=False)


class PersonMerge(SQLModel, table=True):
    """The LMS made one of two accounts: `user_id` is whose ended. `into_user_id` is who has their orders
    since `moved_at`, also when that account was merged into yet another one; `waits_for` says in words why
    they were not moved yet. `done_at` is when a last look, after every access token of the account that
    ended had expired, found nothing more."""

    __tablename__ = "person_merge"
    __table_args__ = (
        CheckConstraint("(moved_at IS NULL) = (into_user_id IS NULL)", name="merge_moved"),
        CheckConstraint("done_at IS NULL OR moved_at IS NOT NULL", name="merge_done"),
        Index("open_merges", "id", postgresql_where=text("done_at IS NULL")),
    )

    id: UUID = primary_key()
    lms_event_id: str = Field(unique=True)
    user_id: UUID = reference("commerce_user.id")
    into_lms_user_id: str
    into_user_id: UUID | None = reference("commerce_user.id", nullable=True)
    waits_for: list[str] = text_list()
    created_at: datetime = created()
    moved_at: datetime | None = moment()
    done_at: datetime | None = moment()


class AccountChange(SQLModel, table=True):
    """The LMS told that a person's account changed: `told` counts how often, `followed` up to which of them
    everything that follows was done. `changed` are names of members of the cache that were taken over and
    that receivers of events were not told of yet, `published` how often they were told."""

    __tablename__ = "account_change"
    __table_args__ = (
        CheckConstraint("followed >= 0 AND followed <= told", name="account_followed"),
        Index("open_account_changes", "told_at", postgresql_where=text("followed < told")),
    )

    user_id: UUID = Field(primary_key=True, foreign_key="commerce_user.id")
    told: int = whole(default=1)
    followed: int = whole(default=0)
    changed: list[str] = text_list()
    published: int = whole(default=0)
    told_at: datetime = created()


class PersonErasure(SQLModel, table=True):
    """A person is to be erased; their sign-ins ended with this row. `waits_for` says in words what is still
    open of theirs. `erased_at` is when all was wiped, `done_at` when a last look, after every access token
    had expired, found nothing more."""

    __tablename__ = "person_erasure"
    __table_args__ = (
        CheckConstraint("source IN ('person', 'operator', 'lms')", name="erasure_source"),
        Index("one_open_erasure", "user_id", unique=True, postgresql_where=text("done_at IS NULL")),
    )

    id: UUID = uuid_column(primary=True)
    user_id: UUID = reference("commerce_user.id")
    source: str
    requested_by: UUID | None = reference("commerce_user.id", nullable=True, index=False)
    waits_for: list[str] = text_list()
    created_at: datetime = created()
    erased_at: datetime | None = moment()
    done_at: datetime | None = moment()


class RefreshToken(SQLModel, table=True):
    """One refresh token, stored as a hash. Reuse of a spent one revokes the whole family."""

    __tablename__ = "refresh_token"

    id: UUID = primary_key()
    family_id: UUID = uuid_column(index=True)
    user_id: UUID = reference("commerce_user.id")
    token_hash: str = Field(unique=True)
    created_at: datetime = created()
    expires_at: datetime = moment(nullable=False)
    spent_at: datetime | None = moment()
    revoked: bool = flag(default=False)


class ApiKey(SQLModel, table=True):
    """A machine's key, stored as a hash; what it may do is fixed when it is made."""

    __tablename__ = "api_key"

    id: UUID = primary_key()
    name: str
    hint: str
    key_hash: str = Field(unique=True)
    scopes: list[str] = text_list()
    created_at: datetime = created()
    expires_at: datetime | None = moment()
    last_used_at: datetime | None = moment()
    revoked_at: datetime | None = moment()

"""Who buys: users of the LMS, and their refresh tokens."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from models.columns import created, flag, moment, primary_key, reference, text_list, uuid_column


class CommerceUser(SQLModel, table=True):
    """A user of the LMS. `lms_user_id` is the identity; email and name are a cache, never matched on.
    `roles` are those of the LMS, `given_roles` those that operators gave. `lms_updated_at` is how new the
    cache is, `lms_deleted_at` when the LMS told that the account is gone: its sign-ins have ended."""

    __tablename__ = "commerce_user"
    __table_args__ = (CheckConstraint("given_roles <@ ARRAY['instructor', 'operator']", name="given_roles"),)

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

"""Column shapes that every table shares."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, ForeignKey, Integer, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlmodel import Field


def primary_key() -> Any:
    """A UUIDv7 that PostgreSQL makes, unless the caller brings one."""
    return Field(
        default=None,
        sa_column=Column(
            PG_UUID(as_uuid=True), primary_key=True, server_default=text("uuidv7()"), nullable=False
        ),
    )


def reference(target: str, *, nullable: bool = False, index: bool = True, unique: bool = False) -> Any:
    """A foreign key; indexed, because each one is also read from the other side."""
    return Field(
        default=None,
        sa_column=Column(
            PG_UUID(as_uuid=True),
            ForeignKey(target),
            nullable=nullable,
            index=index and not unique,
            unique=unique,
        ),
    )


def uuid_column(*, nullable: bool = False, index: bool = False, primary: bool = False) -> Any:
    """A UUID without a foreign key: its target may not exist yet."""
    return Field(
        default=None,
        sa_column=Column(PG_UUID(as_uuid=True), nullable=nullable, index=index, primary_key=primary),
    )


def minor_units(*, nullable: bool = False, default: int | None = None) -> Any:
    """Integer minor units of a currency that stands beside it."""
    server_default = None if default is None else text(str(default))
    return Field(
        default=default, sa_column=Column(BigInteger, nullable=nullable, server_default=server_default)
    )


def created() -> Any:
    """When the row was made, by the database's clock."""
    return Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")),
    )


def moment(*, nullable: bool = True, index: bool = False) -> Any:
    """A point in time, always with a zone."""
    return Field(default=None, sa_column=Column(DateTime(timezone=True), nullable=nullable, index=index))


def json_object(*, nullable: bool = False) -> Any:
    """A JSON document that is read whole."""
    return Field(
        default=None,
        sa_column=Column(JSONB, nullable=nullable, server_default=None if nullable else text("'{}'::jsonb")),
    )


def json_list() -> Any:
    """A JSON array that is read whole."""
    return Field(default=None, sa_column=Column(JSONB, nullable=False, server_default=text("'[]'::jsonb")))


def text_list() -> Any:
    """A list of short names."""
    return Field(default=None, sa_column=Column(ARRAY(TEXT), nullable=False, server_default=text("'{}'")))


def flag(*, default: bool) -> Any:
    """A yes or no."""
    return Field(
        default=default,
        sa_column=Column(Boolean, nullable=False, server_default=text("true" if default else "false")),
    )


def whole(*, default: int | None = None, nullable: bool = False) -> Any:
    """A count."""
    return Field(
        default=default,
        sa_column=Column(
            Integer, nullable=nullable, server_default=None if default is None else text(str(default))
        ),
    )

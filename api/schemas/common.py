"""Shapes that every route shares: bodies that refuse unknown fields, money, short text."""

import re
from datetime import date, datetime
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
)
from pydantic_core import PydanticCustomError

from domain.currencies import currency_of
from domain.errors import CommerceError


def _no_control_characters(value: str) -> str:
    if any(character < " " and character not in "\t\n\r" for character in value) or "\x7f" in value:
        raise ValueError("control characters are not allowed")
    return value


def _known_currency(value: str) -> str:
    try:
        currency_of(value)
    except CommerceError as error:
        raise PydanticCustomError(
            "unknown_currency", "{given} is no currency of ISO 4217 that we know", {"given": value}
        ) from error
    return value


_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)


def _written_out(value: object) -> object:
    """Numbers are no times: what one means (seconds, milliseconds, a year) is anybody's guess."""
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC_3339.fullmatch(value)):
        return value
    raise ValueError("write it as in RFC 3339, like 2026-11-23T09:30:00Z")


def _a_day(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        return value
    if type(value) is date:
        return value
    raise ValueError("write it as in RFC 3339, like 2026-11-23")


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
Day = Annotated[date, BeforeValidator(_a_day)]
Flag = StrictBool
ShortText = Annotated[str, Field(max_length=500), AfterValidator(_no_control_characters)]
LongText = Annotated[str, Field(max_length=10_000), AfterValidator(_no_control_characters)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["USD"]), AfterValidator(_known_currency)]
Payee = Annotated[ShortText, Field(min_length=1, max_length=100, examples=["lms:102"])]
Channel = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,49}$", examples=["web"])]
AffiliateCode = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,49}$", examples=["partner-7"])]
IdText = Annotated[str, Field(max_length=64)]
# True is no 1, and neither is "1".
Whole = StrictInt
Count = Annotated[Whole, Field(ge=0, le=10**9)]
# Above any price, below what a 64-bit integer holds after sums and percentages.
MinorUnits = Annotated[Whole, Field(ge=0, le=10**12)]

# Members that many answers have, with what the document says of them.
T = TypeVar("T")
OwnId = Annotated[str, Field(description="Its id: opaque, and sortable by the time it was made.")]
OrderId = Annotated[str, Field(description="The order's `id`, as its address has it.")]
OrderNumber = Annotated[str, Field(description="The order's number, as people read it: `C-2026-000123`.")]
LineId = Annotated[str, Field(description="The line's `id` in its order.")]
UserId = Annotated[str, Field(description="Our id of the user, as `GET /v1/me` shows it; not the LMS's.")]
OperatorId = Annotated[str, Field(description="Our id of the operator who asked for it.")]
ItemId = Annotated[str, Field(description="The catalogue item's `id`.")]
CourseId = Annotated[str, Field(description="The LMS's id of the course.")]
PayeeRef = Annotated[
    str,
    Field(
        description="Who earns, by the name that split rules and the payout system have for them: `lms:102` "
        "is the LMS's user 102."
    ),
]
CurrencyCode = Annotated[str, Field(description="ISO 4217.")]
CreatedAt = Annotated[datetime, Field(description="When it was made; it never changes.")]
WorkflowId = Annotated[str, Field(description="The id of the Temporal workflow that runs it, for operators.")]
Newest = Annotated[list[T], Field(description="The page, newest first.")]
NextCursor = Annotated[
    str | None, Field(description="The `cursor` that asks for the page after this; null on the last.")
]


class Body(BaseModel):
    """A request's body; unknown fields are an error."""

    model_config = ConfigDict(extra="forbid")


class Output(BaseModel):
    """An answer's body."""

    model_config = ConfigDict(extra="forbid")


class Money(BaseModel):
    """Integer minor units by ISO 4217."""

    model_config = ConfigDict(extra="forbid")

    amount: Annotated[
        MinorUnits,
        Field(
            description="Minor units by the decimals that ISO 4217 gives the currency: 4900 is 49.00 USD, "
            "or 4900 JPY."
        ),
    ]
    currency: Annotated[Currency, Field(description="ISO 4217, three capitals; one that we know.")]

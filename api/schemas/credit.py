"""Adjustments of orders and store credit as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from api.schemas.common import (
    Body,
    CreatedAt,
    CurrencyCode,
    Money,
    Newest,
    NextCursor,
    OperatorId,
    OrderId,
    Output,
    OwnId,
    ShortText,
    UserId,
)
from domain.money import as_read

# Far above any gift, and what somebody has stays within what an amount can be.
_MOST = 10**9


def _sensible(amount: Money) -> None:
    if not 0 < amount.amount <= _MOST:
        least, most = (as_read(one, amount.currency) for one in (1, _MOST))
        raise ValueError(f"an amount to give is from {least} to {most}")


class AdjustmentBody(Body):
    """`goodwill` is a gift that the platform bears alone, as a refund or as store credit; `correction` mends
    a price that was wrong, and takes back the payees' shares of it."""

    amount: Annotated[
        Money,
        Field(
            description="How much, tax included, in the order's currency: not more than is left of what was "
            "paid."
        ),
    ]
    kind: Annotated[
        Literal["goodwill", "correction"],
        Field(
            description="`goodwill`: the platform bears it alone; `correction`: payees give back their "
            "shares of it."
        ),
    ]
    reason: Annotated[
        ShortText,
        Field(min_length=1, description="Why, in words; kept with it, on the timeline and in the audit log."),
    ]
    given_as: Annotated[
        Literal["refund", "store_credit"],
        Field(
            alias="as",
            description="`refund`: as it was paid; `store_credit`: there at once, and for `goodwill` only.",
        ),
    ] = "refund"

    @model_validator(mode="after")
    def _makes_sense(self) -> "AdjustmentBody":
        _sensible(self.amount)
        if self.kind == "correction" and self.given_as == "store_credit":
            raise ValueError("a correction goes back as it was paid; only goodwill can be store credit")
        return self


class AdjustmentView(Output):
    """An adjustment: a refund of its kind, followed under the order's refunds, or store credit, which is
    there at once."""

    id: OwnId
    order_id: OrderId
    kind: Annotated[
        Literal["goodwill", "correction"],
        Field(
            description="`goodwill`: the platform bears it alone; `correction`: payees give back their "
            "shares of it."
        ),
    ]
    given_as: Annotated[
        Literal["refund", "store_credit"],
        Field(alias="as", description="`refund`: as it was paid; `store_credit`: as credit."),
    ]
    status: Annotated[
        Literal["pending", "succeeded", "failed", "canceled"],
        Field(
            description="That of its refund, `canceled` when that was given up; store credit has always "
            "`succeeded`."
        ),
    ]
    amount: Annotated[Money, Field(description="How much, tax included.")]
    reason: Annotated[str, Field(description="Why, in words.")]
    refund_id: Annotated[
        str | None, Field(description="The refund that it is, under the same id; null for store credit.")
    ]
    created_at: CreatedAt


class AdjustmentAnswer(Output):
    """The adjustment that was begun."""

    adjustment: Annotated[AdjustmentView, Field(description="The adjustment as it stands now.")]


class CreditBalanceView(Output):
    """Credit in one currency. `reserved` pays for orders whose payment is open; `available` is free."""

    currency: CurrencyCode
    balance: Annotated[Money, Field(description="All that there is, reserved or not.")]
    reserved: Annotated[Money, Field(description="What pays for orders whose payment is open.")]
    available: Annotated[Money, Field(description="`balance - reserved`: what a new order may use.")]


class StoreCreditView(Output):
    """What a user has, by currency."""

    user_id: UserId
    balances: Annotated[
        list[CreditBalanceView], Field(description="By currency; none for who never had any.")
    ]


class CreditChange(Output):
    """A change of the credit; `amount` is in minor units, positive when it grew."""

    id: Annotated[str, Field(description="The id of the journal entry behind it.")]
    at: Annotated[datetime, Field(description="When it was posted.")]
    kind: Annotated[
        str,
        Field(
            description="The kind of that entry, such as `goodwill_credit`, `payment_captured` or "
            "`refund_settled`."
        ),
    ]
    amount: Annotated[int, Field(description="Minor units; positive when the credit grew.")]
    currency: CurrencyCode
    order_id: Annotated[
        str | None, Field(description="The order that it is about; null for a gift without one.")
    ]


class CreditChanges(Output):
    """A page of changes."""

    data: Newest[CreditChange]
    next_cursor: NextCursor


class CreditGrantBody(Body):
    """A gift without an order."""

    user_id: Annotated[str, Field(max_length=64, description="Who gets it, by our id.")]
    amount: Annotated[Money, Field(description="How much; more than nothing.")]
    reason: Annotated[
        ShortText, Field(min_length=1, description="Why, in words; kept with it and in the audit log.")
    ]

    @model_validator(mode="after")
    def _makes_sense(self) -> "CreditGrantBody":
        _sensible(self.amount)
        return self


class CreditGrantView(Output):
    """Store credit that was given."""

    id: OwnId
    user_id: UserId
    order_id: Annotated[str | None, Field(description="Null: it is for no order.")]
    amount: Annotated[Money, Field(description="How much was given.")]
    reason: Annotated[str, Field(description="Why, in words.")]
    requested_by: OperatorId
    created_at: CreatedAt

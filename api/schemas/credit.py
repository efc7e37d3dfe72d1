"""Adjustments of orders and store credit as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from api.schemas.common import Body, Money, Newest, NextCursor, Output, ShortText

# Far above any gift, and what somebody has stays within what an amount can be.
_MOST = 10**9


def _sensible(amount: Money) -> None:
    if not 0 < amount.amount <= _MOST:
        raise ValueError(f"an amount to give is from 1 to {_MOST} minor units")


class AdjustmentBody(Body):
    """`goodwill` is a gift that the platform bears alone, as a refund or as store credit; `correction` mends
    a price that was wrong, and takes back the payees' shares of it."""

    amount: Money
    kind: Literal["goodwill", "correction"]
    reason: Annotated[ShortText, Field(min_length=1)]
    given_as: Annotated[Literal["refund", "store_credit"], Field(alias="as")] = "refund"

    @model_validator(mode="after")
    def _makes_sense(self) -> "AdjustmentBody":
        _sensible(self.amount)
        if self.kind == "correction" and self.given_as == "store_credit":
            raise ValueError("a correction goes back as it was paid; only goodwill can be store credit")
        return self


class AdjustmentView(Output):
    """An adjustment: a refund of its kind, followed under the order's refunds, or store credit, which is
    there at once."""

    id: str
    order_id: str
    kind: Literal["goodwill", "correction"]
    given_as: Annotated[Literal["refund", "store_credit"], Field(alias="as")]
    status: Literal["pending", "succeeded", "failed", "canceled"]
    amount: Money
    reason: str
    refund_id: str | None
    created_at: datetime


class AdjustmentAnswer(Output):
    """The adjustment that was begun."""

    adjustment: AdjustmentView


class CreditBalanceView(Output):
    """Credit in one currency. `reserved` pays for orders whose payment is open; `available` is free."""

    currency: str
    balance: Money
    reserved: Money
    available: Money


class StoreCreditView(Output):
    """What a user has, by currency."""

    user_id: str
    balances: list[CreditBalanceView]


class CreditChange(Output):
    """A change of the credit; `amount` is in minor units, positive when it grew."""

    id: str
    at: datetime
    kind: str
    amount: int
    currency: str
    order_id: str | None


class CreditChanges(Output):
    """A page of changes."""

    data: Newest[CreditChange]
    next_cursor: NextCursor


class CreditGrantBody(Body):
    """A gift without an order."""

    user_id: Annotated[str, Field(max_length=64)]
    amount: Money
    reason: Annotated[ShortText, Field(min_length=1)]

    @model_validator(mode="after")
    def _makes_sense(self) -> "CreditGrantBody":
        _sensible(self.amount)
        return self


class CreditGrantView(Output):
    """Store credit that was given."""

    id: str
    user_id: str
    order_id: str | None
    amount: Money
    reason: str
    requested_by: str
    created_at: datetime

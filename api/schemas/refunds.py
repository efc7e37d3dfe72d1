"""Refunds as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from api.schemas.common import (
    Body,
    CreatedAt,
    Flag,
    Money,
    Newest,
    NextCursor,
    OrderId,
    Output,
    OwnId,
    ShortText,
    Whole,
)

RefundStatusName = Literal["pending", "succeeded", "failed"]


class RefundSummary(Output):
    """One refund; `store_credit` of its amount goes back as store credit, the rest to the card.

    A failed one is still owed, and may be issued again, unless it was canceled.
    """

    id: OwnId
    order_id: OrderId
    kind: Annotated[
        Literal["order", "correction", "goodwill", "unapplied"],
        Field(
            description="`order`: lines are returned; `correction`: a price was wrong; `goodwill`: a gift of "
            "the platform; `unapplied`: money that paid for no order."
        ),
    ]
    status: Annotated[
        RefundStatusName,
        Field(
            description="`pending`: promised, and asked of the processor; `succeeded`: the money went back; "
            "`failed`: it could not be sent."
        ),
    ]
    canceled: Annotated[
        bool, Field(description="Whether it failed and was given up: nothing is owed any more.")
    ]
    attempts: Annotated[int, Field(description="How often it was issued.")]
    amount: Annotated[Money, Field(description="The whole of it.")]
    store_credit: Annotated[Money, Field(description="What of the amount goes back as store credit.")]
    reason: Annotated[str, Field(description="Why, in words.")]
    keep_access: Annotated[bool, Field(description="Whether the learner keeps the course.")]
    failure_reason: Annotated[
        str | None, Field(description="Why the processor could not send it; null unless it has failed.")
    ]
    created_at: CreatedAt
    settled_at: Annotated[datetime | None, Field(description="When it succeeded first; null before that.")]


class RefundLineBody(Body):
    """One line to refund, whole or by amount: money, or just minor units of the order's currency."""

    line_id: Annotated[Annotated[str, Field(max_length=64)], Field(description="The line of the order.")]
    amount: Annotated[
        Annotated[Whole, Field(gt=0, le=10**12)] | Money | None,
        Field(description="How much of it, tax included; all that remains when left out."),
    ] = None


class RefundBody(Body):
    """Lines, or an amount over the whole order, or neither: all that remains."""

    lines: Annotated[
        Annotated[list[RefundLineBody], Field(min_length=1, max_length=100)] | None,
        Field(description="Which lines; not together with `amount`."),
    ] = None
    amount: Annotated[
        Money | None,
        Field(description="How much over the whole order; without it and `lines` all that remains."),
    ] = None
    reason: Annotated[
        Annotated[ShortText, Field(min_length=1)], Field(description="Why, in words; kept with the refund.")
    ]
    keep_access: Annotated[
        Flag, Field(description="Whether the learner keeps the course though it is paid back.")
    ] = False

    @model_validator(mode="after")
    def _one_way(self) -> "RefundBody":
        if self.lines is not None and self.amount is not None:
            raise ValueError("give lines or an amount, not both")
        named = [line.line_id for line in self.lines or []]
        if len(set(named)) != len(named):
            raise ValueError("name each line once")
        return self


class RefundList(Output):
    """A page of refunds."""

    data: Newest[RefundSummary]
    next_cursor: NextCursor


class RefundAnswer(Output):
    """The refund that was begun."""

    refund: Annotated[RefundSummary, Field(description="The refund as it stands now.")]

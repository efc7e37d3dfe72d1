"""Orders, payments and entitlements as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.common import (
    Body,
    CourseId,
    CreatedAt,
    Money,
    Newest,
    NextCursor,
    OrderId,
    Output,
    OwnId,
    UserId,
)
from api.schemas.refunds import RefundSummary
from api.schemas.resolutions import ResolutionSummary


class CancelBody(Body):
    """Nothing is needed to cancel."""


class OrderLine(Output):
    """One course of an order; a bundle stands here as its parts."""

    id: Annotated[str, Field(description="The line's id: refunds and resolutions name it.")]
    item_id: Annotated[str, Field(description="The item that was bought.")]
    bundle_id: Annotated[
        str | None, Field(description="The bundle that it was bought in; null when by itself.")
    ]
    title: Annotated[str, Field(description="As it was when it was bought.")]
    lms_course_id: Annotated[str, Field(description="The LMS's id of the course.")]
    quantity: Annotated[int, Field(description="1: a course is bought once.")]
    unit_price: Annotated[Money, Field(description="The list price.")]
    discount: Annotated[Money, Field(description="What promotions took off, without tax.")]
    tax: Annotated[Money, Field(description="The tax on it.")]
    total: Annotated[Money, Field(description="What it cost, tax included.")]


class PaymentSummary(Output):
    """One payment intent."""

    id: OwnId
    order_id: OrderId
    payment_intent_id: Annotated[str | None, Field(description="The processor's id; null until it has one.")]
    status: Annotated[
        str,
        Field(
            description="The processor's, such as `requires_payment_method`, `processing`, `succeeded` or "
            "`canceled`; `creating` before it has an intent, `failed` when the bank returned what had "
            "succeeded."
        ),
    ]
    amount: Annotated[Money, Field(description="What it is to take.")]
    failure_code: Annotated[
        str | None, Field(description="The processor's code of the last failure; null when none stands.")
    ]
    failure_message: Annotated[str | None, Field(description="The same in words, or null.")]
    created_at: CreatedAt
    succeeded_at: Annotated[
        datetime | None, Field(description="When the money was there; null as long as it was not.")
    ]


class EntitlementView(Output):
    """Access to one course; the deep link is there once access is."""

    id: OwnId
    user_id: UserId
    lms_course_id: CourseId
    status: Annotated[
        Literal["pending", "granting", "granted", "failed", "revoking", "revoked"],
        Field(
            description="`pending`: not begun; `granting`, `revoking`: asked of the LMS; `granted`: access "
            "is there; `revoked`: it has ended; `failed`: the LMS refused for good."
        ),
    ]
    deep_link: Annotated[
        str | None, Field(description="Where a browser finds the course; null unless access is there.")
    ]
    reason: Annotated[
        str | None,
        Field(description="For the learner: why access is not there (yet), in words; null when it is."),
    ]
    attempts: Annotated[int, Field(description="How often the LMS was asked in vain for the present wish.")]
    next_try_at: Annotated[
        datetime | None, Field(description="When the LMS is asked again; null when no try is to come.")
    ]
    failure_detail: Annotated[
        str | None,
        Field(
            description="What the LMS said when it refused for good; null when it did not, or said nothing."
        ),
    ]
    version: Annotated[
        int, Field(description="Grows with each change of `status`, as in the events about it.")
    ]
    created_at: CreatedAt
    changed_at: Annotated[datetime, Field(description="When `status` changed last.")]


class OrderView(Output):
    """An order; `status` is derived from its axes.

    `total = store_credit + amount_due`: the first is paid with credit, the second by card. `dispute`: how
    disputes of it stand; a lost one leaves the status as it was, and takes money and access.
    """

    id: OwnId
    number: Annotated[str, Field(description="As people read it, also on documents.")]
    user_id: Annotated[str, Field(description="Whose order it is.")]
    status: Annotated[
        str,
        Field(
            description="`pending_payment`, `paid`, `fulfilling`, `fulfilled`, `fulfillment_failed`, "
            "`partially_refunded`, `refunded`, `disputed`, `canceled` or `expired`."
        ),
    ]
    dispute: Annotated[
        Literal["none", "open", "won", "lost"],
        Field(
            description="`open`: a bank has asked the money back; `won`, `lost`: how the last one ended; "
            "`none`: no bank has."
        ),
    ]
    created_at: CreatedAt
    expires_at: Annotated[datetime, Field(description="Until when it may be paid.")]
    lines: Annotated[
        list[OrderLine], Field(description="What was bought, in the cart's order; a bundle is its parts.")
    ]
    subtotal: Annotated[Money, Field(description="The list prices, without tax.")]
    discount: Annotated[Money, Field(description="What promotions took off.")]
    tax: Annotated[Money, Field(description="All taxes.")]
    total: Annotated[Money, Field(description="`store_credit + amount_due`.")]
    store_credit: Annotated[Money, Field(description="What of the total store credit pays.")]
    amount_due: Annotated[Money, Field(description="What is left for the card.")]
    amount_paid: Annotated[
        Money,
        Field(
            description="What was paid, by card and store credit; refunds do not lower it, but it is 0 "
            "again when the bank returned the payment."
        ),
    ]
    amount_refunded: Annotated[Money, Field(description="What went back.")]
    promo_code: Annotated[
        str | None, Field(description="The first of `promo_codes`; null when there was none.")
    ]
    promo_codes: Annotated[list[str], Field(description="All codes that were on the cart.")]
    channel: Annotated[
        str | None, Field(description="Where the sale was made, as checkout named it; null when it did not.")
    ]
    affiliate: Annotated[
        str | None, Field(description="The code of who brought the sale; null when nobody did.")
    ]
    payments: Annotated[list[PaymentSummary], Field(description="All payment intents, oldest first.")]
    refunds: Annotated[list[RefundSummary], Field(description="All refunds, oldest first.")]
    entitlements: Annotated[
        list[EntitlementView],
        Field(description="Access to the courses of its lines, which other orders may give, too."),
    ]
    resolutions: Annotated[
        list[ResolutionSummary], Field(description="Questions to the buyer about its lines, oldest first.")
    ]
    workflow_id: Annotated[str, Field(description="What runs it, for operators.")]


class TimelineEvent(Output):
    """What happened, when, why."""

    at: Annotated[datetime, Field(description="When it was noted, with what happened.")]
    kind: Annotated[
        str,
        Field(
            description="What happened, such as `order_placed` or `order_paid`; there may be new ones at any "
            "time."
        ),
    ]
    detail: Annotated[str, Field(description="What happened and why, for people.")]


class Timeline(Output):
    """An order's story, oldest first."""

    data: Annotated[list[TimelineEvent], Field(description="All of it, oldest first.")]


class Dashboard(Output):
    """All that a learner sees, in one answer."""

    orders: Annotated[list["DashboardOrder"], Field(description="The 50 newest, each with its receipt.")]
    payments: Annotated[list[PaymentSummary], Field(description="The 50 newest.")]
    entitlements: Annotated[list[EntitlementView], Field(description="The 50 newest.")]


class DashboardOrder(OrderView):
    """An order with its receipt."""

    receipt_url: Annotated[
        str | None,
        Field(
            description="Where its receipt or invoice is, as a PDF; the caller's token is needed. Null "
            "unless it is paid and cost something."
        ),
    ]


class OrderList(Output):
    """A page of orders."""

    data: Newest[OrderView]
    next_cursor: NextCursor


class PaymentList(Output):
    """A page of payments."""

    data: Newest[PaymentSummary]
    next_cursor: NextCursor


class EntitlementList(Output):
    """A page of entitlements."""

    data: Newest[EntitlementView]
    next_cursor: NextCursor


def money(amount: int, currency: str) -> Money:
    """Minor units with their currency."""
    return Money(amount=amount, currency=currency)

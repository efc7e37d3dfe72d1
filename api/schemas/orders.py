"""Orders, payments, refunds and entitlements as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from api.schemas.common import (
    AffiliateCode,
    Body,
    Channel,
    Flag,
    Money,
    Newest,
    NextCursor,
    Output,
    ShortText,
)
from api.schemas.resolutions import ResolutionSummary
from integrations.documents.locales import is_locale


def _known_locale(value: str) -> str:
    if not is_locale(value):
        raise ValueError(f"{value!r} names no language that we know, such as `de` or `de-AT`")
    return value


Locale = Annotated[
    str, Field(pattern=r"^[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,3}$"), AfterValidator(_known_locale)
]
# It has to find its place on a document.
AddressLine = Annotated[ShortText, Field(max_length=200)]
CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["US"])]


class BillingAddress(Body):
    """Where the buyer is: decides the tax. A business may add its name and its tax id (VAT number)."""

    country: Annotated[CountryCode, Field(description="ISO 3166-1, two letters: it decides the tax.")]
    postal_code: Annotated[
        Annotated[ShortText, Field(max_length=20)] | None,
        Field(description="Where taxes differ within the country, as in the US."),
    ] = None
    state: Annotated[
        Annotated[str, Field(pattern=r"^[A-Z0-9-]{1,6}$", examples=["NY"])] | None,
        Field(description="The second part of its ISO 3166-2 code, such as `NY`."),
    ] = None
    city: Annotated[AddressLine | None, Field(description="For the documents.")] = None
    line1: Annotated[AddressLine | None, Field(description="For the documents.")] = None
    line2: Annotated[AddressLine | None, Field(description="For the documents.")] = None
    name: Annotated[AddressLine | None, Field(description="Of a person or business, for the documents.")] = (
        None
    )
    tax_id: Annotated[
        Annotated[ShortText, Field(max_length=30)] | None, Field(description="The VAT number of a business.")
    ] = None


class CheckoutBody(Body):
    """What checkout needs; `expected_total` guards against a price that changed meanwhile.

    With `use_store_credit` the caller's credit pays as far as it goes, and `expected_due` guards what is
    left for the card: another checkout may have taken the credit.
    `locale` (`de`, `de-AT`) is the language of invoice, receipt and credit notes; without it the request's
    Accept-Language, then the country decides.
    """

    billing_address: Annotated[BillingAddress, Field(description="Where the buyer is: decides the tax.")]
    use_store_credit: Annotated[
        Flag, Field(description="Whether the caller's store credit pays as far as it goes.")
    ] = False
    expected_total: Annotated[
        Money | None,
        Field(description="The total that the buyer has seen; with another one nothing is bought."),
    ] = None
    expected_due: Annotated[
        Money | None,
        Field(
            description="What the buyer has seen to be left for the card; with another sum nothing is bought."
        ),
    ] = None
    return_url: Annotated[
        Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s\x00]+$")] | None,
        Field(description="Kept with the order; the front end itself gives it to the processor's library."),
    ] = None
    locale: Annotated[
        Locale | None,
        Field(
            description="The language of invoice, receipt and credit notes, such as `de` or `de-AT`; else "
            "the request's Accept-Language, then the country decides."
        ),
    ] = None
    channel: (
        Annotated[Channel, Field(description="Where the sale is made; split rules may differ by it.")] | None
    ) = None
    affiliate: Annotated[AffiliateCode, Field(description="The code of who brought the sale.")] | None = None


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

    id: str
    order_id: str
    payment_intent_id: Annotated[str | None, Field(description="The processor's id; null until it has one.")]
    status: str
    amount: Annotated[Money, Field(description="What it is to take.")]
    failure_code: Annotated[str | None, Field(description="The processor's code of the last failure.")]
    failure_message: Annotated[str | None, Field(description="The same in words.")]
    created_at: datetime
    succeeded_at: Annotated[datetime | None, Field(description="When the money was there.")]


RefundStatusName = Literal["pending", "succeeded", "failed"]


class RefundSummary(Output):
    """One refund; `store_credit` of its amount goes back as store credit, the rest to the card.

    A failed one is still owed, and may be issued again, unless it was canceled.
    """

    id: str
    order_id: str
    kind: Literal["order", "correction", "goodwill", "unapplied"]
    status: RefundStatusName
    canceled: Annotated[
        bool, Field(description="Whether it failed and was given up: nothing is owed any more.")
    ]
    attempts: Annotated[int, Field(description="How often it was issued.")]
    amount: Annotated[Money, Field(description="The whole of it.")]
    store_credit: Annotated[Money, Field(description="What of the amount goes back as store credit.")]
    reason: Annotated[str, Field(description="Why, in words.")]
    keep_access: Annotated[bool, Field(description="Whether the learner keeps the course.")]
    failure_reason: Annotated[str | None, Field(description="Why the processor could not send it.")]
    created_at: datetime
    settled_at: Annotated[datetime | None, Field(description="When it succeeded first; null before that.")]


class EntitlementView(Output):
    """Access to one course; the deep link is there once access is."""

    id: str
    user_id: str
    lms_course_id: str
    status: Literal["pending", "granting", "granted", "failed", "revoking", "revoked"]
    deep_link: str | None
    reason: Annotated[
        str | None, Field(description="For the learner: why access is not there (yet), in words.")
    ]
    attempts: Annotated[int, Field(description="How often the LMS was asked in vain for the present wish.")]
    next_try_at: Annotated[datetime | None, Field(description="When the LMS is asked again.")]
    failure_detail: str | None
    version: int
    created_at: datetime
    changed_at: datetime


class OrderView(Output):
    """An order; `status` is derived from its axes.

    `total = store_credit + amount_due`: the first is paid with credit, the second by card. `dispute`: how
    disputes of it stand; a lost one leaves the status as it was, and takes money and access.
    """

    id: str
    number: Annotated[str, Field(description="As people read it, also on documents.")]
    user_id: Annotated[str, Field(description="Whose order it is.")]
    status: str
    dispute: Literal["none", "open", "won", "lost"]
    created_at: datetime
    expires_at: Annotated[datetime, Field(description="Until when it may be paid.")]
    lines: list[OrderLine]
    subtotal: Annotated[Money, Field(description="The list prices, without tax.")]
    discount: Annotated[Money, Field(description="What promotions took off.")]
    tax: Annotated[Money, Field(description="All taxes.")]
    total: Annotated[Money, Field(description="`store_credit + amount_due`.")]
    store_credit: Annotated[Money, Field(description="What of the total store credit pays.")]
    amount_due: Annotated[Money, Field(description="What is left for the card.")]
    amount_paid: Money
    amount_refunded: Annotated[Money, Field(description="What went back.")]
    promo_code: Annotated[str | None, Field(description="The first of `promo_codes`.")]
    promo_codes: Annotated[list[str], Field(description="All codes that were on the cart.")]
    channel: Annotated[str | None, Field(description="Where the sale was made, as checkout named it.")]
    affiliate: Annotated[str | None, Field(description="The code of who brought the sale.")]
    payments: list[PaymentSummary]
    refunds: list[RefundSummary]
    entitlements: list[EntitlementView]
    resolutions: list[ResolutionSummary]
    workflow_id: Annotated[str, Field(description="What runs it, for operators.")]


class PaymentToMake(Output):
    """What the front end hands to the processor's library."""

    provider: Literal["stripe"]
    payment_intent_id: Annotated[str, Field(description="The processor's id.")]
    client_secret: Annotated[
        str, Field(description="What the processor's library confirms the payment with.")
    ]
    publishable_key: Annotated[str, Field(description="The key that the processor's library starts with.")]


class CheckoutAnswer(Output):
    """The order, and the payment to make; null when nothing is due."""

    order: OrderView
    payment: Annotated[
        PaymentToMake | None, Field(description="What is left to pay by card; null when nothing is.")
    ]


class TimelineEvent(Output):
    """What happened, when, why."""

    at: datetime
    kind: str
    detail: str


class Timeline(Output):
    """An order's story, oldest first."""

    data: list[TimelineEvent]


DocumentKind = Literal["invoice", "receipt", "credit_note"]


class DocumentView(Output):
    """An issued invoice, receipt or credit note.

    `corrects` is the number of the document that it corrects: a credit note always names one; an invoice or
    receipt that names one takes a credit note back, because its refund was canceled. `dispute_id` is the lost
    dispute behind a credit note; one of neither refund nor dispute is of a payment that the bank returned.
    """

    id: str
    kind: DocumentKind
    number: str
    issued_at: datetime
    order_id: str
    refund_id: str | None
    dispute_id: str | None
    corrects: str | None
    net: Money
    tax: Money
    total: Money
    locale: str
    sha256: str
    pdf_url: str


class DocumentList(Output):
    """The documents of an order, oldest first."""

    data: list[DocumentView]


class RefundLineBody(Body):
    """One line to refund, whole or by amount: money, or just minor units of the order's currency."""

    line_id: Annotated[Annotated[str, Field(max_length=64)], Field(description="The line of the order.")]
    amount: Annotated[
        Annotated[int, Field(gt=0, le=10**12)] | Money | None,
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

    refund: RefundSummary


class Dashboard(Output):
    """All that a learner sees, in one answer."""

    orders: list["DashboardOrder"]
    payments: list[PaymentSummary]
    entitlements: list[EntitlementView]


class DashboardOrder(OrderView):
    """An order with its receipt."""

    receipt_url: str | None


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

"""Orders, payments, refunds and entitlements as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from api.schemas.common import AffiliateCode, Body, Channel, Flag, Money, Output, ShortText
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

    country: CountryCode
    postal_code: Annotated[ShortText, Field(max_length=20)] | None = None
    state: Annotated[str, Field(pattern=r"^[A-Z0-9-]{1,6}$", examples=["NY"])] | None = None
    city: AddressLine | None = None
    line1: AddressLine | None = None
    line2: AddressLine | None = None
    name: AddressLine | None = None
    tax_id: Annotated[ShortText, Field(max_length=30)] | None = None


class CheckoutBody(Body):
    """What checkout needs; `expected_total` guards against a price that changed meanwhile.

    With `use_store_credit` the caller's credit pays as far as it goes, and `expected_due` guards what is
    left for the card: another checkout may have taken the credit.
    `locale` (`de`, `de-AT`) is the language of invoice, receipt and credit notes; without it the request's
    Accept-Language, then the country decides.
    """

    billing_address: BillingAddress
    use_store_credit: Flag = False
    expected_total: Money | None = None
    expected_due: Money | None = None
    return_url: Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s\x00]+$")] | None = None
    locale: Locale | None = None
    channel: (
        Annotated[Channel, Field(description="Where the sale is made; split rules may differ by it.")] | None
    ) = None
    affiliate: Annotated[AffiliateCode, Field(description="The code of who brought the sale.")] | None = None


class CancelBody(Body):
    """Nothing is needed to cancel."""


class OrderLine(Output):
    """One course of an order; a bundle stands here as its parts."""

    id: str
    item_id: str
    bundle_id: str | None
    title: str
    lms_course_id: str
    quantity: int = 1
    unit_price: Money
    discount: Money
    tax: Money
    total: Money


class PaymentSummary(Output):
    """One payment intent."""

    id: str
    order_id: str
    payment_intent_id: str | None
    status: str
    amount: Money
    failure_code: str | None
    failure_message: str | None
    created_at: datetime
    succeeded_at: datetime | None


RefundStatusName = Literal["pending", "succeeded", "failed"]


class RefundSummary(Output):
    """One refund; `store_credit` of its amount goes back as store credit, the rest to the card.

    A failed one is still owed, and may be issued again, unless it was canceled.
    """

    id: str
    order_id: str
    kind: Literal["order", "correction", "goodwill", "unapplied"]
    status: RefundStatusName
    canceled: bool
    attempts: int
    amount: Money
    store_credit: Money
    reason: str
    keep_access: bool
    failure_reason: str | None
    created_at: datetime
    settled_at: datetime | None


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
    number: str
    user_id: str
    status: str
    dispute: Literal["none", "open", "won", "lost"]
    created_at: datetime
    expires_at: datetime
    lines: list[OrderLine]
    subtotal: Money
    discount: Money
    tax: Money
    total: Money
    store_credit: Money
    amount_due: Money
    amount_paid: Money
    amount_refunded: Money
    promo_code: str | None
    promo_codes: list[str]
    channel: str | None
    affiliate: str | None
    payments: list[PaymentSummary]
    refunds: list[RefundSummary]
    entitlements: list[EntitlementView]
    resolutions: list[ResolutionSummary]
    workflow_id: str


class PaymentToMake(Output):
    """What the front end hands to the processor's library."""

    provider: Literal["stripe"]
    payment_intent_id: str
    client_secret: str
    publishable_key: str


class CheckoutAnswer(Output):
    """The order, and the payment to make; null when nothing is due."""

    order: OrderView
    payment: PaymentToMake | None


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

    line_id: Annotated[str, Field(max_length=64)]
    amount: Annotated[int, Field(gt=0, le=10**12)] | Money | None = None


class RefundBody(Body):
    """Lines, or an amount over the whole order, or neither: all that remains."""

    lines: Annotated[list[RefundLineBody], Field(min_length=1, max_length=100)] | None = None
    amount: Money | None = None
    reason: Annotated[ShortText, Field(min_length=1)]
    keep_access: Flag = False

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

    data: list[RefundSummary]
    next_cursor: str | None


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

    data: list[OrderView]
    next_cursor: str | None


class PaymentList(Output):
    """A page of payments."""

    data: list[PaymentSummary]
    next_cursor: str | None


class EntitlementList(Output):
    """A page of entitlements."""

    data: list[EntitlementView]
    next_cursor: str | None


def money(amount: int, currency: str) -> Money:
    """Minor units with their currency."""
    return Money(amount=amount, currency=currency)

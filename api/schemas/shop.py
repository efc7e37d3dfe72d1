"""Catalogue, promotions, cart, quote."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from api.schemas.common import (
    Body,
    Currency,
    Flag,
    LongText,
    MinorUnits,
    Moment,
    Money,
    Newest,
    NextCursor,
    Output,
    Payee,
    ShortText,
)
from api.schemas.orders import BillingAddress

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,99}$", examples=["python-101"])]
ItemTypeName = Literal["course", "registration", "bundle"]
RecognitionName = Literal["on_completion", "on_grant", "on_payment"]
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,50}$", examples=["WELCOME10"])]
Count = Annotated[int, Field(ge=0, le=10**9)]
IdText = Annotated[str, Field(max_length=64)]


class ItemView(Output):
    """An item as anybody sees it; operators also get payees, recognition and presentation."""

    id: str
    slug: str
    type: ItemTypeName
    title: str
    description: str
    lms_course_id: str | None
    prices: list[Money]
    available: bool
    available_from: datetime | None
    available_until: datetime | None
    starts_at: datetime | None
    run_of: str | None
    cancelled_at: datetime | None
    capacity: int | None
    seats_left: int | None
    tax_code: str
    tax_behavior: Literal["exclusive", "inclusive"]
    refund_window_days: int | None
    members: list[str]
    payees: list[str] | None = None
    recognition: RecognitionName | None = None
    presentation: Literal["principal", "agent"] | None = None


class ItemList(Output):
    """A page of items."""

    data: Newest[ItemView]
    next_cursor: NextCursor


class _ItemFields(Body):
    title: Annotated[ShortText, Field(min_length=1, max_length=300)] | None = None
    description: LongText | None = None
    available: Flag | None = None
    available_from: Moment | None = None
    available_until: Moment | None = None
    starts_at: Moment | None = None
    run_of: (
        Annotated[
            Slug, Field(description="Items that share it are runs of one course; else the course does.")
        ]
        | None
    ) = None
    capacity: Count | None = None
    refund_window_days: Annotated[int, Field(ge=0, le=3650)] | None = None
    recognition: RecognitionName | None = None
    presentation: Literal["principal", "agent"] | None = None
    payees: (
        Annotated[list[Payee], Field(max_length=20, description="Who teaches it: rules by payee.")] | None
    ) = None
    tax_behavior: Literal["exclusive", "inclusive"] | None = None
    prices: Annotated[list[Money], Field(min_length=1, max_length=50)] | None = None

    @model_validator(mode="after")
    def _each_once(self) -> "_ItemFields":
        currencies = [price.currency for price in self.prices or []]
        if len(set(currencies)) != len(currencies):
            raise ValueError("give one price a currency")
        if len(set(self.payees or [])) != len(self.payees or []):
            raise ValueError("name each payee once")
        return self


class ItemBody(_ItemFields):
    """A new item."""

    slug: Slug
    type: ItemTypeName
    title: Annotated[ShortText, Field(min_length=1, max_length=300)]
    description: LongText = ""
    lms_course_id: Annotated[ShortText, Field(min_length=1, max_length=255)] | None = None
    prices: Annotated[list[Money], Field(min_length=1, max_length=50)]
    tax_code: Annotated[ShortText, Field(min_length=1, max_length=40)]
    members: Annotated[list[IdText], Field(max_length=50)] = []

    @model_validator(mode="after")
    def _fits_its_type(self) -> "ItemBody":
        if (self.type == "bundle") != (self.lms_course_id is None):
            raise ValueError("a bundle has members, anything else an lms_course_id")
        if (self.type == "bundle") != bool(self.members):
            raise ValueError("a bundle has members, and nothing else has")
        if self.type == "registration" and self.capacity is None:
            raise ValueError("a registration has a capacity")
        if self.type != "registration" and self.capacity is not None:
            raise ValueError("only a registration has a capacity")
        return self


class ItemPatch(_ItemFields):
    """Changes of an item; orders keep the snapshots they have."""


class PromotionView(Output):
    """A promotion code."""

    id: str
    code: str
    kind: Literal["percent", "fixed"]
    percent_bp: int | None
    amount_off: int | None
    currency: str | None
    item_ids: list[str]
    min_subtotal: int | None
    max_discount: int | None
    usage_limit: int | None
    usage_limit_per_user: int | None
    uses: int
    first_purchase_only: bool
    funding: Literal["shared", "platform"]
    stackable: bool
    priority: int
    starts_at: datetime | None
    ends_at: datetime | None
    active: bool


class PromotionList(Output):
    """A page of promotions."""

    data: Newest[PromotionView]
    next_cursor: NextCursor


class PromotionBody(Body):
    """A new promotion: basis points, or an amount in minor units of its currency."""

    code: Code
    kind: Literal["percent", "fixed"]
    percent_bp: Annotated[int, Field(ge=1, le=10_000)] | None = None
    amount_off: Annotated[MinorUnits, Field(gt=0)] | None = None
    currency: Currency | None = None
    item_ids: Annotated[list[IdText], Field(max_length=100)] = []
    min_subtotal: MinorUnits | None = None
    max_discount: MinorUnits | None = None
    usage_limit: Count | None = None
    usage_limit_per_user: Count | None = None
    first_purchase_only: Flag = False
    funding: Literal["shared", "platform"] = "shared"
    stackable: Flag = False
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    active: Flag = True

    @model_validator(mode="after")
    def _one_kind(self) -> "PromotionBody":
        if self.kind == "percent" and (self.percent_bp is None or self.amount_off is not None):
            raise ValueError("a percent promotion has percent_bp and no amount_off")
        if self.kind == "fixed" and (
            self.amount_off is None or self.currency is None or self.percent_bp is not None
        ):
            raise ValueError("a fixed promotion has amount_off and currency, and no percent_bp")
        return self


class PromotionPatch(Body):
    """What of a promotion may change; its code and what it takes off may not."""

    item_ids: Annotated[list[IdText], Field(max_length=100)] | None = None
    min_subtotal: MinorUnits | None = None
    max_discount: MinorUnits | None = None
    first_purchase_only: Flag | None = None
    funding: Literal["shared", "platform"] | None = None
    stackable: Flag | None = None
    priority: Annotated[int, Field(ge=-1000, le=1000)] | None = None
    usage_limit: Count | None = None
    usage_limit_per_user: Count | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    active: Flag | None = None


class CartLineView(Output):
    """One item in the cart."""

    id: Annotated[str, Field(description="The line: changes and removals name it.")]
    item_id: Annotated[str, Field(description="The item.")]
    title: str
    quantity: Annotated[int, Field(description="1: a course is bought once.")]
    unit_price: Annotated[Money, Field(description="The list price.")]
    line_total: Annotated[Money, Field(description="The list price times the quantity.")]


class Totals(Output):
    """`subtotal - discount + tax = total`."""

    subtotal: Annotated[Money, Field(description="The list prices, without tax.")]
    discount: Annotated[Money, Field(description="What promotions take off.")]
    tax: Annotated[Money, Field(description="All taxes.")]
    total: Annotated[Money, Field(description="`subtotal - discount + tax`.")]


class CartProblem(Output):
    """Why the cart can't be bought as it stands."""

    code: Annotated[str, Field(description="Stable.")]
    detail: Annotated[str, Field(description="The same in words.")]
    line_id: Annotated[
        str | None, Field(description="The line that it is about; null when it is the whole cart.")
    ]
    reason: Annotated[str | None, Field(description="Of `promo_invalid`: why the code can't be used.")]


class CartView(Output):
    """The open cart; tax is added at the quote, which knows the address.

    `promo_codes` are all codes on it, `promo_code` the first.
    """

    id: str
    currency: Annotated[str | None, Field(description="ISO 4217; null while the cart is empty.")]
    lines: list[CartLineView]
    promo_code: Annotated[str | None, Field(description="The first of `promo_codes`.")]
    promo_codes: Annotated[list[str], Field(description="All codes on the cart.")]
    totals: Annotated[Totals, Field(description="Without tax: the quote has it.")]
    problems: Annotated[
        list[CartProblem], Field(description="Why it can't be bought as it stands; none when it can.")
    ]


class CartItemBody(Body):
    """An item for the cart; a course is bought once, so the quantity is 1."""

    item_id: Annotated[IdText, Field(description="The item to buy.")]
    quantity: Annotated[
        Annotated[int, Field(ge=1, le=1)], Field(description="1: a course is bought once.")
    ] = 1
    currency: Annotated[
        Currency | None,
        Field(description="ISO 4217: which of the prices of the item; all lines of a cart have one."),
    ] = None


class CartLinePatch(Body):
    """A line's quantity; 0 takes it out."""

    quantity: Annotated[Annotated[int, Field(ge=0, le=1)], Field(description="0 takes the line out.")]


class PromoBody(Body):
    """A promotion code as the learner types it."""

    code: Annotated[
        Annotated[ShortText, Field(min_length=1, max_length=50)],
        Field(description="As the learner types it."),
    ]


class QuoteBody(Body):
    """Where the buyer is, and whether store credit is to pay."""

    billing_address: Annotated[BillingAddress, Field(description="Where the buyer is: decides the tax.")]
    use_store_credit: Annotated[
        Flag, Field(description="Whether the caller's store credit is to pay as far as it goes.")
    ] = False


class TaxLine(Output):
    """One tax on one line."""

    jurisdiction: str
    rate_ppm: int
    amount: Money


class QuoteLine(Output):
    """One course as it would be sold; a bundle has become its parts."""

    item_id: str
    bundle_id: str | None
    title: str
    list_price: Money
    discount: Money
    net: Money
    taxes: list[TaxLine]
    total: Money


class QuoteView(Output):
    """The totals with tax by line; `store_credit` would pay a part, which leaves `due` for the card.

    With `reverse_charge` the buyer owes the tax, by its VAT number.
    """

    totals: Totals
    store_credit: Annotated[Money, Field(description="What store credit would pay.")]
    due: Annotated[Money, Field(description="What is left for the card.")]
    lines: list[QuoteLine]
    reverse_charge: Annotated[bool, Field(description="Whether the buyer owes the tax, by its VAT number.")]
    problems: Annotated[
        list[CartProblem], Field(description="Why the cart can't be bought as it stands; none when it can.")
    ]

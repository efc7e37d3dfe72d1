"""Promotion codes, for operators."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from api.schemas.common import (
    Body,
    Count,
    Currency,
    Flag,
    IdText,
    MinorUnits,
    Moment,
    Newest,
    NextCursor,
    Output,
    OwnId,
    Whole,
)

Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,50}$", examples=["WELCOME10"])]
KindName = Literal["percent", "fixed"]
Priority = Annotated[Whole, Field(ge=-1000, le=1000)]
FundingName = Literal["shared", "platform"]

# What is said of the same member in several shapes.
_ITEM_IDS = "The items that it lowers, by id, a bundle with all its parts; none named: all."
_MIN_SUBTOTAL = (
    "What the list prices of the cart come to at least, in minor units of its currency; null: any."
)
_MAX_DISCOUNT = (
    "The most that it takes off an order, in minor units; it limits a `percent` only. Null: no limit."
)
_USAGE_LIMIT = "How many orders may use it, open ones too; null: no limit."
_USAGE_LIMIT_PER_USER = "How many orders of one user may; null: no limit."
_FIRST_PURCHASE_ONLY = "Only for who has no order that is paid or may still be."
_FUNDING = (
    "Who bears it: `shared`, payees earn from what is left; `platform`, they earn as if there were none."
)
_STACKABLE = "Whether it stands beside other codes that are stackable, too."
_PRIORITY = "Of several codes the lowest number goes first, each on what the one before left."
_STARTS_AT = "It can be used from then on; null: no beginning."
_ENDS_AT = "It can be used until then, excluded; null: no end."
_KIND = "`percent`: `percent_bp` of each line; `fixed`: `amount_off`, spread over the lines."
_PERCENT_BP = "Basis points: 1000 is 10 %. Null for `fixed`."
_AMOUNT_OFF = "Minor units of `currency`, at most what the lines cost. Null for `percent`."
_CURRENCY = "ISO 4217: only carts in it. `fixed` needs one; null: any."
_ACTIVE = "Whether it can be used; off, it is to learners as if it were not there."


class PromotionView(Output):
    """A promotion code."""

    id: OwnId
    code: Annotated[str, Field(description="What learners type, in any case; kept in capitals.")]
    kind: Annotated[KindName, Field(description=_KIND)]
    percent_bp: Annotated[int | None, Field(description=_PERCENT_BP)]
    amount_off: Annotated[int | None, Field(description=_AMOUNT_OFF)]
    currency: Annotated[str | None, Field(description=_CURRENCY)]
    item_ids: Annotated[list[str], Field(description=_ITEM_IDS)]
    min_subtotal: Annotated[int | None, Field(description=_MIN_SUBTOTAL)]
    max_discount: Annotated[int | None, Field(description=_MAX_DISCOUNT)]
    usage_limit: Annotated[int | None, Field(description=_USAGE_LIMIT)]
    usage_limit_per_user: Annotated[int | None, Field(description=_USAGE_LIMIT_PER_USER)]
    uses: Annotated[
        int,
        Field(
            description="How many orders use it now, open ones too; one that ends unpaid gives its use back."
        ),
    ]
    first_purchase_only: Annotated[bool, Field(description=_FIRST_PURCHASE_ONLY)]
    funding: Annotated[FundingName, Field(description=_FUNDING)]
    stackable: Annotated[bool, Field(description=_STACKABLE)]
    priority: Annotated[int, Field(description=_PRIORITY)]
    starts_at: Annotated[datetime | None, Field(description=_STARTS_AT)]
    ends_at: Annotated[datetime | None, Field(description=_ENDS_AT)]
    active: Annotated[bool, Field(description=_ACTIVE)]


class PromotionList(Output):
    """A page of promotions."""

    data: Newest[PromotionView]
    next_cursor: NextCursor


class PromotionBody(Body):
    """A new promotion: basis points, or an amount in minor units of its currency."""

    code: Annotated[
        Code,
        Field(
            description="What learners type, in any case; kept in capitals, and no other promotion has it."
        ),
    ]
    kind: Annotated[KindName, Field(description=_KIND)]
    percent_bp: Annotated[Annotated[Whole, Field(ge=1, le=10_000)] | None, Field(description=_PERCENT_BP)] = (
        None
    )
    amount_off: Annotated[Annotated[MinorUnits, Field(gt=0)] | None, Field(description=_AMOUNT_OFF)] = None
    currency: Annotated[Currency | None, Field(description=_CURRENCY)] = None
    item_ids: Annotated[list[IdText], Field(max_length=100, description=_ITEM_IDS)] = []
    min_subtotal: Annotated[MinorUnits | None, Field(description=_MIN_SUBTOTAL)] = None
    max_discount: Annotated[MinorUnits | None, Field(description=_MAX_DISCOUNT)] = None
    usage_limit: Annotated[Count | None, Field(description=_USAGE_LIMIT)] = None
    usage_limit_per_user: Annotated[Count | None, Field(description=_USAGE_LIMIT_PER_USER)] = None
    first_purchase_only: Annotated[Flag, Field(description=_FIRST_PURCHASE_ONLY)] = False
    funding: Annotated[FundingName, Field(description=_FUNDING)] = "shared"
    stackable: Annotated[Flag, Field(description=_STACKABLE)] = False
    priority: Annotated[Priority, Field(description=_PRIORITY)] = 0
    starts_at: Annotated[Moment | None, Field(description=_STARTS_AT)] = None
    ends_at: Annotated[Moment | None, Field(description=_ENDS_AT)] = None
    active: Annotated[Flag, Field(description=_ACTIVE)] = True

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
    """What of a promotion may change; its code and what it takes off may not.

    What is left out stays. Null takes a limit, the least subtotal or a date off; elsewhere it changes
    nothing.
    """

    item_ids: Annotated[
        Annotated[list[IdText], Field(max_length=100)] | None, Field(description=_ITEM_IDS)
    ] = None
    min_subtotal: Annotated[MinorUnits | None, Field(description=_MIN_SUBTOTAL)] = None
    max_discount: Annotated[MinorUnits | None, Field(description=_MAX_DISCOUNT)] = None
    first_purchase_only: Annotated[Flag | None, Field(description=_FIRST_PURCHASE_ONLY)] = None
    funding: Annotated[FundingName | None, Field(description=_FUNDING)] = None
    stackable: Annotated[Flag | None, Field(description=_STACKABLE)] = None
    priority: Annotated[Annotated[Whole, Field(ge=-1000, le=1000)] | None, Field(description=_PRIORITY)] = (
        None
    )
    usage_limit: Annotated[
        Count | None,
        Field(description="How many orders may use it, open ones too; null: no limit, and not below `uses`."),
    ] = None
    usage_limit_per_user: Annotated[Count | None, Field(description=_USAGE_LIMIT_PER_USER)] = None
    starts_at: Annotated[Moment | None, Field(description=_STARTS_AT)] = None
    ends_at: Annotated[Moment | None, Field(description=_ENDS_AT)] = None
    active: Annotated[Flag | None, Field(description=_ACTIVE)] = None

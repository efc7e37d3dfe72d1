"""The catalogue: items as everybody and as operators see them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from api.schemas.common import (
    Body,
    Count,
    Flag,
    IdText,
    LongText,
    Moment,
    Money,
    Newest,
    NextCursor,
    Output,
    OwnId,
    Payee,
    ShortText,
    Whole,
)

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,99}$", examples=["python-101"])]
ItemTypeName = Literal["course", "registration", "bundle"]
RecognitionName = Literal["on_completion", "on_grant", "on_payment"]
PresentationName = Literal["principal", "agent"]
TaxBehaviorName = Literal["exclusive", "inclusive"]

# What is said of the same member in several shapes.
_FROM = "On sale from then on; null: no beginning."
_UNTIL = "On sale until then, excluded; null: no end."
_RUN_OF = "Items that share it are runs of one course; null: those with the same `lms_course_id` are."
_TITLE = "For people; orders keep the one that they were made with."
_TYPE = "`course`: open at any time; `registration`: a dated run with seats; `bundle`: items at one price."
_RECOGNITION = (
    "When its revenue is recognized: `on_completion` of the course, `on_grant` of access or `on_payment`; "
    "the first two at the end of the refund window at the latest."
)
_PRESENTATION = (
    "How the books show its sales: `principal`, payees' shares are an expense; `agent`, they lower the sales."
)
_TAX_BEHAVIOR = "`exclusive`: tax comes on top of the price; `inclusive`: the price holds it."


class ItemView(Output):
    """An item as anybody sees it; operators also get payees, recognition and presentation."""

    id: OwnId
    slug: Annotated[
        str, Field(description="For addresses: it takes the place of the id in reads, and never changes.")
    ]
    type: Annotated[ItemTypeName, Field(description=_TYPE)]
    title: Annotated[str, Field(description=_TITLE)]
    description: Annotated[str, Field(description="For people; it may be empty.")]
    lms_course_id: Annotated[str | None, Field(description="The LMS's id of the course; null for a bundle.")]
    prices: Annotated[
        list[Money],
        Field(
            description="List prices, at most one a currency; the first fixes the currency of a cart that is "
            "empty."
        ),
    ]
    available: Annotated[
        bool,
        Field(
            description="Whether it can be bought now: switched on, within its dates, not cancelled. Seats "
            "are beside."
        ),
    ]
    available_from: Annotated[datetime | None, Field(description=_FROM)]
    available_until: Annotated[datetime | None, Field(description=_UNTIL)]
    starts_at: Annotated[datetime | None, Field(description="When the run begins; null when it has no date.")]
    run_of: Annotated[str | None, Field(description=_RUN_OF)]
    cancelled_at: Annotated[
        datetime | None, Field(description="When the run was cancelled, for good; null when it was not.")
    ]
    capacity: Annotated[
        int | None,
        Field(
            description="All seats, taken ones too; null where they are not counted, which is all but "
            "registrations."
        ),
    ]
    seats_left: Annotated[
        int | None,
        Field(
            description="Seats that nobody has bought or holds in an open order; null where they are not "
            "counted."
        ),
    ]
    tax_code: Annotated[str, Field(description="The kind of goods for the tax, such as `txcd_20060158`.")]
    tax_behavior: Annotated[TaxBehaviorName, Field(description=_TAX_BEHAVIOR)]
    refund_window_days: Annotated[
        int | None,
        Field(
            description="For so many days after payment a learner may refund it; null: as many as "
            "`REFUND_WINDOW_DAYS` says."
        ),
    ]
    members: Annotated[
        list[str], Field(description="Ids of the items in a bundle, in its order; none for all others.")
    ]
    payees: Annotated[
        list[str] | None,
        Field(
            description="Who teaches it, or else whom the split rule in force pays. Only operators read it; "
            "null for others."
        ),
    ] = None
    recognition: Annotated[
        RecognitionName | None, Field(description=f"{_RECOGNITION} Only operators read it; null for others.")
    ] = None
    presentation: Annotated[
        PresentationName | None,
        Field(description=f"{_PRESENTATION} Only operators read it; null for others."),
    ] = None


class ItemList(Output):
    """A page of items."""

    data: Newest[ItemView]
    next_cursor: NextCursor


class _ItemFields(Body):
    title: Annotated[
        Annotated[ShortText, Field(min_length=1, max_length=300)] | None, Field(description=_TITLE)
    ] = None
    description: Annotated[LongText | None, Field(description="For people.")] = None
    available: Annotated[Flag | None, Field(description="Whether it is on sale at all; a new one is.")] = None
    available_from: Annotated[Moment | None, Field(description=_FROM)] = None
    available_until: Annotated[Moment | None, Field(description=_UNTIL)] = None
    starts_at: Annotated[Moment | None, Field(description="When the run begins; null: it has no date.")] = (
        None
    )
    run_of: Annotated[Slug | None, Field(description=_RUN_OF)] = None
    capacity: Annotated[
        Count | None,
        Field(
            description="Seats of a registration, which needs a number of them; nothing else has one. "
            "Not below those taken."
        ),
    ] = None
    refund_window_days: Annotated[
        Annotated[Whole, Field(ge=0, le=3650)] | None,
        Field(
            description="For so many days after payment a learner may refund it; null: as many as "
            "`REFUND_WINDOW_DAYS` says. Orders keep theirs."
        ),
    ] = None
    recognition: Annotated[
        RecognitionName | None, Field(description=f"{_RECOGNITION} Else `on_completion`.")
    ] = None
    presentation: Annotated[
        PresentationName | None, Field(description=f"{_PRESENTATION} Else `principal`.")
    ] = None
    payees: Annotated[
        Annotated[list[Payee], Field(max_length=20)] | None,
        Field(
            description="Who teaches it: rules by payee hold for it, that of the first named before others."
        ),
    ] = None
    tax_behavior: Annotated[
        TaxBehaviorName | None, Field(description=f"{_TAX_BEHAVIOR} Else `exclusive`.")
    ] = None
    prices: Annotated[
        Annotated[list[Money], Field(min_length=1, max_length=50)] | None,
        Field(
            description="List prices, one a currency, each in steps that can be charged; a change replaces "
            "them all. The first fixes the currency of a cart that is empty."
        ),
    ] = None

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

    slug: Annotated[Slug, Field(description="For addresses: no other item has it, and it never changes.")]
    type: Annotated[ItemTypeName, Field(description=_TYPE)]
    title: Annotated[ShortText, Field(min_length=1, max_length=300, description=_TITLE)]
    description: Annotated[LongText, Field(description="For people.")] = ""
    lms_course_id: Annotated[
        Annotated[ShortText, Field(min_length=1, max_length=255)] | None,
        Field(description="The LMS's id of the course; a bundle has none, all others need it."),
    ] = None
    prices: Annotated[
        list[Money],
        Field(
            min_length=1,
            max_length=50,
            description="List prices, one a currency, each in steps that can be charged. The first fixes the "
            "currency of a cart that is empty.",
        ),
    ]
    tax_code: Annotated[
        ShortText,
        Field(
            min_length=1,
            max_length=40,
            description="The kind of goods for the tax, such as `txcd_20060158`; it never changes.",
        ),
    ]
    members: Annotated[
        list[IdText],
        Field(
            max_length=50,
            description="Ids of the items in a bundle, each with a price in the bundle's currencies; none is "
            "a bundle.",
        ),
    ] = []

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
    """Changes of an item; orders keep the snapshots they have.

    What is left out stays. Null takes a date, `run_of` or `refund_window_days` off; elsewhere it changes
    nothing.
    """

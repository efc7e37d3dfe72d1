"""Split rules."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from api.schemas.common import (
    AffiliateCode,
    Body,
    Channel,
    CreatedAt,
    Currency,
    Flag,
    MinorUnits,
    Moment,
    Newest,
    NextCursor,
    Output,
    OwnId,
    Payee,
    PayeeRef,
    Whole,
)

# `on_completion`: completion of the course ends the hold before its time.
Release = Literal["after_hold", "on_completion"]
Bps = Annotated[Whole, Field(ge=0, le=10_000)]


class Scope(Body):
    """What a rule is for; an empty scope is the platform's default."""

    order_line_id: Annotated[
        Annotated[str, Field(max_length=64)] | None,
        Field(description="An agreement for this one sale, alone, by the line's id."),
    ] = None
    item_id: Annotated[
        Annotated[str, Field(max_length=64)] | None,
        Field(description="Only sales of this item, by id; null: any. A bundle is sold as its items."),
    ] = None
    channel: Annotated[
        Channel | None, Field(description="Only sales in this channel, as checkout named it; null: any.")
    ] = None
    payee: Annotated[
        Payee | None,
        Field(description="Only sales of items that name this payee among their `payees`; null: any."),
    ] = None
    currency: Annotated[
        Currency | None,
        Field(
            description="ISO 4217: only sales in it, whose minor units amounts are then; null: any, and "
            "amounts are minor units of the sale's."
        ),
    ] = None

    @model_validator(mode="after")
    def _a_line_alone(self) -> "Scope":
        if self.order_line_id is not None and any((self.item_id, self.channel, self.payee, self.currency)):
            raise ValueError("a rule for one line needs no other scope")
        return self


class ShareBody(Body):
    """Basis points of what is left after affiliates and fixed amounts."""

    payee: Annotated[Payee, Field(description="Who gets it; never `platform`, which keeps the rest.")]
    bps: Annotated[
        Bps, Field(description="Basis points of what affiliates and fixed amounts leave: 7000 is 70 %.")
    ]


class FixedBody(Body):
    """A fixed amount in minor units, capped by what is left."""

    payee: Annotated[Payee, Field(description="Who gets it; never `platform`, which keeps the rest.")]
    amount: Annotated[
        MinorUnits, Field(description="Minor units, at most what is left of the line after affiliates.")
    ]


class AffiliateBody(Body):
    """Basis points off the top: for the payee named, or else for the affiliate who brought the sale."""

    payee: Annotated[
        Payee | None,
        Field(description="Who gets it of every sale; null: the affiliate who brought the sale."),
    ] = None
    bps: Annotated[
        Bps, Field(description="Basis points of the whole basis, before all others: 1000 is 10 %.")
    ]


class GuaranteeBody(Body):
    """A least amount for a payee with a share, topped up from the platform's."""

    payee: Annotated[Payee, Field(description="Who has it: one of `shares`.")]
    amount: Annotated[
        MinorUnits,
        Field(description="The least that they get, in minor units, as far as the platform's share reaches."),
    ]


class TierBody(Body):
    """Basis points up to a cumulative basis; the last one has no end."""

    upto: Annotated[
        MinorUnits | None,
        Field(
            description="Up to which volume of the payee it holds, in minor units; only the last is null: "
            "without end."
        ),
    ]
    bps: Annotated[Bps, Field(description="Basis points within it: 7000 is 70 %.")]


class TiersBody(Body):
    """Tiers for a payee with a share."""

    payee: Annotated[Payee, Field(description="Who has them: one of `shares`, whose `bps` they replace.")]
    tiers: Annotated[
        list[TierBody],
        Field(
            min_length=1,
            max_length=20,
            description="By rising `upto`. Volume is what percentages divided in the payee's earlier sales, "
            "by currency.",
        ),
    ]


class FeeBody(Body):
    """A contractual fee taken off the basis."""

    bps: Annotated[Bps, Field(description="Basis points of the line net of tax and discount.")] = 0
    fixed: Annotated[MinorUnits, Field(description="Minor units, taken off besides.")] = 0


class RuleTerms(Body):
    """Who gets what; the platform keeps the rest."""

    shares: Annotated[
        list[ShareBody],
        Field(max_length=50, description="Basis points by payee, each once; together 10000 at most."),
    ] = []
    fixed: Annotated[
        list[FixedBody], Field(max_length=50, description="Fixed amounts by payee, each once.")
    ] = []
    affiliate: Annotated[AffiliateBody | None, Field(description="What goes off the top; null: nothing.")] = (
        None
    )
    guarantee: Annotated[
        GuaranteeBody | None, Field(description="A least amount for one payee; null: none.")
    ] = None
    tiers: Annotated[
        TiersBody | None, Field(description="Basis points that depend on one payee's volume; null: none.")
    ] = None
    contractual_fee: Annotated[
        FeeBody | None, Field(description="What is taken off before anything is divided; null: nothing.")
    ] = None

    @model_validator(mode="after")
    def _each_payee_once(self) -> "RuleTerms":
        for group in (self.shares, self.fixed):
            named = [part.payee for part in group]
            if len(set(named)) != len(named):
                raise ValueError("name each payee once")
        return self


class SplitRuleBody(RuleTerms):
    """One version of a rule; never edited, only followed by another."""

    scope: Annotated[Scope, Field(description="Which sales it is for; empty: all that no other rule is for.")]
    priority: Annotated[
        Whole,
        Field(
            ge=-1000, le=1000, description="Of rules that say as much about a sale the highest number wins."
        ),
    ] = 0
    valid_from: Annotated[Moment, Field(description="For sales made from then on.")]
    valid_to: Annotated[Moment | None, Field(description="For sales made before then; null: no end.")] = None
    hold_days: Annotated[
        Annotated[Whole, Field(ge=0, le=3650)] | None,
        Field(description="For how many days earnings are held; null: as many as `EARNINGS_HOLD_DAYS` says."),
    ] = None
    release: Annotated[
        Release,
        Field(
            description="`after_hold`: at its end; `on_completion`: when the course is completed, if that is "
            "sooner."
        ),
    ] = "after_hold"


class SplitRuleView(Output):
    """One version of a rule; `rule` is what orders snapshot."""

    id: OwnId
    scope: Annotated[
        Scope, Field(description="Which sales it is for; all null: all that no other rule is for.")
    ]
    priority: Annotated[
        int, Field(description="Of rules that say as much about a sale the highest number wins.")
    ]
    valid_from: Annotated[datetime, Field(description="For sales made from then on.")]
    valid_to: Annotated[datetime | None, Field(description="For sales made before then; null: no end.")]
    rule: Annotated[
        dict[str, Any],
        Field(
            description="`shares` (with `bps` or `tiers`, and `min` for a guarantee), `fixed`, `off_top` for "
            "affiliates that it names, `fee_bps` and `fee_fixed`; what is empty is left out."
        ),
    ]
    affiliate_bps: Annotated[
        Annotated[int, Field(description="For the affiliate who brought the sale.")],
        Field(description="Basis points off the top for the affiliate who brought the sale; 0: nothing."),
    ]
    hold_days: Annotated[
        Annotated[int | None, Field(description="Null: the platform's usual hold.")],
        Field(description="For how many days earnings are held; null: as many as `EARNINGS_HOLD_DAYS` says."),
    ]
    release: Annotated[
        Release,
        Field(
            description="`after_hold`: at its end; `on_completion`: when the course is completed, if that is "
            "sooner."
        ),
    ]
    created_at: CreatedAt


class NewAffiliateBody(Body):
    """Who is paid for bringing sales; the code is what front ends pass on."""

    code: Annotated[
        AffiliateCode, Field(description="What front ends pass on at checkout; no other affiliate has it.")
    ]
    payee_ref: Annotated[Payee, Field(description="Who is paid for the sales that it brings.")]


class AffiliatePatch(Body):
    """Off, or on again."""

    active: Annotated[Flag, Field(description="Whether sales may name it; orders keep what they have.")]


class AffiliateView(Output):
    """One affiliate."""

    id: OwnId
    code: Annotated[str, Field(description="What front ends pass on at checkout.")]
    payee_ref: PayeeRef
    active: Annotated[bool, Field(description="Whether sales may name it.")]
    created_at: CreatedAt


class AffiliateList(Output):
    """A page of affiliates."""

    data: Newest[AffiliateView]
    next_cursor: NextCursor


class SplitRuleList(Output):
    """A page of rules."""

    data: Newest[SplitRuleView]
    next_cursor: NextCursor

"""Split rules."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from api.schemas.common import (
    AffiliateCode,
    Body,
    Channel,
    Currency,
    Flag,
    MinorUnits,
    Moment,
    Newest,
    NextCursor,
    Output,
    Payee,
)

# `on_completion`: completion of the course ends the hold before its time.
Release = Literal["after_hold", "on_completion"]
Bps = Annotated[int, Field(ge=0, le=10_000)]


class Scope(Body):
    """What a rule is for; an empty scope is the platform's default."""

    order_line_id: (
        Annotated[str, Field(max_length=64, description="An agreement for one sale, alone.")] | None
    ) = None
    item_id: Annotated[str, Field(max_length=64)] | None = None
    channel: Channel | None = None
    payee: Annotated[Payee, Field(description="Of items that name this payee.")] | None = None
    currency: (
        Annotated[Currency, Field(description="Of sales in it: amounts are in its minor units.")] | None
    ) = None

    @model_validator(mode="after")
    def _a_line_alone(self) -> "Scope":
        if self.order_line_id is not None and any((self.item_id, self.channel, self.payee, self.currency)):
            raise ValueError("a rule for one line needs no other scope")
        return self


class ShareBody(Body):
    """Basis points of what is left after affiliates and fixed amounts."""

    payee: Payee
    bps: Bps


class FixedBody(Body):
    """A fixed amount in minor units, capped by what is left."""

    payee: Payee
    amount: MinorUnits


class AffiliateBody(Body):
    """Basis points off the top: for the payee named, or else for the affiliate who brought the sale."""

    payee: Payee | None = None
    bps: Bps


class GuaranteeBody(Body):
    """A least amount for a payee with a share, topped up from the platform's."""

    payee: Payee
    amount: MinorUnits


class TierBody(Body):
    """Basis points up to a cumulative basis; the last one has no end."""

    upto: MinorUnits | None
    bps: Bps


class TiersBody(Body):
    """Tiers for a payee with a share."""

    payee: Payee
    tiers: Annotated[list[TierBody], Field(min_length=1, max_length=20)]


class FeeBody(Body):
    """A contractual fee taken off the basis."""

    bps: Bps = 0
    fixed: MinorUnits = 0


class RuleTerms(Body):
    """Who gets what; the platform keeps the rest."""

    shares: Annotated[list[ShareBody], Field(max_length=50)] = []
    fixed: Annotated[list[FixedBody], Field(max_length=50)] = []
    affiliate: AffiliateBody | None = None
    guarantee: GuaranteeBody | None = None
    tiers: TiersBody | None = None
    contractual_fee: FeeBody | None = None

    @model_validator(mode="after")
    def _each_payee_once(self) -> "RuleTerms":
        for group in (self.shares, self.fixed):
            named = [part.payee for part in group]
            if len(set(named)) != len(named):
                raise ValueError("name each payee once")
        return self


class SplitRuleBody(RuleTerms):
    """One version of a rule; never edited, only followed by another."""

    scope: Scope
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    valid_from: Moment
    valid_to: Moment | None = None
    hold_days: Annotated[int, Field(ge=0, le=3650)] | None = None
    release: Release = "after_hold"


class SplitRuleView(Output):
    """One version of a rule; `rule` is what orders snapshot."""

    id: str
    scope: Scope
    priority: int
    valid_from: datetime
    valid_to: datetime | None
    rule: dict[str, Any]
    affiliate_bps: Annotated[int, Field(description="For the affiliate who brought the sale.")]
    hold_days: Annotated[int | None, Field(description="Null: the platform's usual hold.")]
    release: Release
    created_at: datetime


class NewAffiliateBody(Body):
    """Who is paid for bringing sales; the code is what front ends pass on."""

    code: AffiliateCode
    payee_ref: Payee


class AffiliatePatch(Body):
    """Off, or on again."""

    active: Flag


class AffiliateView(Output):
    """One affiliate."""

    id: str
    code: str
    payee_ref: str
    active: bool
    created_at: datetime


class AffiliateList(Output):
    """A page of affiliates."""

    data: Newest[AffiliateView]
    next_cursor: NextCursor


class SplitRuleList(Output):
    """A page of rules."""

    data: Newest[SplitRuleView]
    next_cursor: NextCursor

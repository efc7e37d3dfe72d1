"""Trying a split rule out, on an amount or on past orders."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from api.schemas.common import (
    Body,
    Channel,
    CourseId,
    LineId,
    Moment,
    Money,
    OrderId,
    OrderNumber,
    Output,
    Payee,
)
from api.schemas.revenue import RuleTerms


class SimulationBody(Body):
    """By the rule given, or by the one in force: on an amount, on orders, or on a period.

    A period is by accrual, `to` excluded. `item_id` and `channel` say which rule is in force for an amount,
    and narrow past orders down. `affiliate` is the payee who brought the sale of the amount.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    amount: Annotated[Money | None, Field(description="A line net of tax and discount.")] = None
    order_ids: Annotated[
        Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=100)] | None,
        Field(description="Past orders to divide anew, by id."),
    ] = None
    since: Annotated[
        Moment | None, Field(alias="from", description="Lines whose earnings accrued from then on.")
    ] = None
    until: Annotated[
        Moment | None, Field(alias="to", description="Lines whose earnings accrued before then.")
    ] = None
    rule: Annotated[
        RuleTerms | None, Field(description="The terms to try; left out: those in force at `at`.")
    ] = None
    item_id: Annotated[
        Annotated[str, Field(max_length=64)] | None,
        Field(description="Of an amount, whose rules apply; of past orders, only lines of this item."),
    ] = None
    channel: Annotated[
        Channel | None,
        Field(description="Of an amount, whose rules apply; of past orders, only those of this channel."),
    ] = None
    affiliate: Annotated[
        Payee | None,
        Field(description="The payee who brought the sale of the amount; past orders know theirs."),
    ] = None
    at: Annotated[Moment | None, Field(description="The moment whose rules apply; now.")] = None

    @model_validator(mode="after")
    def _one_subject(self) -> "SimulationBody":
        period = self.since is not None or self.until is not None
        if (self.amount is not None) + (self.order_ids is not None) + period != 1:
            raise ValueError("give an amount, order_ids, or a period by from and to")
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise ValueError("to is after from")
        if self.affiliate is not None and self.amount is None:
            raise ValueError("past orders know who brought them")
        return self


class SimulatedShare(Output):
    """One row of the allocation; the platform's is the last."""

    kind: Annotated[
        Literal["off_top", "fixed", "share", "platform"],
        Field(
            description="`off_top`: affiliates; `fixed`; `share`: basis points of what is left; `platform`: "
            "the rest."
        ),
    ]
    payee: Annotated[str, Field(description="Who gets it; `platform` in the last row.")]
    amount: Annotated[Money, Field(description="What they get.")]


class PayeeComparison(Output):
    """What a payee has, next to what the rule would have paid; both after refunds and chargebacks."""

    payee: Annotated[str, Field(description="Who is paid.")]
    paid: Annotated[Money, Field(description="What they have of it now.")]
    would_pay: Annotated[Money, Field(description="What they would have.")]


class SimulatedLine(Output):
    """One line of a past order under the rule."""

    order_id: OrderId
    order_number: OrderNumber
    order_line_id: LineId
    course_id: CourseId
    basis: Annotated[
        Money,
        Field(
            description="What the rule would have divided: the line net of tax, discount and contractual fee."
        ),
    ]
    payees: Annotated[list[PayeeComparison], Field(description="What each has of it, and would have.")]


class PastOrders(Output):
    """Lines whose earnings accrued, and sums by payee and currency over all of them.

    `lines` holds the first hundred. `not_accrued` counts paid lines that were left out, because nothing has
    been paid for them yet.
    """

    line_count: Annotated[int, Field(description="How many lines were divided, at most 5000.")]
    not_accrued: Annotated[
        int, Field(description="Paid lines that were left out, because their earnings have not accrued.")
    ]
    totals: Annotated[list[PayeeComparison], Field(description="By payee and currency, over all lines.")]
    lines: Annotated[
        list[SimulatedLine], Field(description="The first hundred, in the order in which they accrued.")
    ]


class Simulation(Output):
    """What the parties would get; nothing is stored.

    Of an amount: `rule_id`, `basis` and `rows`, where tiers count from zero. Of past orders: `orders`.
    """

    rule_id: Annotated[
        str | None,
        Field(
            description="The rule that was in force; null when one was given, when none was, and of past "
            "orders."
        ),
    ]
    basis: Annotated[
        Money | None,
        Field(description="What was divided: the amount less the contractual fee; null of past orders."),
    ]
    rows: Annotated[
        list[SimulatedShare], Field(description="Who gets what of the amount; none of past orders.")
    ]
    orders: Annotated[PastOrders | None, Field(description="Past orders divided anew; null of an amount.")]

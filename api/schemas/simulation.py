"""Trying a split rule out, on an amount or on past orders."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from api.schemas.common import Body, Channel, Moment, Money, Output, Payee
from api.schemas.revenue import RuleTerms


class SimulationBody(Body):
    """By the rule given, or by the one in force: on an amount, on orders, or on a period.

    A period is by accrual, `to` excluded. `item_id` and `channel` say which rule is in force for an amount,
    and narrow past orders down. `affiliate` is the payee who brought the sale of the amount.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    amount: Annotated[Money | None, Field(description="A line net of tax and discount.")] = None
    order_ids: (
        Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=100)] | None
    ) = None
    since: Annotated[Moment | None, Field(alias="from")] = None
    until: Annotated[Moment | None, Field(alias="to")] = None
    rule: RuleTerms | None = None
    item_id: Annotated[str, Field(max_length=64)] | None = None
    channel: Channel | None = None
    affiliate: Payee | None = None
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

    kind: Literal["off_top", "fixed", "share", "platform"]
    payee: str
    amount: Money


class PayeeComparison(Output):
    """What a payee has, next to what the rule would have paid; both after refunds and chargebacks."""

    payee: str
    paid: Money
    would_pay: Money


class SimulatedLine(Output):
    """One line of a past order under the rule."""

    order_id: str
    order_number: str
    order_line_id: str
    course_id: str
    basis: Money
    payees: list[PayeeComparison]


class PastOrders(Output):
    """Lines whose earnings accrued, and sums by payee and currency over all of them.

    `lines` holds the first hundred. `not_accrued` counts paid lines that were left out, because nothing has
    been paid for them yet.
    """

    line_count: int
    not_accrued: int
    totals: list[PayeeComparison]
    lines: list[SimulatedLine]


class Simulation(Output):
    """What the parties would get; nothing is stored.

    Of an amount: `rule_id`, `basis` and `rows`, where tiers count from zero. Of past orders: `orders`.
    """

    rule_id: str | None
    basis: Money | None
    rows: list[SimulatedShare]
    orders: PastOrders | None

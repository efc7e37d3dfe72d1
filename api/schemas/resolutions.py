"""Questions to buyers and changes of runs as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from api.schemas.common import Body, Moment, Newest, NextCursor, Output, ShortText

ChoiceName = Literal["other_run", "store_credit", "refund", "keep"]
CauseName = Literal["lms_refused", "run_cancelled", "run_rescheduled", "bought_twice"]
ResolutionStateName = Literal["open", "decided", "done", "withdrawn"]


class ResolutionBody(Body):
    """What is to become of the line; `other_run` names the run's item."""

    choice: ChoiceName
    item_id: Annotated[str, Field(max_length=64)] | None = None

    @model_validator(mode="after")
    def _names_the_run(self) -> "ResolutionBody":
        if (self.choice == "other_run") != (self.item_id is not None):
            raise ValueError("other_run, and nothing else, names an item_id")
        return self


class ResolutionSummary(Output):
    """A question about an order line and its answer.

    While it is `open` the buyer or an operator makes one of `choices`; at the `deadline` it is
    `default_choice`. `refund_id` names the refund that a choice of money or store credit led to.
    """

    id: str
    order_id: str
    order_number: str
    line_id: str
    title: str
    cause: CauseName
    reason: str
    state: ResolutionStateName
    choices: list[ChoiceName]
    default_choice: ChoiceName
    asked_at: datetime | None
    deadline: datetime | None
    choice: ChoiceName | None
    item_id: str | None
    decided_by: str | None
    decided_at: datetime | None
    refund_id: str | None
    run_change_id: str | None


class OtherRun(Output):
    """A run that the line may move to."""

    item_id: str
    slug: str
    title: str
    starts_at: datetime | None
    seats_left: int | None


class ResolutionView(Output):
    """A question with the runs that may be chosen, soonest first; those without seats are left out."""

    resolution: ResolutionSummary
    runs: list[OtherRun]


class ResolutionList(Output):
    """A page of questions."""

    data: Newest[ResolutionSummary]
    next_cursor: NextCursor


class CancelRunBody(Body):
    """Why the run does not take place, as its buyers read it, and how long they have to choose."""

    reason: Annotated[ShortText, Field(min_length=1, max_length=300)]
    answer_days: Annotated[int, Field(ge=1, le=365, strict=True)] | None = None


class RescheduleRunBody(CancelRunBody):
    """The run's new date."""

    starts_at: Moment


class RunChangeAnswers(Output):
    """How many of the buyers who were asked did what."""

    asked: int
    open: int
    other_run: int
    store_credit: int
    refund: int
    keep: int
    withdrawn: int


class RunChangeView(Output):
    """A cancelled or rescheduled run. `done_at`: every buyer's line is decided."""

    id: str
    item_id: str
    title: str
    kind: Literal["cancelled", "rescheduled"]
    reason: str
    started_at: datetime | None
    starts_at: datetime | None
    deadline: datetime
    created_at: datetime
    done_at: datetime | None
    answers: RunChangeAnswers
    workflow_id: str


class RunChangeList(Output):
    """A page of changes."""

    data: Newest[RunChangeView]
    next_cursor: NextCursor

"""Questions to buyers and changes of runs as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from api.schemas.common import (
    Body,
    ItemId,
    LineId,
    Moment,
    Newest,
    NextCursor,
    OrderId,
    OrderNumber,
    Output,
    OwnId,
    ShortText,
    Whole,
    WorkflowId,
)

ChoiceName = Literal["other_run", "store_credit", "refund", "keep"]
CauseName = Literal["lms_refused", "run_cancelled", "run_rescheduled", "bought_twice"]
ResolutionStateName = Literal["open", "decided", "done", "withdrawn"]


class ResolutionBody(Body):
    """What is to become of the line; `other_run` names the run's item."""

    choice: Annotated[
        ChoiceName,
        Field(
            description="One of the question's `choices`: `other_run` of the course at the same price, what "
            "is left of the price as `store_credit` or as a `refund` the way it was paid, or to `keep` it."
        ),
    ]
    item_id: Annotated[
        Annotated[str, Field(max_length=64)] | None,
        Field(description="The run's item, for `other_run`; null for all else."),
    ] = None

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

    id: OwnId
    order_id: OrderId
    order_number: OrderNumber
    line_id: LineId
    title: Annotated[str, Field(description="The line's title.")]
    cause: Annotated[
        CauseName,
        Field(
            description="Why the buyer is asked: `lms_refused` for good, `run_cancelled`, `run_rescheduled`, "
            "or `bought_twice` with two accounts that are one now."
        ),
    ]
    reason: Annotated[str, Field(description="More about the cause, in words: the operator's, or the LMS's.")]
    state: Annotated[
        ResolutionStateName,
        Field(
            description="`open`: to be answered; `decided`: the answer is in the books; `done`: nothing more "
            "follows; `withdrawn`: the cause has gone."
        ),
    ]
    choices: Annotated[
        list[ChoiceName],
        Field(description="What may be chosen; `other_run` only while another run has a place."),
    ]
    default_choice: Annotated[ChoiceName, Field(description="What is chosen when the deadline passes.")]
    asked_at: Annotated[
        datetime | None, Field(description="When the buyer was asked; null for the moment before.")
    ]
    deadline: Annotated[
        datetime | None, Field(description="Until when there is a choice; null as long as it is not fixed.")
    ]
    choice: Annotated[
        ChoiceName | None,
        Field(description="What was chosen; null while it is open, or when it was withdrawn."),
    ]
    item_id: Annotated[
        str | None, Field(description="The item of the run that was chosen; null unless it is `other_run`.")
    ]
    decided_by: Annotated[
        str | None,
        Field(description="`the customer`, `an operator` or `the deadline`; null without a choice."),
    ]
    decided_at: Annotated[datetime | None, Field(description="When it was chosen; null without a choice.")]
    refund_id: Annotated[
        str | None,
        Field(
            description="The refund that the choice led to, be it money or store credit; null when there is "
            "none."
        ),
    ]
    run_change_id: Annotated[
        str | None, Field(description="The change of the run that is the cause; null for other causes.")
    ]


class OtherRun(Output):
    """A run that the line may move to."""

    item_id: ItemId
    slug: Annotated[str, Field(description="The item's, for addresses.")]
    title: Annotated[str, Field(description="The item's title.")]
    starts_at: Annotated[datetime | None, Field(description="When it begins; null when it has no date.")]
    seats_left: Annotated[
        int | None, Field(description="How many seats are left; null where they are not counted.")
    ]


class ResolutionView(Output):
    """A question with the runs that may be chosen, soonest first; those without seats are left out."""

    resolution: Annotated[ResolutionSummary, Field(description="The question as it stands now.")]
    runs: Annotated[
        list[OtherRun],
        Field(
            description="Runs with a place, soonest first; none when it is not open, or offers no other run."
        ),
    ]


class ResolutionList(Output):
    """A page of questions."""

    data: Newest[ResolutionSummary]
    next_cursor: NextCursor


class CancelRunBody(Body):
    """Why the run does not take place, as its buyers read it, and how long they have to choose."""

    reason: Annotated[
        ShortText, Field(min_length=1, max_length=300, description="Why, as its buyers read it.")
    ]
    answer_days: Annotated[
        Annotated[Whole, Field(ge=1, le=365)] | None,
        Field(
            description="For how many days they may choose, but not past the new date; null: as many as "
            "`RESOLUTION_DAYS` says."
        ),
    ] = None


class RescheduleRunBody(CancelRunBody):
    """The run's new date."""

    starts_at: Annotated[Moment, Field(description="The new date, which is to come.")]


class RunChangeAnswers(Output):
    """How many of the buyers who were asked did what."""

    asked: Annotated[int, Field(description="Questions to buyers, a line each; withdrawn ones, too.")]
    open: Annotated[int, Field(description="Not answered yet.")]
    other_run: Annotated[int, Field(description="Moved to another run.")]
    store_credit: Annotated[int, Field(description="Took store credit.")]
    refund: Annotated[int, Field(description="Took a refund, or were given it by the deadline.")]
    keep: Annotated[int, Field(description="Keep the run, by choice or by the deadline.")]
    withdrawn: Annotated[int, Field(description="Ended without an answer, because the cause had gone.")]


class RunChangeView(Output):
    """A cancelled or rescheduled run. `done_at`: every buyer's line is decided."""

    id: OwnId
    item_id: ItemId
    title: Annotated[str, Field(description="The item's title now.")]
    kind: Annotated[
        Literal["cancelled", "rescheduled"],
        Field(description="`cancelled`: it does not take place; `rescheduled`: it has another date."),
    ]
    reason: Annotated[str, Field(description="Why, as its buyers read it.")]
    started_at: Annotated[datetime | None, Field(description="The date before; null when it had none.")]
    starts_at: Annotated[datetime | None, Field(description="The new date; null for a cancelled run.")]
    deadline: Annotated[
        datetime,
        Field(description="Until when buyers may choose; who paid late may have up to two days more."),
    ]
    created_at: Annotated[datetime, Field(description="When it was changed: who ordered later knew of it.")]
    done_at: Annotated[
        datetime | None,
        Field(
            description="When every buyer's line was decided; null while one is not, which may come again."
        ),
    ]
    answers: Annotated[RunChangeAnswers, Field(description="How buyers answered so far.")]
    workflow_id: WorkflowId


class RunChangeList(Output):
    """A page of changes."""

    data: Newest[RunChangeView]
    next_cursor: NextCursor

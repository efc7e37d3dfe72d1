"""What an outbound event holds. The words are what receivers read of a member."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from domain.event_types import EventType
from domain.postings import Bucket
from domain.resolutions import ResolutionCause, ResolutionChoice

_OrderId = Annotated[str, "The order."]
_Number = Annotated[str, "The order's number, as people read it."]
_UserId = Annotated[str, "Our id of the person."]
_LmsUserId = Annotated[str, "The LMS's id of the person."]
_CourseId = Annotated[str, "The LMS's id of the course."]
_Currency = Annotated[str, "ISO 4217."]
_Minor = Annotated[int, "Minor units of the currency."]
_Payee = Annotated[str, "Who is paid, such as `lms:102`."]
_Entry = Annotated[str | None, "The journal entry behind it; null when nothing was posted."]
_EntitlementId = Annotated[str, "The learner's access to the course."]
API_VERSION = "2026-11-01"


class Event(TypedDict):
    """What is sent; the type decides what `data` holds."""

    id: Annotated[str, "The event's id, also in `webhook-id`: skip what you have seen."]
    type: Annotated[str, "What it tells."]
    created_at: Annotated[str, "When it was published: RFC 3339."]
    api_version: Annotated[str, "Which version of these shapes it has."]
    stream: Annotated[str, "What it is about: events of one stream arrive in order."]
    stream_seq: Annotated[int, "Grows within the stream; types that you did not ask for leave gaps."]
    request_id: Annotated[str | None, "The request that it comes of; null when none is known."]
    data: Annotated[Mapping[str, Any], "What happened, in the members that its type has."]


class OrderPaid(TypedDict):
    """A paid order."""

    order_id: _OrderId
    number: _Number
    user_id: _UserId
    lms_user_id: _LmsUserId
    currency: _Currency
    amount: Annotated[int, "The order's total in minor units, what store credit paid included."]
    store_credit: Annotated[int, "What of it store credit paid, in minor units."]


class OrderFulfilled(TypedDict):
    """An order whose access is there."""

    order_id: _OrderId
    number: _Number
    user_id: _UserId


class OrderCanceled(TypedDict):
    """An order that is no sale."""

    order_id: _OrderId
    number: _Number
    reason: Annotated[
        Literal["canceled", "expired", "payment_failed"],
        "`canceled` before payment, `expired` with the payment window, or `payment_failed`: it had counted "
        "as paid, and the bank returned the payment.",
    ]


class RefundData(TypedDict):
    """A refund. Of `order.refunded`: the one that completed it."""

    order_id: _OrderId
    number: _Number
    refund_id: Annotated[str, "The refund."]
    amount: Annotated[int, "The whole refund in minor units, its store credit included."]
    currency: _Currency
    reason: Annotated[str, "Why, in words."]


class EntitlementData(TypedDict):
    """A learner's access to a course, as it is now."""

    entitlement_id: _EntitlementId
    user_id: _UserId
    lms_user_id: _LmsUserId
    course_id: _CourseId
    version: Annotated[int, "Grows with each change of the access."]
    reason: NotRequired[Annotated[str, "The code of the LMS's refusal, where it refused."]]


class Share(TypedDict):
    """By which terms the payee has a part of the line."""

    kind: Annotated[
        str, "`off_top`, `fixed` or `share`; `mixed` when several parts of a rule name the payee."
    ]
    bps: Annotated[int | None, "Basis points, where the share is one of basis points."]
    amount: Annotated[int, "The whole share before reversals, in minor units."]


class EarningData(TypedDict):
    """A change of what a payee earns from one order line."""

    earning_id: Annotated[str, "The line and the payee: the same in all events about this earning."]
    payee_ref: _Payee
    order_id: _OrderId
    order_line_id: Annotated[str, "The line of the order."]
    course_id: _CourseId
    currency: _Currency
    amount: Annotated[int, "How much it is about, in minor units; the type tells the direction."]
    basis_amount: Annotated[int, "What the line's split divided, in minor units."]
    share: Annotated[Share, "By which terms the payee has a part of the line."]
    rule_version: Annotated[str | None, "The split rule; null when none was."]
    reason: Annotated[str, "What it comes of, in words."]
    hold_until: Annotated[str, "Until when it is held: RFC 3339."]
    journal_entry_id: _Entry


class EarningReversed(EarningData):
    """An earning that was taken back."""

    bucket: Annotated[Bucket | None, "Where it lay: `held`, or `released` to the payout system."]
    cumulative_reversed: Annotated[
        int, "What the payee has lost of the line so far, this included, in minor units."
    ]


class PayeeWrittenOff(TypedDict):
    """A debt of a payee that was given up."""

    write_off_id: Annotated[str, "The write-off."]
    payee_ref: _Payee
    currency: _Currency
    amount: _Minor
    reason: Annotated[str, "Why, in words."]
    journal_entry_id: Annotated[str, "The journal entry behind it."]


class DisputeData(TypedDict):
    """A dispute at the processor."""

    order_id: _OrderId
    number: _Number
    dispute_id: Annotated[str, "The processor's id of the dispute."]
    amount: _Minor
    currency: _Currency
    reason: Annotated[str, "The bank's reason, in the processor's words."]


class ResolutionData(TypedDict):
    """A question to a buyer about one line."""

    resolution_id: Annotated[str, "The question."]
    order_id: _OrderId
    number: _Number
    line_id: Annotated[str, "The line of the order."]
    user_id: _UserId
    lms_user_id: _LmsUserId
    course_id: _CourseId
    cause: Annotated[ResolutionCause, "Why the buyer is asked."]
    run_change_id: Annotated[str | None, "The change of the run; null for other causes."]


class ResolutionAsked(ResolutionData):
    """A question that is open."""

    reason: Annotated[str, "More about the cause, in words."]
    choices: Annotated[list[ResolutionChoice], "What the buyer may choose."]
    default_choice: Annotated[ResolutionChoice, "What is chosen when the deadline passes."]
    deadline: Annotated[str, "Until when the buyer may choose: RFC 3339."]


class ResolutionDecided(ResolutionData):
    """A question that was answered."""

    choice: Annotated[ResolutionChoice, "What was chosen."]
    by: Annotated[str, "Who chose, in words."]
    item_id: Annotated[str | None, "The item that was chosen; null unless it is `other_run`."]


class ResolutionWithdrawn(ResolutionData):
    """A question that ended without an answer."""

    reason: Annotated[str, "Why nothing is left to choose, in words."]


class CourseCompleted(TypedDict):
    """A completion, as the LMS told it."""

    entitlement_id: _EntitlementId
    lms_event_id: Annotated[str, "The LMS's id of the completion."]
    lms_user_id: _LmsUserId
    course_id: _CourseId
    completed_at: Annotated[str, "RFC 3339."]


class PersonUpdated(TypedDict):
    """An account that changed at the LMS."""

    user_id: _UserId
    lms_user_id: _LmsUserId
    changed: Annotated[
        list[str], "Which members changed, not what they say: `username`, `email`, `full_name`, `roles`."
    ]


class PersonErased(TypedDict):
    """A person of whom nothing is held any more."""

    user_id: _UserId
    lms_user_id: _LmsUserId


class PersonMerged(TypedDict):
    """Two accounts that are one now."""

    user_id: Annotated[str, "Our id of the person whose account is no more."]
    lms_user_id: Annotated[str, "The LMS's id of that account."]
    into_user_id: Annotated[str, "Our id of the person who has it all now."]
    into_lms_user_id: Annotated[str, "The LMS's id of the account that stays."]


class EndpointDisabled(TypedDict):
    """A receiver that was switched off."""

    endpoint_id: Annotated[str, "The webhook endpoint."]
    disabled_by: Annotated[
        Literal["receiver", "commerce"], "The receiver itself (410), or commerce: nothing was taken any more."
    ]
    reason: Annotated[str, "Why, in words."]


EVENT_DATA: dict[EventType, Any] = {
    EventType.ORDER_PAID: OrderPaid,
    EventType.ORDER_FULFILLED: OrderFulfilled,
    EventType.ORDER_CANCELED: OrderCanceled,
    EventType.ORDER_REFUNDED: RefundData,
    EventType.ENTITLEMENT_GRANTED: EntitlementData,
    EventType.ENTITLEMENT_REVOKED: EntitlementData,
    EventType.ENTITLEMENT_FAILED: EntitlementData,
    EventType.EARNING_ACCRUED: EarningData,
    EventType.EARNING_RELEASED: EarningData,
    EventType.EARNING_REVERSED: EarningReversed,
    EventType.EARNING_FROZEN: EarningData,
    EventType.EARNING_UNFROZEN: EarningData,
    EventType.PAYEE_WRITTEN_OFF: PayeeWrittenOff,
    EventType.REFUND_SUCCEEDED: RefundData,
    EventType.REFUND_FAILED: RefundData,
    EventType.DISPUTE_OPENED: DisputeData,
    EventType.DISPUTE_WON: DisputeData,
    EventType.DISPUTE_LOST: DisputeData,
    EventType.RESOLUTION_ASKED: ResolutionAsked,
    EventType.RESOLUTION_DECIDED: ResolutionDecided,
    EventType.RESOLUTION_WITHDRAWN: ResolutionWithdrawn,
    EventType.COURSE_COMPLETED: CourseCompleted,
    EventType.PERSON_UPDATED: PersonUpdated,
    EventType.PERSON_ERASED: PersonErased,
    EventType.PERSON_MERGED: PersonMerged,
    EventType.WEBHOOK_ENDPOINT_DISABLED: EndpointDisabled,
}

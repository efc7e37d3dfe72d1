"""The axes of an order and the status that is derived from them.

Each axis has one writer (the checkout workflow writes payment and fulfilment; refund and dispute have
workflows of their own). `status` is never stored: `order_status` computes it.
"""

from dataclasses import dataclass
from enum import StrEnum


class PaymentState(StrEnum):
    """The payment axis."""

    PENDING = "pending"  # waits for the customer, within the payment window
    PROCESSING = "processing"  # a slow method is under way; the window stands still
    PAID = "paid"  # the amount due has been captured, or nothing was due
    CANCELED = "canceled"  # ended by the customer or an operator before payment
    EXPIRED = "expired"  # the payment window passed and the intent was cancelled
    FAILED = "failed"  # it had counted as paid, and the bank returned the payment after all


class FulfilmentState(StrEnum):
    """The fulfilment axis."""

    NONE = "none"  # not begun
    FULFILLING = "fulfilling"  # access is being set up
    FULFILLED = "fulfilled"  # every line has its access
    FAILED = "failed"  # the LMS refused for good; an operator's task


class DisputeState(StrEnum):
    """The dispute axis."""

    NONE = "none"  # never disputed
    OPEN = "open"  # the cardholder's bank has asked the money back
    WON = "won"  # decided for us
    LOST = "lost"  # decided for the cardholder


class OrderStatus(StrEnum):
    """What the outside sees; first match of the axes, in this order."""

    DISPUTED = "disputed"  # a dispute is open
    REFUNDED = "refunded"  # all that was paid went back
    PARTIALLY_REFUNDED = "partially_refunded"  # some of it went back
    FULFILLED = "fulfilled"  # paid, and access is there
    FULFILLMENT_FAILED = "fulfillment_failed"  # paid, and the LMS refused
    FULFILLING = "fulfilling"  # paid, access is being set up
    PAID = "paid"  # paid, fulfilment not begun
    CANCELED = "canceled"  # ended before payment, or its payment was returned
    EXPIRED = "expired"  # never paid in time
    PENDING_PAYMENT = "pending_payment"  # waits for payment


@dataclass(frozen=True, slots=True)
class OrderAxes:
    """All that the status depends on; amounts in minor units of the order's currency."""

    payment: PaymentState
    fulfilment: FulfilmentState
    dispute: DisputeState
    amount_paid: int
    amount_refunded: int  # succeeded refunds only


_FULFILMENT_STATUS = {
    FulfilmentState.FULFILLED: OrderStatus.FULFILLED,
    FulfilmentState.FAILED: OrderStatus.FULFILLMENT_FAILED,
    FulfilmentState.FULFILLING: OrderStatus.FULFILLING,
    FulfilmentState.NONE: OrderStatus.PAID,
}
_UNPAID_STATUS = {
    PaymentState.CANCELED: OrderStatus.CANCELED,
    PaymentState.FAILED: OrderStatus.CANCELED,
    PaymentState.EXPIRED: OrderStatus.EXPIRED,
    PaymentState.PENDING: OrderStatus.PENDING_PAYMENT,
    PaymentState.PROCESSING: OrderStatus.PENDING_PAYMENT,
}


def order_status(axes: OrderAxes) -> OrderStatus:
    """Derive the status; a pending refund changes nothing."""
    if axes.dispute is DisputeState.OPEN:
        return OrderStatus.DISPUTED
    if 0 < axes.amount_paid <= axes.amount_refunded:
        return OrderStatus.REFUNDED
    if axes.amount_refunded > 0 and axes.payment is PaymentState.PAID:
        return OrderStatus.PARTIALLY_REFUNDED
    if axes.payment is PaymentState.PAID:
        return _FULFILMENT_STATUS[axes.fulfilment]
    return _UNPAID_STATUS[axes.payment]


class EntitlementStatus(StrEnum):
    """How far the access of one user to one course is."""

    PENDING = "pending"  # justified, nothing done yet
    GRANTING = "granting"  # asked of the LMS
    GRANTED = "granted"  # the LMS has said yes
    FAILED = "failed"  # the LMS refused for good
    REVOKING = "revoking"  # no justification is left; asked of the LMS
    REVOKED = "revoked"  # the LMS has ended it


class RefundStatus(StrEnum):
    """How far a refund is."""

    PENDING = "pending"  # reserved and asked of the processor
    SUCCEEDED = "succeeded"  # the processor says the money went back
    FAILED = "failed"  # the money came back to us; an operator decides


class RefundKind(StrEnum):
    """Why money goes back, and whom it costs."""

    ORDER = "order"  # lines are returned: payees lose their shares
    CORRECTION = "correction"  # the price was wrong: payees lose their shares, access stays
    GOODWILL = "goodwill"  # a gift of the platform, which bears it alone: payees and access stay
    UNAPPLIED = "unapplied"  # money that paid for no order: no line is touched

    @property
    def takes_from_lines(self) -> bool:
        """Whether it lowers what is left of the order's lines, and counts as refunded."""
        return self is not RefundKind.UNAPPLIED

    @property
    def absorbed(self) -> bool:
        """Whether the platform bears it alone."""
        return self is RefundKind.GOODWILL


class ItemType(StrEnum):
    """What a catalogue item is."""

    COURSE = "course"  # open at any time
    REGISTRATION = "registration"  # a dated run with seats
    BUNDLE = "bundle"  # several items at one price, exploded when the order is made


class Role(StrEnum):
    """What a caller may do."""

    LEARNER = "learner"  # buys and reads what is theirs
    INSTRUCTOR = "instructor"  # also reads own earnings
    OPERATOR = "operator"  # everything but settings
    SERVICE = "service"  # a machine

"""What workflows are started with and told: one dataclass each, ids and amounts only.

Personal data stays in PostgreSQL; a history holds nothing that an erasure would have to find.
Workflow and signal names stand here, because senders of a message may not import its receiver.
"""

from dataclasses import dataclass
from typing import Any

from domain.resolutions import ResolutionChoice

CHECKOUT = "CheckoutWorkflow"
LATE_PAYMENT = "LatePaymentWorkflow"
LATE_FAILURE = "LateFailureWorkflow"
ENTITLEMENT = "EntitlementWorkflow"
REVENUE_SPLIT = "RevenueSplitWorkflow"
REFUND = "RefundWorkflow"
BALANCE_TRANSACTION = "BalanceTransactionWorkflow"
WEBHOOK_DELIVERY = "WebhookDeliveryWorkflow"
WEBHOOK_REPLAY = "WebhookReplayWorkflow"
DISPUTE = "DisputeWorkflow"
INBOX_RECOVERY = "InboxRecoveryWorkflow"
COMPLETION_POLLING = "CompletionPollingWorkflow"
RECONCILIATION = "ReconciliationWorkflow"
REPAIR = "RepairWorkflow"
PAYOUT = "PayoutWorkflow"
CORRECTION = "CorrectionWorkflow"
TAX_REPORT = "TaxReportWorkflow"
STORE_CREDIT = "StoreCreditWorkflow"
EARNINGS_IDENTITY = "EarningsIdentityWorkflow"
LEDGER_SEAL = "LedgerSealWorkflow"
RETENTION = "RetentionWorkflow"
RESOLUTION = "ResolutionWorkflow"
RUN_CHANGE = "RunChangeWorkflow"
PERSON_ERASURE = "PersonErasureWorkflow"
PERSON_MERGE = "PersonMergeWorkflow"
ACCOUNT_CHANGE = "AccountChangeWorkflow"

UPDATE_CANCEL = "cancel"

SIGNAL_PAYMENT = "payment_event"
SIGNAL_ENTITLEMENT = "entitlement_changed"
SIGNAL_WAKE = "wake"
SIGNAL_RETRY_NOW = "retry_now"
SIGNAL_LINE = "line_changed"
SIGNAL_REFUND = "refund_event"
SIGNAL_DISPUTE = "dispute_event"


@dataclass(frozen=True)
class OrderInput:
    """Starts or resumes an order; everything else is read from its rows."""

    order_id: str


@dataclass(frozen=True)
class CheckoutAnswer:
    """What the front end waits for. `intent_id` is None when nothing is due."""

    order_id: str
    intent_id: str | None


@dataclass(frozen=True)
class CancelRequest:
    """Who cancels: `customer` or `operator`."""

    by: str


@dataclass(frozen=True)
class PaymentEvent:
    """A verified event about a payment intent, stored in the inbox under `inbox_id`."""

    inbox_id: str
    type: str
    intent_id: str


@dataclass(frozen=True)
class EntitlementInput:
    """One user and one course."""

    user_id: str
    course_id: str


@dataclass(frozen=True)
class LineInput:
    """One order line."""

    line_id: str


@dataclass(frozen=True)
class PayoutInput:
    """A verified `payout.settled`, stored in the inbox under `inbox_id`."""

    inbox_id: str


@dataclass(frozen=True)
class CorrectionInput:
    """A correction of a payee's money; what was asked stands in its command row."""

    correction_id: str


@dataclass(frozen=True)
class StoreCreditInput:
    """Store credit to give; what was asked stands in its command row."""

    grant_id: str


@dataclass(frozen=True)
class RefundInput:
    """One refund; what was asked stands in its command row. One that was made at the processor, in its
    dashboard, comes with the processor's id instead."""

    refund_id: str
    provider_refund_id: str | None = None


@dataclass(frozen=True)
class RefundEvent:
    """A verified event about a refund, stored in the inbox."""

    inbox_id: str
    type: str


@dataclass(frozen=True)
class DisputeInput:
    """One dispute, by the processor's id."""

    provider_id: str


@dataclass(frozen=True)
class DisputeEvent:
    """A verified event about a dispute, stored in the inbox."""

    inbox_id: str
    type: str


@dataclass(frozen=True)
class ResolutionInput:
    """One question to a buyer about one order line."""

    resolution_id: str


@dataclass(frozen=True)
class ResolutionDecision:
    """A choice for a question; without one, the default. `key` names who decides, so that a repeat finds
    its own answer; `user_id` is the operator or learner, None for the deadline."""

    resolution_id: str
    key: str
    by: str
    choice: ResolutionChoice | None = None
    item_id: str | None = None
    user_id: str | None = None


@dataclass(frozen=True)
class RunChangeInput:
    """A dated run that was cancelled or rescheduled."""

    change_id: str


@dataclass(frozen=True)
class ErasureInput:
    """A person to be erased, by the commerce user's id. `now` is told to the activity, in whole seconds
    since the epoch."""

    user_id: str
    now: int = 0


@dataclass(frozen=True)
class LmsConcern:
    """Whom an event of the LMS concerns: accesses as (user, course), a user to be erased, a merge, a user
    whose account changed."""

    accesses: list[tuple[str, str]]
    erasure_of: str | None
    merge_id: str | None
    account_of: str | None


@dataclass(frozen=True)
class MergeInput:
    """Two accounts that are one person's. `now` is told to the activity, in whole seconds since the epoch."""

    merge_id: str
    now: int = 0


@dataclass(frozen=True)
class AccountInput:
    """A person whose account at the LMS changed, by the commerce user's id."""

    user_id: str


@dataclass(frozen=True)
class TaxReportInput:
    """An issued document whose tax the calculator has to be told of."""

    document_id: str


@dataclass(frozen=True)
class LatePaymentInput:
    """Money that came when the order's workflow had already closed."""

    order_id: str
    intent_id: str


@dataclass(frozen=True)
class LateFailureInput:
    """A payment that failed after it had succeeded."""

    order_id: str
    intent_id: str


@dataclass(frozen=True)
class BalanceTransactionInput:
    """A balance transaction to read from the processor and post."""

    transaction_id: str
    order_id: str | None


@dataclass(frozen=True)
class ReconciliationInput:
    """A comparison of processor and books. Times are RFC 3339.

    Without a period it goes on where the last one ended, until now, or until the last midnight (UTC) with
    `whole_days`. The other members carry a long run from one execution to the next.
    """

    period_from: str | None = None
    period_to: str | None = None
    whole_days: bool = False
    pages_per_execution: int = 20
    run_id: str = ""
    page: int = 0
    transactions: int = 0
    after: str | None = None


@dataclass(frozen=True)
class DifferenceInput:
    """One difference between processor and books."""

    difference_id: str


@dataclass(frozen=True)
class DeliveryInput:
    """One stream of events for one endpoint."""

    endpoint_id: str
    stream: str


@dataclass(frozen=True)
class ReplayInput:
    """Events to send to an endpoint again: all since a moment (RFC 3339); without one, what is pending."""

    endpoint_id: str
    since: str | None = None
    only_undelivered: bool = False
    after: str = ""
    """The last stream that is done, when the work goes on in another run."""
    events: int = 0
    """How many the runs before have sent."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row of the inbox, as far as its routing needs it. Never sent to a workflow."""

    inbox_id: str
    source: str
    type: str
    order_id: str | None
    payload: dict[str, Any]
    dispatched: bool = False

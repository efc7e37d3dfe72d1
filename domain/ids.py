"""Every identifier that is derived from business facts, in one place.

Workflow ids, Stripe idempotency keys and ledger event keys are made here and nowhere else, so that
the same fact always gets the same name, whoever works on it and however often. Random ids (UUIDv7)
are made by PostgreSQL.
"""

from hashlib import sha256

# --- Temporal workflow ids -------------------------------------------------------------------


def order_workflow_id(order_id: str) -> str:
    """The one writer of an order's payment and fulfilment."""
    return f"order/{order_id}"


def late_payment_workflow_id(intent_id: str) -> str:
    """Decides on money that came after the order's workflow had closed."""
    return f"late-payment/{intent_id}"


def late_failure_workflow_id(intent_id: str) -> str:
    """Undoes the sale of a payment that failed after it had counted as paid."""
    return f"late-failure/{intent_id}"


def entitlement_workflow_id(user_id: str, course_id: str) -> str:
    """The only one that grants or revokes this course for this user."""
    return f"entitlement/{user_id}/{course_id}"


def split_workflow_id(line_id: str) -> str:
    """Recognition, accrual, hold and release of one order line."""
    return f"split/{line_id}"


def refund_workflow_id(refund_id: str) -> str:
    """One refund, from Stripe's request to the revocation of access."""
    return f"refund/{refund_id}"


def resolution_workflow_id(resolution_id: str) -> str:
    """Asks one buyer what is to become of one order line, and has it done."""
    return f"resolution/{resolution_id}"


def run_change_workflow_id(change_id: str) -> str:
    """Has every buyer of a cancelled or rescheduled run asked."""
    return f"run-change/{change_id}"


def erasure_workflow_id(user_id: str) -> str:
    """Wipes what is held of a person, once nothing of theirs is open any more."""
    return f"erasure/{user_id}"


def merge_workflow_id(merge_id: str) -> str:
    """Moves what was one account's to the one that the LMS merged it into."""
    return f"merge/{merge_id}"


def account_workflow_id(user_id: str) -> str:
    """Does what follows from a change of a person's account at the LMS."""
    return f"account/{user_id}"


def store_credit_workflow_id(grant_id: str) -> str:
    """Store credit given to somebody."""
    return f"store-credit/{grant_id}"


def payout_workflow_id(inbox_id: str) -> str:
    """Posts one `payout.settled`, by the event: two events about one payout meet in the ledger."""
    return f"payout/{inbox_id}"


def correction_workflow_id(correction_id: str) -> str:
    """An operator's correction of a payee's money."""
    return f"correction/{correction_id}"


def balance_transaction_workflow_id(transaction_id: str) -> str:
    """Posts the processor's fee of one balance transaction."""
    return f"balance-transaction/{transaction_id}"


def reconciliation_workflow_id(run: str) -> str:
    """One comparison of processor and books, by whoever asked for it."""
    return f"reconciliation/{run}"


def repair_workflow_id(difference_id: str) -> str:
    """The repair of one difference between processor and books."""
    return f"repair/{difference_id}"


def recovered_event_id(transaction_id: str) -> str:
    """The event that should have told of a balance transaction, made of what the processor holds."""
    return f"reconciliation/{transaction_id}"


def delivery_workflow_id(endpoint_id: str, stream: str) -> str:
    """Delivers one stream of events to one webhook endpoint, in order."""
    return f"delivery/{endpoint_id}/{stream}"


def tax_report_workflow_id(document_id: str) -> str:
    """Tells the tax calculator of one invoice, receipt or credit note."""
    return f"tax-report/{document_id}"


def replay_workflow_id(replay_id: str) -> str:
    """Sends an endpoint events again; the id comes from the idempotency record of who asked."""
    return f"replay/{replay_id}"


# --- Temporal update ids: the same request asks once ------------------------------------------

CHECKOUT_UPDATE_ID = "checkout"
REFUND_UPDATE_ID = "request"
CORRECTION_UPDATE_ID = "request"
STORE_CREDIT_UPDATE_ID = "request"


def cancel_update_id(command_id: str) -> str:
    """One attempt of a caller to cancel; the command's id comes from its idempotency record."""
    return f"cancel/{command_id}"


def resolve_update_id(command_id: str) -> str:
    """One choice of a caller; the command's id comes from its idempotency record."""
    return f"resolve/{command_id}"


def cancel_for_run_update_id(change_id: str, look: str) -> str:
    """The cancellation of an unpaid order because its run is cancelled; another `look` asks again."""
    return f"cancel/run-change/{change_id}/{look}"


# --- Stripe idempotency keys: n counts business attempts, stored before the call ---------------


def intent_key(order_id: str, attempt: int) -> str:
    """Creation of the order's n-th payment intent."""
    return f"order/{order_id}/intent/{attempt}"


def refund_issue_key(refund_id: str, attempt: int) -> str:
    """The n-th issue of a refund (a failed one is issued again under a new key)."""
    return f"refund/{refund_id}/issue/{attempt}"


def tax_calculation_key(order_id: str, content: str) -> str:
    """The tax of what is to become this order; other content is another calculation."""
    return f"order/{order_id}/tax/{content}"


def tax_transaction_key(order_id: str) -> str:
    """The tax of an order was collected."""
    return f"order/{order_id}/tax-transaction"


def tax_reversal_reference(cause: str, cause_id: str) -> str:
    """Names the reversal of a `refund`, `dispute` or failed `payment` in Stripe's tax reports; order ids
    name sales."""
    return f"{cause}-{cause_id}"


def tax_reversal_key(cause: str, cause_id: str) -> str:
    """The tax of a refund (or dispute, or failed payment) went back."""
    return f"{cause}/{cause_id}/tax-reversal"


# --- Streams of outbound events ----------------------------------------------------------------


def tax_correction_reference(refund_id: str) -> str:
    """Names in Stripe's tax reports the sale that stands again, after its refund was canceled."""
    return f"refund-{refund_id}-canceled"


def tax_correction_key(refund_id: str) -> str:
    """The tax of a canceled refund is owed again."""
    return f"refund/{refund_id}/tax-correction"


def order_stream(order_id: str) -> str:
    """Events about one order, in order."""
    return f"order/{order_id}"


def entitlement_stream(entitlement_id: str) -> str:
    """Events about one entitlement, in order."""
    return f"entitlement/{entitlement_id}"


def payee_stream(payee: str, currency: str) -> str:
    """Earning events of one payee in one currency, in order."""
    return f"payee/{payee}/{currency}"


def person_stream(user_id: str) -> str:
    """Events about a person, for those who hold copies of their data."""
    return f"person/{user_id}"


def endpoint_stream(endpoint_id: str) -> str:
    """Events about a receiver itself, told to the others."""
    return f"webhook-endpoint/{endpoint_id}"


# --- Caller of an idempotency key ----------------------------------------------------------------


def user_caller(user_id: str) -> str:
    """A signed-in person."""
    return f"user/{user_id}"


def key_caller(key_id: str) -> str:
    """A machine with an API key."""
    return f"key/{key_id}"


def email_caller(email: str) -> str:
    """Somebody who registers: there is no user yet. A digest: any text will do, and none is shown."""
    return f"email/{sha256(email.lower().encode('utf-8', 'surrogatepass')).hexdigest()}"


# --- Payees ------------------------------------------------------------------------------------------


def instructor_payee(lms_user_id: str) -> str:
    """An instructor as a payee of split rules and of the payout system."""
    return f"lms:{lms_user_id}"


def polled_completion_id(lms_user_id: str, lms_course_id: str, times_taken_back: int = 0) -> str:
    """In the place of an event's id, for a completion that the LMS was asked for."""
    again = f"/{times_taken_back}" if times_taken_back else ""
    return f"polled/{lms_user_id}/{lms_course_id}{again}"


def polled_revocation_id(completion_id: str) -> str:
    """In the place of an event's id, for a completion that the LMS no longer knows when it is asked again."""
    return f"polled-back/{completion_id}"


def foreign_refund_id(provider_refund_id: str, created: int) -> str:
    """Our id for a refund that was made at the processor `created` seconds after the epoch: the same whoever
    hears of it first, and sorted by time among the others."""
    digest = sha256(f"refund:{provider_refund_id}".encode()).digest()
    value = bytearray((created * 1000).to_bytes(6, "big") + digest[:10])
    value[6] = 0x70 | value[6] & 0x0F  # version 7
    value[8] = 0x80 | value[8] & 0x3F  # the variant of RFC 9562
    text = value.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def dispute_workflow_id(provider_id: str) -> str:
    """The one writer of a dispute."""
    return f"dispute/{provider_id}"


def dispute_evidence_key(provider_id: str) -> str:
    """Stripe idempotency key: evidence is submitted once."""
    return f"dispute/{provider_id}/evidence"


def dispute_accept_key(provider_id: str) -> str:
    """Stripe idempotency key: a loss is accepted once."""
    return f"dispute/{provider_id}/accept"

"""Every stable error code: its status where the class does not say it, its title, its meaning."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorDoc:
    """One code as the docs page shows it."""

    status: int
    title: str
    meaning: str


ERROR_CODES: dict[str, ErrorDoc] = {
    "malformed_body": ErrorDoc(400, "Malformed body", "The body is not JSON."),
    "bad_signature": ErrorDoc(400, "Bad signature", "An inbound webhook is not signed as it should be."),
    "idempotency_key_required": ErrorDoc(
        400,
        "Idempotency-Key required",
        "Every write but the few without a key (see /docs) carries one of 1 to 255 characters.",
    ),
    "unauthenticated": ErrorDoc(
        401, "Not signed in", "No access token, or one that is not valid or has expired."
    ),
    "bad_credentials": ErrorDoc(401, "Bad credentials", "The LMS does not accept user name and password."),
    "invalid_refresh_token": ErrorDoc(
        401, "Refresh token not valid", "It has expired, or was used before: then its whole family ends."
    ),
    "forbidden": ErrorDoc(403, "Not allowed", "The caller's role may not do this."),
    "not_found": ErrorDoc(404, "Not found", "No such object or address, or an object of another person."),
    "method_not_allowed": ErrorDoc(405, "Method not allowed", "The path does not take this method."),
    "request_timeout": ErrorDoc(408, "Request too slow", "The whole body has to be here within 20 seconds."),
    "already_registered": ErrorDoc(409, "Already registered", "The LMS has an account with this email."),
    "cart_empty": ErrorDoc(409, "Cart is empty", "There is nothing to check out, or another tab did."),
    "price_changed": ErrorDoc(
        409, "Price changed", "The total is not the expected one; `quote` has the new figures."
    ),
    "sold_out": ErrorDoc(409, "Sold out", "No seat is left."),
    "item_unavailable": ErrorDoc(409, "Item unavailable", "The item is not on sale now."),
    "task_closed": ErrorDoc(409, "Task closed", "Somebody decided it before."),
    "already_owned": ErrorDoc(409, "Already owned", "The learner has a right to this course already."),
    "promo_used_up": ErrorDoc(
        409, "Promotion used up", "The last use of the promotion went to somebody else."
    ),
    "order_not_cancelable": ErrorDoc(409, "Order can't be canceled", "It is paid, under way, or has ended."),
    "not_paid": ErrorDoc(409, "Not paid", "There is no payment to refund or to show a receipt for."),
    "refund_exceeds_paid": ErrorDoc(409, "Refund exceeds payment", "More is asked back than is left."),
    "dispute_over": ErrorDoc(
        409, "Dispute is over", "The bank has decided; nothing can be submitted or accepted."
    ),
    "evidence_submitted": ErrorDoc(409, "Evidence submitted", "Evidence goes to the bank once."),
    "refund_not_failed": ErrorDoc(
        409, "Refund has not failed", "Only a refund that failed is issued again or canceled."
    ),
    "refund_not_cancelable": ErrorDoc(
        409, "Refund can't be canceled", "Money would stay with somebody whose it is not."
    ),
    "refund_window_closed": ErrorDoc(409, "Refund window closed", "A learner may refund until its end."),
    "dispute_open": ErrorDoc(409, "Dispute open", "The dispute's outcome decides about the money."),
    "payment_refused": ErrorDoc(409, "Payment refused", "The processor refuses such a payment for good."),
    "resolution_closed": ErrorDoc(
        409, "Nothing to decide", "The question about this line was decided, or withdrawn."
    ),
    "run_cancelled": ErrorDoc(409, "Run cancelled", "The run was cancelled before."),
    "entitlement_not_failed": ErrorDoc(409, "Nothing to retry", "Only a failed entitlement can be retried."),
    "split_rule_overlap": ErrorDoc(409, "Split rules overlap", "Another version is valid in this time."),
    "tax_rate_exists": ErrorDoc(
        409, "Tax rate exists", "A version of the same place and kind of goods begins on that day."
    ),
    "maintenance_invalid": ErrorDoc(422, "Maintenance invalid", "`until` lies in the next 14 days."),
    "tax_rate_invalid": ErrorDoc(
        422, "Tax rate invalid", "A version begins today (UTC) or later: what was sold keeps its tax."
    ),
    "period_closed": ErrorDoc(
        409, "Period closed", "That month of the ledger is closed for good; nothing is posted into it."
    ),
    "period_not_over": ErrorDoc(409, "Period not over", "Only a month that has ended can be closed."),
    "difference_closed": ErrorDoc(
        409, "Difference closed", "It was repaired or accepted; only an open one can be."
    ),
    "role_of_lms": ErrorDoc(409, "Role of the LMS", "Only roles that an operator gave are taken here."),
    "conflict": ErrorDoc(409, "Conflict", "The present state forbids it."),
    "endpoint_disabled": ErrorDoc(409, "Endpoint is off", "The webhook endpoint is switched off or deleted."),
    "idempotency_key_in_use": ErrorDoc(
        409, "Key in use", "A request with this key is still running; ask again after Retry-After."
    ),
    "precondition_failed": ErrorDoc(412, "Precondition failed", "If-Match names an older version."),
    "body_too_large": ErrorDoc(413, "Body too large", "A body has at most 256 kB, a webhook 1 MB."),
    "invalid_request": ErrorDoc(
        422, "Invalid request", "The request does not have its form; `errors` says where."
    ),
    "invalid_cursor": ErrorDoc(422, "Invalid cursor", "Use the `next_cursor` of the answer before."),
    "currency_mismatch": ErrorDoc(409, "Currency mismatch", "Two amounts in different currencies met."),
    "promo_invalid": ErrorDoc(
        422,
        "Promotion does not apply",
        "`reason` is expired, not_started, used_up, not_applicable, below_minimum or unknown.",
    ),
    "tax_id_invalid": ErrorDoc(
        422,
        "Tax id not valid",
        "The VAT number has not its country's form, or its registry does not know it.",
    ),
    "tax_location_invalid": ErrorDoc(
        422,
        "Address too vague for tax",
        "The tax can't be calculated for it; the detail says what is missing.",
    ),
    "idempotency_key_reused": ErrorDoc(
        422, "Key reused", "The key was used with another method, path or body."
    ),
    "choice_not_offered": ErrorDoc(422, "Choice not offered", "The question does not offer this choice."),
    "run_not_offered": ErrorDoc(
        422, "No such run", "The item is no other run of the line's course at the line's price, on sale now."
    ),
    "not_a_run": ErrorDoc(422, "Not a dated run", "Only a registration can be cancelled or rescheduled."),
    "date_has_passed": ErrorDoc(422, "Date has passed", "A run is moved to a date that is to come."),
    "unsafe_url": ErrorDoc(422, "Unsafe address", "A webhook may not go to this address."),
    "lms_invalid_input": ErrorDoc(422, "The LMS refuses a field", "The detail is the LMS's own."),
    "rate_limited": ErrorDoc(429, "Too many requests", "Come back after Retry-After."),
    "slug_taken": ErrorDoc(409, "Slug taken", "Another item has this slug."),
    "code_taken": ErrorDoc(409, "Code taken", "Another promotion has this code."),
    "invalid_members": ErrorDoc(
        422, "Invalid members", "A bundle has items of its own currencies, each once."
    ),
    "capacity_below_taken": ErrorDoc(422, "Capacity too low", "More seats than that are taken already."),
    "limit_below_uses": ErrorDoc(422, "Limit too low", "The promotion was used more often already."),
    "split_rule_invalid": ErrorDoc(
        422,
        "Split rule invalid",
        "It could exceed the whole, or it names what can't be; the detail says what.",
    ),
    "simulation_too_large": ErrorDoc(
        422, "Simulation too large", "Too many lines at once: narrow the period, the item or the channel."
    ),
    "already_accrued": ErrorDoc(
        409,
        "Earnings have accrued",
        "The rule of a line changes before that; later, earnings are reassigned.",
    ),
    "affiliate_unknown": ErrorDoc(
        422, "Unknown affiliate", "No active affiliate has this code, or it is the buyer's own."
    ),
    "share_too_small": ErrorDoc(409, "Share too small", "The payee has less than that of this line."),
    "write_off_exceeds_debt": ErrorDoc(
        409, "Write-off exceeds debt", "A payee's debt is written off as far as it goes, not further."
    ),
    "lms_rejected": ErrorDoc(422, "The LMS refuses", "The LMS said no for a reason of its own."),
    "lms_misconfigured": ErrorDoc(
        422, "LMS misconfigured", "Settings or permissions at the LMS: for an operator."
    ),
    "invalidparameter": ErrorDoc(
        422, "The LMS refuses", "Moodle found a value wrong, and does not say which."
    ),
    "token_refused": ErrorDoc(422, "The LMS refuses", "Open edX gave no token, for a reason of its own."),
    "unknown_user": ErrorDoc(422, "Unknown user", "The LMS does not know this user."),
    "unknown_course": ErrorDoc(422, "Unknown course", "The LMS does not know this course."),
    "user_not_ready": ErrorDoc(422, "User not ready", "The account at the LMS is unconfirmed or suspended."),
    "dispute_unknown": ErrorDoc(422, "Unknown dispute", "These lines know of no such dispute."),
    "refund_unknown": ErrorDoc(422, "Unknown refund", "These lines know of no such refund."),
    "share_lowered": ErrorDoc(409, "Share lowered", "The payee's share was lowered by a refund meanwhile."),
    "unknown_currency": ErrorDoc(422, "Unknown currency", "No currency of ISO 4217 that we know."),
    "amount_not_chargeable": ErrorDoc(
        422, "Amount can't be charged", "It is off the currency's charge step."
    ),
    "processor_rejected": ErrorDoc(422, "Processor refuses", "The payment processor said no for good."),
    "internal": ErrorDoc(500, "Internal error", "Our mistake; the request id finds it in the log."),
    "unavailable": ErrorDoc(503, "Not available now", "Nothing is lost: ask again with the same key."),
    "lms_unavailable": ErrorDoc(503, "LMS not available", "The LMS can't be reached now."),
    "vat_registry_unavailable": ErrorDoc(
        503,
        "VAT registry not available",
        "The VAT number can't be checked now; without it the same cart can be bought, with tax.",
    ),
    "processor_unavailable": ErrorDoc(503, "Payments not available", "The processor can't be reached now."),
}

STATUS_BY_CODE = {code: doc.status for code, doc in ERROR_CODES.items()}
TITLES = {code: doc.title for code, doc in ERROR_CODES.items()}

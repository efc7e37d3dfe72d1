"""Which error codes each operation may answer with: by what it takes, and by the business rules it meets."""

from collections.abc import Iterator
from typing import Any

from api.audit import REASON_HEADER
from api.error_codes import STATUS_BY_CODE
from api.idempotency import CommerceRoute

_LMS = ("lms_unavailable", "lms_rejected", "lms_misconfigured", "invalidparameter", "token_refused")
_CART = ("item_unavailable", "sold_out", "already_owned", "currency_mismatch", "cart_empty")
_PRICING = (
    *("promo_invalid", "promo_used_up", "tax_id_invalid", "tax_location_invalid", "vat_registry_unavailable"),
    *("amount_not_chargeable", "price_changed", "currency_mismatch", "processor_unavailable"),
    *("processor_rejected", "split_rule_invalid"),
)
_REFUND = (
    *("refund_exceeds_paid", "not_paid", "dispute_open", "refund_window_closed", "refund_unknown"),
    *("dispute_unknown", "currency_mismatch", "conflict"),
)
_CORRECTION = (
    *("currency_mismatch", "share_too_small", "share_lowered", "write_off_exceeds_debt", "conflict"),
)

# What an operation answers beyond what all of its form do (see `codes_of`).
OWN_CODES: dict[str, tuple[str, ...]] = {
    "register": ("already_registered", "bad_credentials", "lms_invalid_input", *_LMS),
    "login": ("bad_credentials", *_LMS),
    "refresh": ("invalid_refresh_token", *_LMS),
    "logout": ("invalid_refresh_token",),
    "create_item": ("slug_taken", "invalid_members", "amount_not_chargeable", "unknown_currency"),
    "change_item": (
        *("capacity_below_taken", "invalid_members", "amount_not_chargeable", "unknown_currency"),
        *("slug_taken", "run_cancelled"),
    ),
    "create_promotion": ("code_taken", "unknown_currency"),
    "change_promotion": ("code_taken", "limit_below_uses"),
    "add_cart_item": (*_CART, "unknown_currency"),
    "change_cart_item": _CART,
    "set_promo": ("promo_invalid", "promo_used_up", "cart_empty"),
    "quote": (*_CART, *_PRICING, "unknown_currency"),
    "checkout": (
        *_CART,
        *_PRICING,
        *("affiliate_unknown", "payment_refused", "unknown_currency", "conflict"),
    ),
    "cancel_order": ("order_not_cancelable", "payment_refused", "processor_unavailable"),
    "get_my_erasure": ("not_found",),
    "get_receipt": ("not_paid",),
    "create_refund": (*_REFUND, "unknown_currency", *_LMS),
    "reissue_refund": (*_REFUND, "refund_not_failed"),
    "cancel_refund": (*_REFUND, "refund_not_failed", "refund_not_cancelable"),
    "submit_dispute_evidence": ("dispute_over", "evidence_submitted", "conflict"),
    "accept_dispute": ("dispute_over", "evidence_submitted", "conflict"),
    "create_adjustment": (*_REFUND, "unknown_currency"),
    "grant_store_credit": (
        *("unknown_user", "unknown_currency", "dispute_open", "not_paid", "refund_exceeds_paid"),
        *("currency_mismatch", "conflict"),
    ),
    "retry_entitlement": ("entitlement_not_failed", "conflict"),
    "close_task": ("task_closed",),
    "create_tax_rate": ("tax_rate_exists", "tax_rate_invalid"),
    "create_split_rule": (
        *("split_rule_overlap", "split_rule_invalid", "already_accrued", "unknown_currency"),
        "affiliate_unknown",
    ),
    "simulate_split": (
        *("split_rule_invalid", "simulation_too_large", "unknown_currency", "currency_mismatch"),
        *("refund_unknown", "dispute_unknown", "affiliate_unknown"),
    ),
    "create_affiliate": ("code_taken",),
    "write_off_payee": (*_CORRECTION, "unknown_currency"),
    "reassign_earnings": (*_CORRECTION, "unknown_currency"),
    "close_period": ("period_closed", "period_not_over", "conflict"),
    "reopen_period": ("period_closed", "period_not_over", "conflict"),
    "list_periods": ("invalid_cursor",),
    "repair_reconciliation_difference": ("difference_closed", "conflict"),
    "accept_reconciliation_difference": ("difference_closed", "conflict"),
    "receive_stripe_event": ("bad_signature",),
    "receive_lms_event": ("bad_signature",),
    "receive_payout_event": ("bad_signature",),
    "take_role": ("role_of_lms",),
    "set_lms_maintenance": ("maintenance_invalid",),
    "cancel_run": ("not_a_run", "run_cancelled", "conflict"),
    "reschedule_run": ("not_a_run", "date_has_passed", "run_cancelled", "conflict"),
    "resolve_line": ("resolution_closed", "choice_not_offered", "run_not_offered", *_REFUND),
    "create_webhook_endpoint": ("unsafe_url",),
    "change_webhook_endpoint": ("unsafe_url", "endpoint_disabled"),
    "delete_webhook_endpoint": ("endpoint_disabled",),
    "rotate_webhook_secret": ("endpoint_disabled",),
    "redeliver_webhook": ("endpoint_disabled", "conflict"),
    "replay_webhooks": ("endpoint_disabled", "conflict"),
}


def codes_of(route: CommerceRoute, operation: dict[str, Any]) -> dict[int, list[str]]:
    """The codes that an operation of the document may answer with, by status, each list sorted."""
    found: dict[int, list[str]] = {}
    for code in sorted({*_by_form(route, operation), *OWN_CODES.get(route.operation_id or "", ())}):
        found.setdefault(STATUS_BY_CODE[code], []).append(code)
    return dict(sorted(found.items()))


def _by_form(route: CommerceRoute, operation: dict[str, Any]) -> Iterator[str]:
    yield from ("rate_limited", "internal", "unavailable", "body_too_large", "request_timeout")
    if route.access is not None:
        yield from ("unauthenticated", "forbidden")  # a role or, for machines, a scope is missing
    parameters = {(parameter["in"], parameter["name"]) for parameter in operation.get("parameters", ())}
    has_body = "requestBody" in operation
    # Also what a body or a filter names may not be there.
    names = any(place == "path" or (place == "query" and name.endswith("_id")) for place, name in parameters)
    if names or (has_body and route.access is not None):
        yield "not_found"
    checked = any(place == "query" for place, _ in parameters) or _needs_reason(operation)
    if has_body or checked or _has_chosen_path(operation):
        yield "invalid_request"
    if ("query", "cursor") in parameters:
        yield "invalid_cursor"
    if has_body:
        yield "malformed_body"
    if ("header", "If-Match") in parameters:
        yield "precondition_failed"
    if route.takes_key:
        yield from ("idempotency_key_required", "idempotency_key_in_use", "idempotency_key_reused")


def _needs_reason(operation: dict[str, Any]) -> bool:
    return any(
        parameter["name"] == REASON_HEADER and parameter["required"]
        for parameter in operation.get("parameters", ())
    )


def _has_chosen_path(operation: dict[str, Any]) -> bool:
    """Whether a part of the path is more than any text: one of some words, say."""
    return any(
        parameter["in"] == "path" and parameter["schema"].keys() - {"type", "title", "description"}
        for parameter in operation.get("parameters", ())
    )

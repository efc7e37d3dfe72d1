"""What a caller does about an error: by its code, or by its status where that says all."""

from api.error_codes import ERROR_CODES

_BY_STATUS = {
    400: "Mend the request; nothing was done.",
    401: "Sign in, or refresh the access token, and repeat.",
    403: "Ask somebody who may, or use a key with the scope that the operation names.",
    404: "Look the id up in a list of your own; compare the address with those on /docs.",
    405: "Use a method that `Allow` names.",
    408: "Repeat with the same key.",
    409: "Read the object again, and decide by what it is now.",
    412: "Read the object again, and repeat with its new `ETag` if the change is still wanted.",
    413: "Send less.",
    422: "Mend the request; a repeat as it is meets the same.",
    429: "Wait for `Retry-After`, then repeat with the same key.",
    500: "Repeat with the same key; when it stays, tell us the `request_id`.",
    503: "Wait for `Retry-After`, then repeat with the same key: it goes on where it was.",
}
_BY_CODE = {
    "bad_signature": "Sign the raw body with the secret that this system knows, by a clock that is right.",
    "bad_credentials": "Try another password, or have it reset at the LMS.",
    "invalid_refresh_token": "Log in again.",
    "already_registered": "Log in instead.",
    "cart_empty": "Look for the order that the other tab made, or fill the cart.",
    "price_changed": "Show the buyer `quote`, and repeat with its total as `expected_total`.",
    "sold_out": "Take the line out, or offer another run; a seat comes back when an order ends unpaid.",
    "item_unavailable": "Take the line out of the cart.",
    "already_owned": "Take the line out of the cart, and lead the learner to the course.",
    "promo_used_up": "Clear the promotion, and show the new total.",
    "promo_invalid": "Tell the buyer by `reason`, and let them try another code.",
    "order_not_cancelable": "Ask for a refund when it is paid.",
    "not_paid": "Wait for `order.paid`, or pay.",
    "refund_exceeds_paid": "Ask for at most what the order shows as paid and not refunded.",
    "refund_window_closed": "Have an operator refund it.",
    "dispute_open": "Wait for `dispute.won` or `dispute.lost`.",
    "payment_refused": "Start a new checkout, with another amount or means of payment.",
    "currency_mismatch": "Buy what has another currency in a cart of its own.",
    "period_closed": "Date it into a month that is open.",
    "endpoint_disabled": "Switch it on with `{\"active\": true}`, or make a new one.",
    "lms_misconfigured": "Tell an operator, who finds with `commerce lms check` what to set; then repeat.",
    "idempotency_key_in_use": "Wait for `Retry-After`, then repeat with the same key.",
    "idempotency_key_reused": "Use a fresh key for another request; the same one only to repeat.",
    "idempotency_key_required": "Send a fresh UUID with each write, and keep it for repeats.",
    "invalid_cursor": "Begin again without a cursor.",
    "tax_id_invalid": "Have the number corrected, or check out without it and with tax.",
    "tax_location_invalid": "Ask the buyer for what the detail says is missing.",
    "unsafe_url": "Use https and a name that leads to a public address.",
    "unknown_currency": "Use the code of ISO 4217 in capitals.",
    "amount_not_chargeable": "Use a price that is a multiple of the currency's step.",
    "vat_registry_unavailable": "Repeat later, or check out without the number and with tax.",
}  # fmt: skip


def remedy_of(code: str) -> str:
    """What to do when this code is answered."""
    return _BY_CODE.get(code) or _BY_STATUS[ERROR_CODES[code].status]

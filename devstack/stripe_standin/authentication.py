"""API keys: any `sk_test_...` opens the account, `pk_test_...` what a browser may do."""

import base64
import binascii
from typing import Any

from devstack.stripe_standin.errors import ApiError

BROWSER_FIELDS = (
    *("id", "object", "amount", "amount_details", "automatic_payment_methods", "canceled_at"),
    *("cancellation_reason", "capture_method", "client_secret", "confirmation_method", "created"),
    *("currency", "description", "last_payment_error", "livemode", "next_action", "payment_method"),
    *("payment_method_configuration_details", "payment_method_types", "processing", "receipt_email"),
    *("setup_future_usage", "shipping", "source", "status"),
)
"""What a publishable key gets to see of a payment intent."""
_NO_KEY = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, using"
    " Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See"
    " https://stripe.com/docs/api#authentication for details, or we can help at https://support.stripe.com/."
)
_CHALLENGE = {"www-authenticate": 'Bearer realm="Stripe"'}


def authenticate(header: str | None, params: dict[str, Any]) -> bool:
    """Whether the key is a publishable one; 401 without a key or with another one. Takes `key` out."""
    key = _key(header) or params.pop("key", None) or ""
    if not key:
        raise ApiError(401, _NO_KEY, headers=_CHALLENGE)
    if key.startswith("sk_test_") and len(key) > len("sk_test_"):
        return False
    if key.startswith("pk_test_") and len(key) > len("pk_test_"):
        return True
    hidden = f"{key[:8]}{'*' * max(0, len(key) - 12)}{key[-4:]}"
    raise ApiError(401, f"Invalid API Key provided: {hidden}", headers=_CHALLENGE)


def _key(header: str | None) -> str | None:
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None

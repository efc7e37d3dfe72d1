"""Inbound webhooks: who signed this, and when? Anything but a clean yes is BadSignature.

Both directions of time count: a message more than five minutes old may be replayed, one from more than
five minutes ahead could be replayed until then.
"""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

import stripe
from standardwebhooks import Webhook

from domain.errors import InvalidInput

TOLERANCE_SECONDS = 300

_SECONDS = re.compile(r"[1-9][0-9]{0,10}", re.ASCII)
_WEBHOOK_ID = re.compile(r"[!-~]{1,255}")
_MAX_SIGNATURES = 20


class BadSignature(InvalidInput):
    """The webhook was not signed by who it should come from, or not now; the gateway answers 400."""

    code = "bad_signature"


def verify_stripe(payload: bytes, header: str, secrets: Sequence[str], *, now: int) -> dict[str, Any]:
    """The event, when its `Stripe-Signature` is good under one of the secrets."""
    text = _text(payload)
    if not any(_stripe_signature_is_good(text, header, secret) for secret in secrets if secret.strip()):
        raise BadSignature("no signature matches")
    # The library's own check of age looks only backwards and reads the clock, so the stamp is read here,
    # after the signature over it has held.
    stamp = next(part[2:] for part in header.split(",") if part.startswith("t="))
    _require_recent(stamp, now)
    return _event(text)


def _stripe_signature_is_good(text: str, header: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(text, header, secret, tolerance=None)
    except Exception:  # noqa: BLE001 - garbage makes the library raise more than its own error
        return False
    return True


def verify_standard(
    payload: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: int
) -> dict[str, Any]:
    """The event, when its Standard Webhooks headers are good under one of the secrets.

    An event that carries no id of its own gets its `webhook-id`.
    """
    given = {name.lower(): value for name, value in headers.items()}
    webhook_id = given.get("webhook-id", "")
    stamp = given.get("webhook-timestamp", "")
    signatures = given.get("webhook-signature", "")
    if not _WEBHOOK_ID.fullmatch(webhook_id):
        raise BadSignature("webhook-id is missing or malformed")
    _require_recent(stamp, now)
    text = _text(payload)
    # The library's verify() reads the clock; its sign() does not, so the comparison is made here.
    passed = _signatures(signatures)
    moment = datetime.fromtimestamp(int(stamp), UTC)
    expected = [_standard_signature(secret, webhook_id, moment, text) for secret in secrets]
    matches = [hmac.compare_digest(one, other) for one in expected if one is not None for other in passed]
    if not any(matches):
        raise BadSignature("no signature matches")
    return _event(text, default_id=webhook_id)


def _standard_signature(secret: str, webhook_id: str, moment: datetime, text: str) -> bytes | None:
    try:
        signature = Webhook(secret).sign(webhook_id, moment, text)
    except Exception:  # noqa: BLE001 - an unusable secret verifies nothing, and must not be shown
        return None
    return base64.b64decode(signature.partition(",")[2])


def _signatures(header: str) -> list[bytes]:
    """The v1 signatures of a `webhook-signature` header; other versions and garbage are passed over."""
    found = []
    for part in header.split(" ")[:_MAX_SIGNATURES]:
        version, _, encoded = part.partition(",")
        if version != "v1":
            continue
        try:
            found.append(base64.b64decode(encoded, validate=True))
        except (binascii.Error, ValueError):
            continue
    return found


def _require_recent(stamp: str, now: int) -> None:
    if not _SECONDS.fullmatch(stamp):
        raise BadSignature("the timestamp is missing or malformed")
    if abs(now - int(stamp)) > TOLERANCE_SECONDS:
        raise BadSignature("the timestamp is too far from now")


def _text(payload: bytes) -> str:
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadSignature("the body is not UTF-8") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _event(text: str, default_id: str | None = None) -> dict[str, Any]:
    try:
        event = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadSignature("the body is not JSON") from error
    if not isinstance(event, dict):
        raise BadSignature("the body is not a JSON object")
    if default_id is not None:
        event.setdefault("id", default_id)
    for name in ("id", "type"):
        value = event.get(name)
        if not isinstance(value, str) or not _WEBHOOK_ID.fullmatch(value):
            raise BadSignature(f"the event has no usable {name}")
    return event

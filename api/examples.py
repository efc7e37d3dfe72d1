"""Examples for the bodies of the OpenAPI document: by their schema, or by hand where a body has rules."""

from typing import Any

_ID = "01980c5e-7a10-7c3e-8f00-3b1f6d2a9c41"
_TIME = "2026-09-01T10:00:00Z"
FUTURE = "2099-09-01T10:00:00Z"  # where a rule asks for a time that is still to come
_USD = {"amount": 4900, "currency": "USD"}
# Strings by the name of their field.
_TEXTS = {
    "currency": "USD",
    "country": "US",
    "state": "NY",
    "postal_code": "10001",
    "email": "ann@example.com",
    "full_name": "Ann Example",
    "username": "ann@example.com",
    "password": "correct horse battery",
    "slug": "python-101",
    "title": "Python from scratch",
    "number": "C-2026-000123",
    "url": "https://receiver.example.com/events",
    "reason": "asked by the learner",
    "lms_course_id": "python-101",
    "tax_code": "txcd_20060158",
    "secret": "whsec_bm90LWEtc2VjcmV0LW9ubHktYW4tZXhhbXBsZQ==",
    "payee": "lms:102",
    "payee_ref": "lms:102",
    "code": "WELCOME10",
    "pdf_url": f"/v1/documents/{_ID}.pdf",
    "stream": f"order/{_ID}",
    "locale": "en",
    "order_number": "C-2026-000123",
    "promo_code": "WELCOME10",
    "payment_intent_id": "pi_3QxAbCdEfGhIjKlMnOpQrStU",
    "client_secret": "pi_3QxAbCdEfGhIjKlMnOpQrStU_secret_AbCdEf",
    "publishable_key": "pk_live_AbCdEf",
    "access_token": "eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtMTEifQ.e30.c2ln",
    "refresh_token": "cmVmcmVzaC10b2tlbi1vbmx5LWFuLWV4YW1wbGU",
    "deep_link": "https://learn.example.com/courses/python-101",
    "receipt_url": f"/v1/orders/{_ID}/receipt.pdf",
    "description": "From the first line to a small program.",
    "failure_code": "card_declined",
    "failure_message": "Your card was declined.",
    "failure_reason": "the bank account is closed",
    "failure_detail": "the course is full",
    "decided_by": "the customer",
    "channel": "web",
    "affiliate": "partner-7",
    "role": "learner",
    "account": "2210",
    "sub": "lms:102",
    "jurisdiction": "US-NY",
    "event_type": "order.paid",
    "to_payee": "lms:103",
    "note": "asked the learner, all is well",
    "action": "create_item",
    "status": "open",
    "event_key": f"order:{_ID}:captured",
    "run_of": "python-101",
    "detail": "the course is not on sale any more",
}
# Numbers by the name of their field.
_NUMBERS = {
    "expires_in": 900,
    "capacity": 30,
    "seats_left": 12,
    "refund_window_days": 14,
    "percent_bp": 1000,
    "min_subtotal": 2000,
    "max_discount": 5000,
    "usage_limit": 100,
    "rate_ppm": 88750,
    "hold_days": 30,
    "affiliate_bps": 1000,
    "bps": 7000,
    "stream_seq": 3,
    "last_status_code": 200,
    "status_code": 200,
    "duration_ms": 84,
    "fee": 172,
    "net": 4728,
}
# What a name means in one schema only.
_FIELDS = {
    ("MaintenanceBody", "until"): FUTURE,
    ("RescheduleRunBody", "starts_at"): FUTURE,
    ("OrderView", "status"): "fulfilled",
    ("DashboardOrder", "status"): "fulfilled",
    ("OrderMoneyView", "status"): "fulfilled",
    ("OrderMoneyView", "dispute_status"): "none",
    ("PaymentSummary", "status"): "succeeded",
    ("ErasureView", "status"): "waiting",
    ("Health", "status"): "ok",
    ("CartProblem", "code"): "item_unavailable",
    ("AffiliateView", "code"): "partner-7",
    ("NewAffiliateBody", "code"): "partner-7",
    ("TimelineEvent", "kind"): "order_paid",
    ("TaskView", "kind"): "completion_taken_back",
    ("JournalEntryView", "kind"): "payment_captured",
}
# Bodies that have rules between their fields.
_BODIES: dict[str, Any] = {
    "BillingAddress": {"country": "US", "state": "NY", "postal_code": "10001"},
    "ItemBody": {
        "slug": "python-201",
        "type": "course",
        "title": "Python in practice",
        "lms_course_id": "python-201",
        "prices": [_USD],
        "tax_code": "txcd_20060158",
    },
    "ItemPatch": {"title": "Python in practice", "prices": [_USD]},
    "PromotionBody": {"code": "AUTUMN10", "kind": "percent", "percent_bp": 1000},
    "PromotionPatch": {"active": False},
    "EndpointBody": {
        "url": "https://receiver.example.com/events",
        "event_types": ["order.paid", "refund.succeeded"],
        "description": "accounting",
    },
    "EndpointPatch": {"active": False},
    "ResolutionBody": {"choice": "refund"},
    "SimulationBody": {"amount": _USD, "item_id": _ID},
    "ReassignmentBody": {
        "order_line_id": _ID,
        "from_payee": "lms:102",
        "to_payee": "lms:103",
        "amount": _USD,
        "reason": "another instructor gave the course",
    },
}


def add_examples(document: dict[str, Any]) -> None:
    """Put an example beside each JSON body and each good answer of the document, in place."""
    schemas = document["components"]["schemas"]
    for methods in document["paths"].values():
        for operation in methods.values():
            answers = [a for status, a in operation["responses"].items() if status.startswith("2")]
            for body in (operation.get("requestBody"), *answers):
                media = (body or {}).get("content", {}).get("application/json")
                if media and media.get("schema"):
                    media["example"] = _example(media["schema"], schemas)


def _example(schema: dict[str, Any], schemas: dict[str, Any], name: str = "", depth: int = 0) -> Any:
    """A value of the schema; `name` is that of the field that holds it."""
    if "$ref" in schema:
        return _named(schema["$ref"].rpartition("/")[2], schemas, name, depth)
    for known in ("const", "example"):
        if known in schema:
            return schema[known]
    for several in ("examples", "enum"):
        if schema.get(several):
            return schema[several][0]
    choices = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    if choices:
        return _example(choices[0], schemas, name, depth)
    match schema.get("type"):
        case "object":
            return _object(schema, schemas, depth)
        case "array":
            return [_example(schema.get("items", {}), schemas, name.removesuffix("s"), depth + 1)]
        case "integer" | "number":
            if name in _NUMBERS:
                return _NUMBERS[name]
            found = max(
                schema.get("minimum", 1), min(schema.get("maximum", 4900), 4900 if "amount" in name else 1)
            )
            return int(found) if schema["type"] == "integer" else found
        case "boolean":
            return schema.get("default", True)
        case "string":
            return _text(schema, name)
    return None


def _named(target: str, schemas: dict[str, Any], name: str, depth: int) -> Any:
    if target in _BODIES:
        return _BODIES[target]
    found = _example(schemas[target], schemas, name, depth + 1)
    if isinstance(found, dict):
        found |= {field: _FIELDS[target, field] for field in found if (target, field) in _FIELDS}
    return found


def _object(schema: dict[str, Any], schemas: dict[str, Any], depth: int) -> dict[str, Any]:
    fields = schema.get("properties", {})
    if not fields and isinstance(schema.get("additionalProperties"), dict):
        return {"name": _example(schema["additionalProperties"], schemas, "", depth + 1)}
    required = set(schema.get("required", ()))
    return {
        name: None if name == "next_cursor" else _example(field, schemas, name, depth + 1)
        for name, field in fields.items()
        if name in required
    }


def _text(schema: dict[str, Any], name: str) -> str:
    if schema.get("format") == "date-time":
        return _TIME
    if schema.get("format") == "date":
        return _TIME[:10]
    if name == "id" or name.endswith("_id"):
        return _TEXTS.get(name, _ID)
    return _TEXTS.get(name, "text")

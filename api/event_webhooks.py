"""The `webhooks` of the OpenAPI document: what receivers get, by type of event."""

import inspect
import re
from typing import Annotated, Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import TypeAdapter

from domain.event_data import API_VERSION, EVENT_DATA, Event
from domain.event_types import EventType

_ID = "01980c5e-7a10-7c3e-8f00-3b1f6d2a9c41"
# The names of streams, as `domain.ids` makes them.
_STREAMS = {
    "order": f"order/{_ID}",
    "refund": f"order/{_ID}",
    "dispute": f"order/{_ID}",
    "resolution": f"order/{_ID}",
    "entitlement": f"entitlement/{_ID}",
    "course": f"entitlement/{_ID}",
    "earning": "payee/lms:102/USD",
    "payee": "payee/lms:102/USD",
    "person": f"person/{_ID}",
    "webhook_endpoint": f"webhook-endpoint/{_ID}",
}
# Beside what `api.examples` knows by the names of members.
_SAID: dict[str, Any] = {
    "dispute_id": "dp_1QxAbCdEfGhIjKlMnOpQrStU",
    "course_id": "python-101",
    "lms_user_id": "102",
    "into_lms_user_id": "103",
    "lms_event_id": "evt-20260901-7",
    "earning_id": f"{_ID}/lms:102",
    "hold_until": "2026-10-01T10:00:00+00:00",
    "deadline": "2026-09-15T10:00:00+00:00",
    "completed_at": "2026-09-01T10:00:00+00:00",
    "by": "the customer",
    "amount": 4900,
    "store_credit": 0,
    "basis_amount": 4900,
    "cumulative_reversed": 4900,
    "version": 2,
    "rule_version": _ID,
    "journal_entry_id": _ID,
    "changed": ["email"],
    "cause": "run_cancelled",
    "choices": ["other_run", "store_credit", "refund"],
    "default_choice": "refund",
    "choice": "refund",
    "item_id": None,
    "share": {"kind": "share", "bps": 7000, "amount": 3430},
}
_REASONS = {
    "order.canceled": "expired",
    "entitlement.failed": "forbidden",
    "earning.accrued": "recognized",
    "earning.released": "the hold ended",
    "earning.reversed": "dispute lost",
    "earning.frozen": "dispute",
    "earning.unfrozen": "dispute won",
    "payee.written_off": "the payee is gone",
    "dispute.opened": "fraudulent",
    "dispute.won": "fraudulent",
    "dispute.lost": "fraudulent",
    "resolution.asked": "the teacher is ill",
    "resolution.withdrawn": "nothing is left of what was paid for it",
    "webhook_endpoint.disabled": "the receiver answered 410 Gone",
}


def event_meanings() -> dict[str, str]:
    """What each type of event tells: the words beside it in `domain.event_types`."""
    source = inspect.getsource(EventType)
    return dict(re.findall(r'= "([a-z_.]+)"\n\s+"""(.+?)"""', source, re.S))


def add_webhooks(document: dict[str, Any]) -> None:
    """One entry a type of event, in place; the shapes of `data` are among the document's schemas."""
    schemas = document["components"]["schemas"]
    meanings = event_meanings()
    for shape in dict.fromkeys(EVENT_DATA.values()):
        schemas[shape.__name__] = data_schema(shape)
    document["webhooks"] = {
        kind.value: {"post": _operation(kind, meanings[kind.value], schemas)} for kind in EventType
    }


def data_schema(shape: Any) -> dict[str, Any]:
    """A typed dictionary as JSON Schema, with the words that stand beside its members."""
    members = get_type_hints(shape, include_extras=True)
    return {
        "type": "object",
        "description": inspect.cleandoc(shape.__doc__),
        "properties": {name: _member(hint) for name, hint in members.items()},
        "required": [name for name in members if name in shape.__required_keys__],
    }


def _member(hint: Any) -> dict[str, Any]:
    if get_origin(hint) is NotRequired:
        (hint,) = get_args(hint)
    if get_origin(hint) is not Annotated:
        raise TypeError(f"a member without words: {hint}")
    kind, words = get_args(hint)
    if is_typeddict(kind):
        return data_schema(kind) | {"description": words}
    found = TypeAdapter(kind).json_schema()
    named = found.pop("$defs", {})
    shape: dict[str, Any] = _inlined(found, named)
    return shape | {"description": words}


def _inlined(schema: Any, named: dict[str, Any]) -> Any:
    """The schema with its enumerations in place."""
    if isinstance(schema, list):
        return [_inlined(part, named) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        schema = named[schema["$ref"].rpartition("/")[2]]
    return {
        name: _inlined(part, named) for name, part in schema.items() if name not in ("title", "description")
    }


def _operation(kind: EventType, meaning: str, schemas: dict[str, Any]) -> dict[str, Any]:
    name = EVENT_DATA[kind].__name__
    return {
        "operationId": "on_" + kind.value.replace(".", "_"),
        "tags": ["webhook endpoints"],
        "summary": kind.value,
        "description": meaning,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _envelope(kind, name),
                    "example": _example(kind, schemas[name]),
                }
            },
        },
        "responses": {"2XX": {"description": "Taken: it is not sent again."}},
    }


def _envelope(kind: EventType, data: str) -> dict[str, Any]:
    """The event with its type and the shape of its data."""
    schema = data_schema(Event)
    schema["properties"]["type"]["const"] = kind.value
    schema["properties"]["created_at"]["format"] = "date-time"
    said = schema["properties"]["data"]["description"]
    schema["properties"]["data"] = {"$ref": f"#/components/schemas/{data}", "description": said}
    return schema


def _example(kind: EventType, schema: dict[str, Any]) -> dict[str, Any]:
    known = {
        "number": "C-2026-000123",
        "currency": "USD",
        "payee_ref": "lms:102",
        "reason": _REASONS.get(kind.value, "asked by the learner"),
    } | _SAID
    if kind.value.startswith("earning."):
        known |= {"amount": 3430, "cumulative_reversed": 3430}
    left_out = {"reason"} if kind in (EventType.ENTITLEMENT_GRANTED, EventType.ENTITLEMENT_REVOKED) else set()
    return {
        "id": "01980c5e-7a11-7d20-9a00-5c2e8f4b7d13",
        "type": kind.value,
        "created_at": "2026-09-01T10:00:00.123456Z",
        "api_version": API_VERSION,
        "stream": _STREAMS[kind.value.partition(".")[0]],
        "stream_seq": 3,
        "request_id": "0f1b6a3e-6a53-4f5e-9a43-3a5c2f0d8b11",
        "data": {
            name: known[name] if name in known else _value(member)
            for name, member in schema["properties"].items()
            if name not in left_out
        },
    }


def _value(member: dict[str, Any]) -> Any:
    kinds = [member, *member.get("anyOf", ())]
    chosen = next((kind["enum"] for kind in kinds if "enum" in kind), None)
    if chosen:
        return chosen[0]
    return _ID

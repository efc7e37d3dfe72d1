"""The pages that answers lead to: `/docs/errors` (the `type` of each problem) and `/docs/reference`."""

import json
from collections.abc import Iterable
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.error_codes import ERROR_CODES
from api.pages.layout import marked, page
from api.pages.operations import type_of
from api.remedies import remedy_of

router = APIRouter()

_STATUSES = {
    400: "The request can't be read",
    401: "Nobody is signed in",
    403: "The caller may not",
    404: "Not there, or not the caller's",
    405: "Wrong method",
    408: "Too slow",
    409: "The state of things forbids it",
    412: "Another version",
    413: "Too large",
    422: "The request can't work as it stands",
    429: "Too often",
    500: "Our mistake",
    503: "Later",
}
_WEBHOOKS = (
    ("url", "Where events go: https, to a public address; redirects are not followed. Plain http and private "
     "addresses only in development."),
    ("event_types", "Which events; none named means all."),
    ("description", "For people."),
    ("active", "Off: nothing is sent; what happens meanwhile waits and goes out in order later."),
    ("secret", "Shown once: when the endpoint is made, and when it is rotated. It begins with whsec_ and "
     "goes into any Standard Webhooks library as it is."),
    ("overlap_hours", "Of rotate-secret: how long the old secret signs beside the new one (24)."),
    ("disabled_by", "operator, receiver (it answered 410) or commerce (it took nothing any more). "
     "webhook_endpoint.disabled tells the others."),
)  # fmt: skip
_DELIVERY = (
    ("webhook-id", "The event's id, the same at each attempt: skip what you have seen."),
    ("webhook-timestamp", "Seconds since 1970 of this attempt; refuse what is older than five minutes."),
    ("webhook-signature", "One or more v1 signatures, separated by spaces; one that is good is enough."),
    ("stream, stream_seq", "In the body: events of one stream arrive in order, and stream_seq grows; "
     "types that you did not ask for leave gaps."),
    ("your answer", "2xx in time takes the event. 410 switches the endpoint off, a redirect counts "
     "as a failure, Retry-After is kept to. Ten attempts over about three days; then redeliver or replay."),
)  # fmt: skip


@router.get("/docs/errors", include_in_schema=False)
async def error_codes() -> HTMLResponse:
    """Every stable error code, by status."""
    lead = (
        "<p>Errors are problem documents (RFC 9457) of the media type <code>application/problem+json</code>. "
        "Their <code>code</code> is stable: decide by it, not by <code>detail</code>, which is for people. "
        "<code>request_id</code> finds the request in our logs.</p>"
    )
    return page("Error codes", lead + _errors())


@router.get("/docs/reference", include_in_schema=False)
async def reference(request: Request) -> HTMLResponse:
    """Error codes, event types and the settings of webhooks on one page."""
    parts = (
        '<h2 id="errors">Error codes</h2>',
        _errors(),
        '<h2 id="events">Event types</h2>',
        _events(request.app.openapi()),
        '<h2 id="webhooks">Webhooks</h2><p>What <code>/v1/webhook-endpoints</code> keeps of each.</p>',
        _table(("Setting", "Meaning"), _WEBHOOKS),
        '<h2 id="deliveries">Deliveries</h2><p>Signed by Standard Webhooks.</p>',
        _table(("What", "Meaning"), _DELIVERY),
    )
    return page("Reference", "".join(parts))


def _errors() -> str:
    found = []
    for status in sorted({doc.status for doc in ERROR_CODES.values()}):
        rows = "".join(
            f'<tr id="{escape(code)}"><td><a href="#{escape(code)}"><code>{escape(code)}</code></a></td>'
            f"<td><b>{escape(doc.title)}.</b> {marked(doc.meaning)}<br>"
            f"<span class=who>{marked(remedy_of(code))}</span></td></tr>"
            for code, doc in sorted(ERROR_CODES.items())
            if doc.status == status
        )
        found.append(f"<h2>{status} &middot; {_STATUSES[status]}</h2><table>{rows}</table>")
    return "".join(found)


def _events(document: dict[str, Any]) -> str:
    """What is sent, and what the data of each type holds."""
    schemas = document["components"]["schemas"]
    rows: list[str] = []
    envelope: dict[str, Any] = {}
    for name, methods in document["webhooks"].items():
        media = methods["post"]["requestBody"]["content"]["application/json"]
        envelope = media["schema"]["properties"]
        data = schemas[envelope["data"]["$ref"].rpartition("/")[2]]
        example = escape(json.dumps(media["example"], indent=2))
        rows.append(
            f'<tr id="{name}"><td><code>{name}</code></td><td>{marked(methods["post"]["description"])}'
            f"{_members(data, schemas)}"
            f"<details><summary>Example</summary><pre>{example}</pre></details></td></tr>"
        )
    sent = {
        "properties": envelope
        | {
            "type": {"type": "string", "description": "Below."},
            "data": {"type": "object", "description": "By type, below."},
        }
    }
    return (
        f"<p>Each event is <code>{{{', '.join(envelope)}}}</code>.</p>"
        f"{_members(sent, schemas)}"
        f"<p>What <code>data</code> holds:</p><table>{''.join(rows)}</table>"
    )


def _members(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    needed = schema.get("required", schema["properties"])
    rows = "".join(
        f"<li><code>{name}</code>{'' if name in needed else ', not always'} "
        f"<span class=who>({escape(type_of(member, schemas))}{_or_null(member)})</span> "
        f"{marked(member['description'])}</li>"
        for name, member in schema["properties"].items()
    )
    return f"<ul>{rows}</ul>"


def _or_null(member: dict[str, Any]) -> str:
    return " or null" if {"type": "null"} in member.get("anyOf", ()) else ""


def _table(heads: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        f'<tr id="{escape(name)}"><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>'
        for name, text in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"

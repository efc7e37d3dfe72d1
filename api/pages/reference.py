"""The pages that answers lead to: `/docs/errors` (the `type` of each problem) and `/docs/reference`."""

import inspect
import re
from collections.abc import Iterable
from html import escape

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from api.error_codes import ERROR_CODES
from api.pages.layout import marked, page
from api.remedies import remedy_of
from domain.event_types import EventType

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
    ("stream, stream_seq", "In the body: events of one stream arrive in order, stream_seq grows by one."),
    ("your answer", "2xx in time takes the event. 410 switches the endpoint off, a redirect counts "
     "as a failure, Retry-After is kept to. Ten attempts over about three days; then redeliver or replay."),
)  # fmt: skip


def event_meanings() -> dict[str, str]:
    """What each type of event tells: the words beside it in `domain.event_types`."""
    source = inspect.getsource(EventType)
    return dict(re.findall(r'= "([a-z_.]+)"\n\s+"""(.+?)"""', source, re.S))


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
async def reference() -> HTMLResponse:
    """Error codes, event types and the settings of webhooks on one page."""
    parts = (
        '<h2 id="errors">Error codes</h2>',
        _errors(),
        '<h2 id="events">Event types</h2><p>Each event is '
        "<code>{id, type, created_at, api_version, stream, stream_seq, data}</code>.</p>",
        _table(("Type", "It tells"), event_meanings().items()),
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


def _table(heads: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        f'<tr id="{escape(name)}"><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>'
        for name, text in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"

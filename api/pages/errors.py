"""`/docs/errors`: every stable error code; the `type` of each problem answer leads here."""

from html import escape

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from api.error_codes import ERROR_CODES

router = APIRouter()

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:3rem auto;padding:0 1rem;color:#222}"
    "h1{font-size:1.6rem} table{border-collapse:collapse;width:100%} code{font-size:.9em}"
    "td,th{text-align:left;padding:.45rem .6rem;border-bottom:1px solid #ddd;vertical-align:top}"
    "tr:target{background:#fff6d6}"
)


@router.get("/docs/errors", include_in_schema=False)
async def error_codes() -> HTMLResponse:
    """The page."""
    rows = "".join(
        f'<tr id="{escape(code)}"><td><code>{escape(code)}</code></td><td>{doc.status}</td>'
        f"<td>{escape(doc.title)}. {escape(doc.meaning)}</td></tr>"
        for code, doc in sorted(ERROR_CODES.items())
    )
    head = f'<meta charset="utf-8"><title>Error codes</title><style>{_STYLE}</style>'
    lead = "Errors are problem documents (RFC 9457); their <code>code</code> is stable."
    columns = "<tr><th>Code</th><th>Status</th><th>Meaning</th></tr>"
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head>{head}</head><body><h1>Error codes</h1><p>{lead}</p>'
        f"<table>{columns}{rows}</table></body></html>"
    )

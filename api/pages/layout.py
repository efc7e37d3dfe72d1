"""What the pages of the documentation have in common. They load nothing from elsewhere and run no script."""

import re
from html import escape

from fastapi.responses import HTMLResponse

_STYLE = (
    "body{font:16px/1.55 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2430}"
    "h1{font-size:1.7rem;margin:.2rem 0}h2{font-size:1.25rem;margin:2.2rem 0 .4rem}"
    "h3{font-size:1rem;margin:0}nav{font-size:.95rem}nav a{margin-right:1.2rem}a{color:#1d4ed8}"
    "table{border-collapse:collapse;width:100%}code{font-size:.9em;overflow-wrap:anywhere}"
    "td,th{text-align:left;padding:.45rem .6rem;border-bottom:1px solid #dde1e8;vertical-align:top}"
    "th{background:#f4f6fa;position:sticky;top:0}tr:target,details:target{background:#fff6d6}"
    "td:first-child{width:17rem}"
    "details{border:1px solid #dde1e8;border-radius:.4rem;margin:.5rem 0;padding:.5rem .8rem}"
    "summary{cursor:pointer}summary b{display:inline-block;min-width:4.2rem}summary span{color:#5b6475}"
    "pre{background:#f4f6fa;padding:.7rem;overflow-x:auto;font-size:.85rem;border-radius:.3rem}"
    "details details{border:0;padding:0}.who{color:#5b6475}"
)
_LINKS = (
    ("/docs", "Operations"),
    ("/docs/reference", "Reference"),
    ("/docs/errors", "Error codes"),
    ("/docs/reference#events", "Event types"),
    ("/docs/reference#webhooks", "Webhooks"),
    ("/openapi.json", "OpenAPI"),
)


def page(title: str, content: str) -> HTMLResponse:
    """One page; `content` is HTML."""
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<link rel="icon" href="data:,"><title>{escape(title)} - Commerce</title><style>{_STYLE}</style>'
    )
    links = "".join(f'<a href="{target}">{name}</a>' for target, name in _LINKS)
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head>{head}</head><body><nav>{links}</nav>'
        f"<h1>{escape(title)}</h1>{content}</body></html>"
    )


def marked(text: str) -> str:
    """Plain text as HTML: code between backquotes, paragraphs between empty lines."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)).replace("\n\n", "</p><p>")

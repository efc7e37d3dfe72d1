"""`/docs`: every operation of the OpenAPI document, with a command that calls it and what it answers."""

import json
import re
import shlex
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from api.examples import FUTURE
from api.pages.layout import marked, page

router = APIRouter()

_LEAD = """
<p>Payments, orders and revenue of a learning platform, over JSON. The commands below run in one shell, after
these lines; <code>${{ORDER_ID}}</code> and the like stand for ids of earlier answers.</p>
<pre>BASE={base}
TOKEN=$(curl -sS "$BASE/v1/auth/login" -H "Content-Type: application/json" \\
  -d '{{"username":"learner@example.com","password":"commerce-demo"}}' \\
  | python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])')
key() {{ python3 -c 'import uuid; print(uuid.uuid4())'; }}
tomorrow() {{ python3 -c 'import time;
print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400)))'; }}
</pre>
<p>(The embedded stack knows <code>learner@example.com</code>, <code>instructor@example.com</code> and
<code>operator@example.com</code>.) Amounts are integer minor units: 4900 USD is 49 dollars. Times are RFC
3339. Every write carries an <code>Idempotency-Key</code>: the same key has one effect and one answer. Only
these take none: <code>POST /v1/auth/login</code>, <code>/v1/auth/refresh</code>,
<code>/v1/auth/logout</code>, <code>/v1/checkout/quote</code>, <code>/v1/split-rules/simulate</code>, and the
inbound <code>/v1/webhooks/</code>. Lists come in pages of <code>limit</code>;
<code>next_cursor</code> is the next page's <code>cursor</code>, null on the last. Errors
have a <a href="/docs/errors">code</a>.</p>
"""


@router.get("/", include_in_schema=False)
async def root() -> RedirectResponse:
    """Whoever opens the bare address finds the documentation."""
    return RedirectResponse("/docs")


@router.get("/docs", include_in_schema=False)
async def operations(request: Request) -> HTMLResponse:
    """All operations by tag."""
    state = request.app.state
    if not hasattr(state, "operations_page"):  # the document never changes either
        state.operations_page = _content(request.app.openapi())
    return page("Operations", state.operations_page)


def _content(document: dict[str, Any]) -> str:
    by_tag: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            shown = _operation(document, method.upper(), path, operation)
            by_tag[operation["tags"][0]].append(shown)
    described = {tag["name"]: tag["description"] for tag in document["tags"]}
    parts = [_LEAD.format(base=escape(document["servers"][0]["url"]))]
    parts.append("<p>" + " &middot; ".join(f'<a href="#{_anchor(tag)}">{tag}</a>' for tag in by_tag) + "</p>")
    for tag, shown_operations in by_tag.items():
        parts.append(f'<h2 id="{_anchor(tag)}">{tag[0].upper()}{tag[1:]}</h2><p>{escape(described[tag])}</p>')
        parts += shown_operations
    return "".join(parts)


def _anchor(tag: str) -> str:
    return "tag-" + tag.replace(" ", "-")


def _operation(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    first = marked(operation["description"].split(". ", maxsplit=1)[0].rstrip("."))
    good = next((int(status), a) for status, a in operation["responses"].items() if status.startswith("2"))
    answer = good[1].get("content", {}).get("application/json", {}).get("example")
    answers = ""
    if answer is not None:
        shown = escape(json.dumps(answer, indent=2))
        answers = f"<details><summary>Answer {good[0]}</summary><pre>{shown}</pre></details>"
    return (
        f'<details id="{operation["operationId"]}"><summary><b>{method}</b> <code>{escape(path)}</code> '
        f"<span>{first}</span></summary>"
        f"<p>{marked(operation['description'])}</p><p class=who>{_who(operation)}</p>"
        f"{_inputs(document, operation)}<pre>{escape(curl(method, path, operation))}</pre>{answers}"
        f"{_errors(operation)}</details>"
    )


def _who(operation: dict[str, Any]) -> str:
    security = operation.get("security")
    if not security:
        return "For anybody."
    allowed = []
    for entry in security:
        if "person" in entry:
            allowed.append(" or ".join(entry["person"]) if entry["person"] else "everybody who is signed in")
        else:
            allowed.append(f"API keys with the scope <code>{entry['machine'][0]}</code>")
    return f"For {'; '.join(allowed)}."


def _inputs(document: dict[str, Any], operation: dict[str, Any]) -> str:
    schemas = document["components"]["schemas"]
    rows = [
        (parameter["name"], parameter["in"], parameter["required"], _described(parameter))
        for parameter in operation.get("parameters", ())
        if parameter["name"] != "Idempotency-Key"
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    shape = _resolved(body, schemas)
    required = set(shape.get("required", ()))
    rows += [(name, "body", name in required, field) for name, field in shape.get("properties", {}).items()]
    if not rows:
        return ""
    shown = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{place}{'' if needed else ', optional'}</td>"
        f"<td>{escape(type_of(schema, schemas))}{_words(schema)}</td></tr>"
        for name, place, needed, schema in rows
    )
    return f"<table>{shown}</table>"


def _described(parameter: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema with the parameter's words."""
    words = parameter.get("description")
    schema: dict[str, Any] = parameter["schema"]
    return schema if words is None else schema | {"description": words}


def _words(schema: dict[str, Any]) -> str:
    """What is said of a member, below its type; what is said of a whole object is not of the member."""
    said = [schema, *schema.get("anyOf", ())]
    words = next((part["description"] for part in said if "description" in part), "")
    return f"<br><span class=who>{marked(words)}</span>" if words else ""


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


def type_of(schema: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> str:
    """A type in words: what a value looks like, and its bounds."""
    schema = _resolved(schema, schemas)
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    if choices:
        return " or ".join(dict.fromkeys(type_of(choice, schemas, depth) for choice in choices))
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}), schemas, depth + 1)}"
    if kind == "object" and schema.get("properties"):
        if depth > 2:
            return "object"
        needed = schema.get("required", ())
        fields = (name if name in needed else f"{name}?" for name in schema["properties"])
        return f"{{{', '.join(fields)}}}"
    words = [str(schema.get("format", kind))]
    for name, says in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"), ("default", "else")):
        value = schema.get(name)
        if value is None or value in ("", []):
            continue
        unit = " characters" if name == "maxLength" else ""
        if kind == "integer" and isinstance(value, float):
            value = int(value)
        words.append(f"{says} {json.dumps(value).strip(chr(34))}{unit}")
    return ", ".join(words)


def curl(method: str, path: str, operation: dict[str, Any]) -> str:
    """A command that calls the operation; ids in the path are variables of the shell."""
    address = re.sub(r"\{(\w+)\}", lambda match: f"${{{match[1].upper()}}}", path)
    asked = [
        parameter["name"]
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query" and parameter["required"]
    ]
    address += "?" * bool(asked) + "&".join(f"{name}=${{{name.upper()}}}" for name in asked)
    lines = [f'curl -sS{"" if method == "GET" else f" -X {method}"} "$BASE{address}"']
    if operation.get("security"):
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ())):
        lines.append('-H "Idempotency-Key: $(key)"')
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "header" and parameter["required"] and parameter["name"] != "Idempotency-Key":
            header = f"{parameter['name']}: {parameter['schema']['examples'][0]}"
            lines.append(f"-H {shlex.quote(header)}")
    media = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if media is not None and "example" in media:
        lines.append('-H "Content-Type: application/json"')
        body = shlex.quote(json.dumps(media["example"]))
        lines.append("-d " + body.replace(FUTURE, "'\"$(tomorrow)\"'"))
    if any("pdf" in kind for kind in operation["responses"].get("200", {}).get("content", {})):
        lines.append("-o document.pdf")
    return " \\\n  ".join(lines)


def _errors(operation: dict[str, Any]) -> str:
    found = [
        f'<a href="/docs/errors#{code}"><code>{code}</code></a>'
        for answer in operation["responses"].values()
        for code in answer.get("content", {}).get("application/problem+json", {}).get("examples", ())
    ]
    return f"<p>Errors: {', '.join(found)}</p>" if found else ""

"""Pages for people: the dashboard with its buttons, and the bank's 3-D Secure page."""

from html import escape
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from devstack.stripe_standin.account import Account
from devstack.stripe_standin.controls import Controls
from devstack.stripe_standin.currencies import shown
from devstack.stripe_standin.intents import check_secret
from devstack.stripe_standin.store import Object, Page

_ROWS = 25
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1f2433}"
    "table{border-collapse:collapse;width:100%;margin-bottom:2rem}"
    "td,th{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #e3e6ee;vertical-align:top}"
    "th{color:#687089;font-weight:500}code{font-size:.85em}form{display:inline}"
    "button{font:inherit;font-size:.85em;padding:.15rem .6rem;margin:.1rem;border:1px solid #c5cad8;"
    "border-radius:4px;background:#fff;cursor:pointer}button:hover{background:#f2f4fa}"
    "button:focus-visible{outline:2px solid #4f5bd5}.good{color:#0a6b2d}.bad{color:#a11}"
    ".note{color:#687089}main.bank{max-width:26rem;margin:4rem auto;text-align:center}"
    "main.bank button{font-size:1em;padding:.5rem 1.2rem}"
)
_GOOD = ("succeeded", "delivered", "won")
_BAD = ("failed", "canceled", "lost", "dropped")


def _page(title: str, body: str, *, main_class: str = "", status: int = 200) -> HTMLResponse:
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f'<main class="{main_class}"><h1>{escape(title)}</h1>{body}</main></html>'
    )
    # Forms may lead away: after 3-D Secure the browser returns to the shop.
    policy = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return HTMLResponse(html, status, headers=policy)


def _state(status: str) -> str:
    kind = "good" if status in _GOOD else "bad" if status in _BAD else ""
    return f'<span class="{kind}">{escape(status)}</span>'


def _button(label: str, path: str, object_id: str = "", **given: str) -> str:
    fields = {"button": path, "id": object_id, **given}
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )
    return f'<form method="post" action="/dashboard">{hidden}<button>{escape(label)}</button></form>'


def _table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    if not rows:
        return '<p class="note">None yet.</p>'
    lines = "".join(f"<tr><td>{'<td>'.join(row)}" for row in rows)
    return f"<table><tr><th>{'<th>'.join(head)}{lines}</table>"


class Pages:
    """The pages."""

    def __init__(self, account: Account, controls: Controls) -> None:
        self._account = account
        self._store = account.store
        self._controls = controls

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/", self._dashboard),
            Route("/dashboard", self._dashboard),
            Route("/dashboard", self._press, methods=["POST"]),
            Route("/3ds/{id}", self._bank),
            Route("/3ds/{id}", self._answer_bank, methods=["POST"]),
        ]

    async def _dashboard(self, request: Request) -> Response:
        paused = self._account.chaos.paused
        hold = (
            ("Resume deliveries", "deliveries/resume") if paused else ("Pause deliveries", "deliveries/pause")
        )
        body = (
            '<p class="note">A stand-in for Stripe: test payments only, no money moves.'
            f' <a href="/_test/">All control routes</a></p><p>{_button(*hold)}'
            f"{_button('Send dropped ones', 'deliveries/release')}</p>"
            f"<h2>Payments</h2>{self._payments()}<h2>Refunds</h2>{self._refunds()}"
            f"<h2>Disputes</h2>{self._disputes()}<h2>Events</h2>{self._events()}"
            f"<h2>Deliveries</h2>{self._deliveries()}"
        )
        return _page("Stand-in Stripe", body)

    def _newest(self, kind: str) -> list[Object]:
        return self._store.page(kind, Page(limit=_ROWS))[0]

    def _payments(self) -> str:
        rows = []
        for intent in self._newest("payment_intent"):
            buttons = {
                "requires_action": _button(
                    "Finish 3-D Secure", "payment_intents/{id}/authenticate", intent["id"], passed="true"
                )
                + _button(
                    "Fail 3-D Secure", "payment_intents/{id}/authenticate", intent["id"], passed="false"
                ),
                "processing": _button("Settle", "payment_intents/{id}/settle", intent["id"])
                + _button("Fail", "payment_intents/{id}/fail", intent["id"]),
                "succeeded": _button("Refund", "refunds", payment_intent=intent["id"])
                + _button("Dispute", "disputes", payment_intent=intent["id"]),
            }.get(intent["status"], "")
            if intent["status"] == "succeeded" and self._is_debit(intent):
                buttons += _button("Return", "payment_intents/{id}/return", intent["id"])
            if intent["status"].startswith("requires_"):
                buttons += _button("Cancel", "payment_intents/{id}/cancel", intent["id"])
            metadata = ", ".join(f"{name}={value}" for name, value in intent["metadata"].items())
            amount = shown(intent["amount"], intent["currency"])
            rows.append(
                [_code(intent["id"]), escape(amount), _state(intent["status"]), escape(metadata), buttons]
            )
        return _table(("Intent", "Amount", "Status", "Metadata", ""), rows)

    def _is_debit(self, intent: Object) -> bool:
        charged = self._account.store.get(intent["latest_charge"])
        return bool(charged["payment_method_details"]["type"] != "card" and charged["paid"])

    def _refunds(self) -> str:
        rows = []
        for refund in self._newest("refund"):
            buttons = ""
            if refund["status"] in ("pending", "requires_action"):
                buttons += _button("Settle", "refunds/{id}/settle", refund["id"])
            if refund["status"] not in ("failed", "canceled"):
                buttons += _button("Fail", "refunds/{id}/fail", refund["id"])
            amount = shown(refund["amount"], refund["currency"])
            rows.append([_code(refund["id"]), escape(amount), _state(refund["status"]), buttons])
        return _table(("Refund", "Amount", "Status", ""), rows)

    def _disputes(self) -> str:
        rows = []
        for dispute in self._newest("dispute"):
            buttons = ""
            if dispute["status"] not in ("won", "lost", "warning_closed"):
                buttons = _button("Win", "disputes/{id}/decide", dispute["id"], won="true")
                buttons += _button("Lose", "disputes/{id}/decide", dispute["id"], won="false")
            amount = shown(dispute["amount"], dispute["currency"])
            rows.append([_code(dispute["id"]), escape(amount), _state(dispute["status"]), buttons])
        return _table(("Dispute", "Amount", "Status", ""), rows)

    def _events(self) -> str:
        rows = [
            [
                _code(event["id"]),
                escape(event["type"]),
                _code(str(event["data"]["object"].get("id", ""))),
                _button("Send again", "events/{id}/send", event["id"]),
            ]
            for event in self._newest("event")
        ]
        return _table(("Event", "Type", "About", ""), rows)

    def _deliveries(self) -> str:
        rows = [
            [
                _code(row["event_id"]),
                escape(row["type"]),
                _state(row["state"]),
                str(row["attempts"]),
                escape(str(row["last_error"] or row["last_status"] or "")[:80]),
            ]
            for row in self._account.deliveries.listing(None, None, _ROWS)
        ]
        return _table(("Event", "Type", "State", "Attempts", "Last answer"), rows)

    async def _press(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        given: dict[str, Any] = {
            name: value == "true" if name in ("passed", "won") else value
            for name, value in form.items()
            if name not in ("button", "id")
        }
        self._controls.perform("POST", form["button"], form["id"], given)
        return RedirectResponse("/dashboard", 303)

    async def _bank(self, request: Request) -> Response:
        intent = self._store.get(request.path_params["id"])
        secret = request.query_params.get("client_secret", "")
        check_secret(intent, secret)
        if intent["status"] != "requires_action":
            return _page("Nothing to authenticate", f"<p>{_state(intent['status'])}</p>", main_class="bank")
        amount = escape(shown(intent["amount"], intent["currency"]))
        body = (
            f"<p>Your bank asks: do you authorise <strong>{amount}</strong>?</p>"
            f'<form method="post" action="/3ds/{escape(intent["id"])}">'
            f'<input type="hidden" name="client_secret" value="{escape(secret)}">'
            '<button name="passed" value="true">Complete</button> '
            '<button name="passed" value="false">Fail</button></form>'
            '<p class="note">A test page of the stand-in: no bank is involved.</p>'
        )
        return _page("3-D Secure", body, main_class="bank")

    async def _answer_bank(self, request: Request) -> Response:
        form = await request.form()
        intent = self._store.get(request.path_params["id"])
        check_secret(intent, str(form.get("client_secret", "")))
        action = (intent["next_action"] or {}).get("redirect_to_url") or {}
        passed = form["passed"] == "true"
        given = {"passed": passed}
        self._controls.perform("POST", "payment_intents/{id}/authenticate", intent["id"], given)
        if action.get("return_url"):
            return RedirectResponse(_returning(action["return_url"], intent, passed), 303)
        return _page("Thank you", "<p>You can go back to the shop.</p>", main_class="bank")


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _returning(return_url: str, intent: Object, passed: bool) -> str:
    """The shop's address with what Stripe adds to it."""
    parts = urlsplit(return_url)
    added = urlencode(
        {
            "payment_intent": intent["id"],
            "payment_intent_client_secret": intent["client_secret"],
            "redirect_status": "succeeded" if passed else "failed",
        }
    )
    return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))

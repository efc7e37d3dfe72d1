"""The payout receiver as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from devstack.lms_standin.deliveries import Chaos
from devstack.lms_standin.server import BAD_CALLS, json_object
from devstack.payout_receiver.books import Malformed
from devstack.payout_receiver.faults import Fault
from devstack.payout_receiver.receiver import Receiver

_MAX_BODY_BYTES = 1_000_000
_AMOUNTS = ("accrued", "released", "reversed_held", "reversed_released", "settled", "held", "payable")
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;"
    "border-bottom:1px solid #ddd}"
)


class Routes:
    """The routes, as listed in the package's description."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def all(self) -> list[Route]:
        """Every route."""
        control = (
            ("GET", "events", self._events),
            ("GET", "attempts", self._attempts),
            ("GET", "payees", self._payees),
            ("GET", "streams", self._streams),
            ("GET", "settlements", self._settlements),
            ("GET", "deliveries", self._deliveries),
            ("POST", "settle", self._settle),
            ("GET", "faults", self._list_faults),
            ("POST", "faults", self._add_fault),
            ("DELETE", "faults", self._clear_faults),
            ("GET", "chaos", self._get_chaos),
            ("PUT", "chaos", self._set_chaos),
            ("PUT", "secrets", self._set_secrets),
            ("POST", "reset", self._reset),
        )
        return [
            Route("/healthz", self._healthz),
            Route("/", self._page),
            Route("/settle", self._settle_form, methods=["POST"]),
            Route("/webhooks/commerce", self._webhook, methods=["POST"]),
            *(Route(f"/_test/{path}", endpoint, methods=[method]) for method, path, endpoint in control),
        ]

    async def _healthz(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _webhook(self, request: Request) -> Response:
        receiver = self._receiver
        body = await request.body()
        webhook_id = request.headers.get("webhook-id", "")
        signatures = len(request.headers.get("webhook-signature", "").split())
        event = None if len(body) > _MAX_BODY_BYTES else receiver.verify(body, request.headers)
        if event is None:
            receiver.books.log_attempt(webhook_id, "", "bad_signature", 400, signatures)
            return JSONResponse({"error": "bad signature"}, 400)
        event_type = str(event.get("type"))
        fault = receiver.faults.take(event_type, event.get("stream"))
        instead = await fault.answer() if fault is not None else None
        if fault is not None and instead is not None and not fault.after_effect:
            receiver.books.log_attempt(webhook_id, event_type, "fault", fault.status, signatures)
            return instead
        try:
            outcome = "stored" if receiver.books.take_in(webhook_id, event) else "duplicate"
        except Malformed as error:
            receiver.books.log_attempt(webhook_id, event_type, f"malformed: {error}", 422, signatures)
            return JSONResponse({"error": str(error)}, 422)
        status = 200 if instead is None or fault is None else fault.status
        receiver.books.log_attempt(webhook_id, event_type, outcome, status, signatures)
        return JSONResponse({"outcome": outcome}) if instead is None else instead

    async def _events(self, request: Request) -> Response:
        query = request.query_params
        return JSONResponse({"data": self._receiver.books.events(query.get("type"), query.get("stream"))})

    async def _attempts(self, request: Request) -> Response:
        return JSONResponse({"data": self._receiver.books.attempts(request.query_params.get("webhook_id"))})

    async def _payees(self, request: Request) -> Response:
        return JSONResponse({"data": self._receiver.books.balances()})

    async def _streams(self, request: Request) -> Response:
        return JSONResponse({"data": self._receiver.books.streams()})

    async def _settlements(self, request: Request) -> Response:
        return JSONResponse({"data": self._receiver.books.settlements()})

    async def _deliveries(self, request: Request) -> Response:
        return JSONResponse({"data": self._receiver.deliveries.listing(request.query_params.get("event_id"))})

    async def _settle(self, request: Request) -> Response:
        body = await json_object(request)
        payout = self._receiver.settle(str(body["payee_ref"]), str(body["currency"]), int(body["amount"]))
        return JSONResponse(payout, 201)

    async def _settle_form(self, request: Request) -> Response:
        form = await request.form()
        self._receiver.settle(str(form["payee_ref"]), str(form["currency"]), int(str(form["amount"])))
        return RedirectResponse("/", 303)

    async def _list_faults(self, request: Request) -> Response:
        return JSONResponse({"data": self._receiver.faults.listing()})

    async def _add_fault(self, request: Request) -> Response:
        self._receiver.faults.add(Fault(**await json_object(request)))
        return JSONResponse({"data": self._receiver.faults.listing()}, 201)

    async def _clear_faults(self, request: Request) -> Response:
        self._receiver.faults.clear()
        return JSONResponse({"data": []})

    async def _get_chaos(self, request: Request) -> Response:
        return JSONResponse(self._receiver.deliveries.describe_chaos())

    async def _set_chaos(self, request: Request) -> Response:
        self._receiver.deliveries.chaos = Chaos(**await json_object(request))
        return JSONResponse(self._receiver.deliveries.describe_chaos())

    async def _set_secrets(self, request: Request) -> Response:
        body = await json_object(request)
        if "secrets" in body:
            self._receiver.set_secrets([str(secret) for secret in body["secrets"]])
        self._receiver.deliveries.point_to(body.get("webhook_url"), body.get("webhook_secret"))
        return JSONResponse({"secrets": len(self._receiver.secrets)})

    async def _reset(self, request: Request) -> Response:
        self._receiver.reset()
        return JSONResponse({})

    async def _page(self, request: Request) -> Response:
        balances = "".join(
            f"<tr><td>{escape(row['payee_ref'])}<td>{escape(row['currency'])}"
            + "".join(f"<td>{row[name]}" for name in _AMOUNTS)
            + f"<td>{_settle_button(row['payee_ref'], row['currency'], row['payable'])}"
            for row in self._receiver.books.balances()
        )
        events = "".join(
            f"<tr><td>{escape(row['received_at'])}<td>{escape(row['type'])}<td>{escape(row['stream'] or '')}"
            f"<td>{row['stream_seq']}<td><code>{escape(row['webhook_id'])}</code>"
            for row in reversed(self._receiver.books.events()[-100:])
        )
        heads = "".join(f"<th>{name.replace('_', ' ')}" for name in _AMOUNTS)
        html = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Payout receiver</title>'
            f"<style>{_STYLE}</style><h1>Payout receiver</h1><h2>Payees (minor units)</h2>"
            f"<table><tr><th>Payee<th>Currency{heads}<th>{balances}</table>"
            "<h2>Events, newest first</h2>"
            f"<table><tr><th>Received<th>Type<th>Stream<th>Seq<th>Id{events}</table>"
        )
        return HTMLResponse(html)


def _settle_button(payee_ref: str, currency: str, payable: int) -> str:
    if payable <= 0:
        return ""
    fields = {"payee_ref": payee_ref, "currency": currency, "amount": str(payable)}
    inputs = "".join(f'<input type="hidden" name="{n}" value="{escape(v)}">' for n, v in fields.items())
    return f'<form method="post" action="/settle">{inputs}<button>Pay out</button></form>'


def create_app(receiver: Receiver) -> Starlette:
    """Build the application."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await receiver.deliveries.start()
        yield
        await receiver.deliveries.stop()
        receiver.close()

    return Starlette(routes=Routes(receiver).all(), lifespan=lifespan, exception_handlers=BAD_CALLS)

"""The door of the API: keys, faults, idempotency, parameters, then the operation, then the answer."""

import asyncio
import json
import sys
import traceback
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from devstack.lms_standin.server import CutConnection
from devstack.stripe_standin.account import Account
from devstack.stripe_standin.authentication import BROWSER_FIELDS, authenticate
from devstack.stripe_standin.call import Call, list_objects
from devstack.stripe_standin.errors import ApiError, Declined, unknown_url
from devstack.stripe_standin.events import NOBODY, Cause
from devstack.stripe_standin.expansion import Expander
from devstack.stripe_standin.faults import Fault
from devstack.stripe_standin.forms import parse_form
from devstack.stripe_standin.idempotency import Exchange
from devstack.stripe_standin.operations import Operation, Operations
from devstack.stripe_standin.store import Object, new_id

CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "*",
    "access-control-allow-methods": "GET, POST, DELETE",
    "access-control-expose-headers": "request-id, idempotent-replayed",
}

_MAKE_METHOD = "POST /v1/payment_methods"


@dataclass(frozen=True)
class Answer:
    """Status, body as JSON text, and headers; a status of None cuts the connection."""

    status: int | None
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class Gateway:
    """Answers everything under `/v1/`."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._operations = Operations(account)
        self._expander = Expander(
            account.parameters.expandable,
            self._found,
            {
                ("charge", "refunds"): self._refunds_of,
                ("tax.calculation", "line_items"): account.taxes.lines_of,
                ("tax.calculation_line_item", "tax_breakdown"): account.taxes.breakdown_of,
                ("tax.transaction", "line_items"): account.taxes.lines_of,
            },
        )

    async def __call__(self, request: Request) -> Response:
        """One request."""
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=CORS)
        path, method = request.url.path, request.method
        request_id = new_id("req")[:18]
        given = (
            request.url.query
            if method in ("GET", "DELETE")
            else (await request.body()).decode(errors="replace")
        )
        key = request.headers.get("idempotency-key") or None if method == "POST" else None
        exchange = Exchange(request_id, method, path, key, {})
        fault = self._account.faults.take(method, path)
        exchange.fault = fault.kind if fault else None
        try:
            exchange.params = parse_form(given)
            publishable = authenticate(request.headers.get("authorization"), exchange.params)
            answer = await self._answer(exchange, publishable, str(request.base_url).rstrip("/"), fault)
        except ApiError as error:
            answer = self._refusal(exchange, error)
        if answer.status is None:
            return CutConnection()
        headers = {
            **CORS,
            "request-id": request_id,
            "stripe-version": self._account.parameters.version,
            **({"idempotency-key": key} if key and key.isascii() else {}),
            **answer.headers,
        }
        return Response(answer.body, answer.status, headers=headers, media_type="application/json")

    async def _answer(
        self, exchange: Exchange, publishable: bool, origin: str, fault: Fault | None
    ) -> Answer:
        early = self._before(exchange, fault)
        if early is not None:
            return early
        kept = self._account.keys.take(exchange)
        if kept is not None:
            exchange.outcome = "replayed"
            headers = {"idempotent-replayed": "true", "original-request": kept.request_id}
            answer = Answer(kept.status, kept.body, headers)
            self._log(exchange, answer.status)
            return await self._after(answer, fault)
        try:
            if fault is not None and fault.kind == "latency":
                await asyncio.sleep(fault.seconds or 0)
            answer = self._execute(exchange, publishable, origin, fault)
            self._account.committed()
            return await self._after(answer, fault)
        finally:
            self._account.keys.give_back(exchange)

    def _before(self, exchange: Exchange, fault: Fault | None) -> Answer | None:
        """The answer of a fault that prevents the effect."""
        if fault is None or fault.kind not in ("429", "lock_timeout", "500_before", "cut_before"):
            return None
        exchange.outcome = "fault"
        if fault.kind == "429":
            raise ApiError(
                429,
                "Request rate limit exceeded. Learn more about rate limits in our docs.",
                code="rate_limit",
            )
        if fault.kind == "lock_timeout":
            raise ApiError(
                429,
                "This object cannot be accessed right now because another API request or Stripe process is"
                " currently accessing it. If you see this error intermittently, retry the request.",
                code="lock_timeout",
                headers={"stripe-should-retry": "true"},
            )
        if fault.kind == "cut_before":
            self._log(exchange, None)
            return Answer(None)
        answer = self._broken(exchange, fault.status)
        with self._account.store.transaction():
            if fault.kept:
                self._account.keys.keep(exchange, fault.status, answer.body)
            self._log(exchange, fault.status)
        return answer

    async def _after(self, answer: Answer, fault: Fault | None) -> Answer:
        """The answer of a fault that hides the effect."""
        if fault is None or fault.kind not in ("cut_after", "timeout"):
            return answer
        if fault.kind == "timeout":
            await asyncio.sleep(fault.seconds or 0)
        return Answer(None)

    def _execute(self, exchange: Exchange, publishable: bool, origin: str, fault: Fault | None) -> Answer:
        """Do it, and keep and log the answer in the same transaction."""
        keys, store = self._account.keys, self._account.store
        try:
            with store.transaction():
                answer = self._perform(exchange, publishable, origin)
                exchange.outcome = "executed"
                answer = self._broken_after(exchange, answer, fault)
                self._log(exchange, answer.status)
                return answer
        except ApiError as error:
            answer = self._error(exchange, error)
            with store.transaction():
                if error.kept:
                    keys.keep(exchange, error.status, answer.body)
                self._log(exchange, error.status)
            return answer
        except Exception:  # noqa: BLE001 - a mistake of the stand-in itself is said as Stripe would
            traceback.print_exc(file=sys.stderr)
            answer = self._broken(exchange, 500)
            self._log(exchange, 500)
            return answer

    def _perform(self, exchange: Exchange, publishable: bool, origin: str) -> Answer:
        operation, call = self._read(exchange, publishable, origin)
        self._account.events.cause = Cause(exchange.request_id, exchange.key)
        try:
            body, status = self._call(operation, call)
        except Declined as error:
            # The bank's refusal is an answer with effects, so it is committed with them.
            if error.body(exchange.request_id)["error"].get("payment_intent") is None:
                raise
            body, status = error.body(exchange.request_id), error.status
        finally:
            self._account.events.cause = NOBODY
        return Answer(status, json.dumps(body))

    def _call(self, operation: Operation, call: Call) -> tuple[Object, int]:
        paths = call.params.pop("expand", [])
        body = operation.handler(call)
        if call.publishable:
            return {name: body[name] for name in BROWSER_FIELDS}, 200
        return self._expander.expand(body, paths), 200

    def _read(self, exchange: Exchange, publishable: bool, origin: str) -> tuple[Operation, Call]:
        found = self._operations.find(exchange.method, exchange.path)
        if found is None:
            raise unknown_url(exchange.method, exchange.path)
        operation, object_id = found
        given = dict(exchange.params)
        browser: dict[str, Any] = {}
        if publishable:
            browser = _browser_parameters(given, operation)
            if isinstance(browser.get("payment_method_data"), dict):
                data = browser["payment_method_data"]
                browser["payment_method_data"] = self._account.parameters.read(_MAKE_METHOD, data)
        params = self._account.parameters.read(operation.name, given) | browser
        return operation, Call(exchange.path, params, object_id, origin, publishable)

    def _broken_after(self, exchange: Exchange, answer: Answer, fault: Fault | None) -> Answer:
        """Keep the answer, or the 5xx that takes its place."""
        keys = self._account.keys
        if fault is None or fault.kind != "500_after":
            keys.keep(exchange, answer.status or 500, answer.body)
            return answer
        broken = self._broken(exchange, fault.status)
        shown = broken if fault.kept else answer
        keys.keep(exchange, shown.status or 500, shown.body)
        return broken

    def _refusal(self, exchange: Exchange, error: ApiError) -> Answer:
        """An error that came before execution: logged, not kept."""
        self._log(exchange, error.status)
        return self._error(exchange, error)

    def _error(self, exchange: Exchange, error: ApiError) -> Answer:
        return Answer(error.status, json.dumps(error.body(exchange.request_id)), error.headers)

    def _broken(self, exchange: Exchange, status: int) -> Answer:
        error = ApiError(status, "An unknown error occurred", kind="api_error")
        return self._error(exchange, error)

    def _log(self, exchange: Exchange, status: int | None) -> None:
        if exchange.method != "GET":
            self._account.keys.log(exchange, status)

    def _found(self, object_id: str) -> Object | None:
        found = self._account.store.find(object_id)
        if found is not None and found["object"] == "balance_transaction":
            return self._account.balance.shown(found)
        return found

    def _refunds_of(self, charge: Object) -> Object:
        call = Call(f"/v1/charges/{charge['id']}/refunds", {"charge": charge["id"]})
        return list_objects(self._account.store, "refund", call, "charge")


def _browser_parameters(given: dict[str, Any], operation: Operation) -> dict[str, Any]:
    """Take out what only Stripe.js sends; the client secret must be there."""
    if not operation.publishable:
        raise ApiError(
            403,
            "This API call cannot be made with a publishable API key. Please use a secret API key. You can"
            " find a list of your API keys at https://dashboard.stripe.com/account/apikeys.",
            code="secret_key_required",
        )
    if "client_secret" not in given:
        raise ApiError(
            400, "Missing required param: client_secret.", code="parameter_missing", param="client_secret"
        )
    names = ("client_secret", "payment_method_data")
    return {name: given.pop(name) for name in names if name in given}

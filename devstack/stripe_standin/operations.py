"""Which operation answers which method and path."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from devstack.stripe_standin.account import Account
from devstack.stripe_standin.call import Call, fetch, list_objects
from devstack.stripe_standin.store import Object

_EVENTS_LISTED_SECONDS = 30 * 86400
Handler = Callable[[Call], Object]


@dataclass(frozen=True)
class Operation:
    """`name` is the method and path template of the OpenAPI subset."""

    name: str
    handler: Handler
    publishable: bool = False
    """Whether a browser with a publishable key and the client secret may call it."""


class Operations:
    """The routing table; the reads that need no class of their own live here too."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store
        table = {
            **self._payments(),
            **self._people(),
            **self._movements(),
            **self._taxes(),
            **self._endpoints(),
        }
        browser = ("GET /v1/payment_intents/{id}", "POST /v1/payment_intents/{id}/confirm")
        self._routes = [
            (_pattern(name), Operation(name, handler, name in browser)) for name, handler in table.items()
        ]

    def find(self, method: str, path: str) -> tuple[Operation, str] | None:
        """The operation and the id in the path."""
        for pattern, operation in self._routes:
            match = pattern.fullmatch(f"{method} {path}")
            if match is not None:
                return operation, next(iter(match.groups()), "")
        return None

    def _payments(self) -> dict[str, Handler]:
        intents, refunds, disputes = self._account.intents, self._account.refunds, self._account.disputes
        return {
            "POST /v1/payment_intents": intents.create,
            "GET /v1/payment_intents": intents.listing,
            "GET /v1/payment_intents/{id}": intents.retrieve,
            "POST /v1/payment_intents/{id}": intents.update,
            "POST /v1/payment_intents/{id}/confirm": intents.confirm,
            "POST /v1/payment_intents/{id}/capture": intents.capture,
            "POST /v1/payment_intents/{id}/cancel": intents.cancel,
            "POST /v1/refunds": refunds.create,
            "GET /v1/refunds": refunds.listing,
            "GET /v1/refunds/{id}": refunds.retrieve,
            "POST /v1/refunds/{id}": refunds.update,
            "POST /v1/refunds/{id}/cancel": refunds.cancel,
            "GET /v1/disputes": disputes.listing,
            "GET /v1/disputes/{id}": disputes.retrieve,
            "POST /v1/disputes/{id}": disputes.update,
            "POST /v1/disputes/{id}/close": disputes.close,
        }

    def _people(self) -> dict[str, Handler]:
        customers, methods = self._account.customers, self._account.methods
        return {
            "POST /v1/customers": customers.create,
            "GET /v1/customers": customers.listing,
            "GET /v1/customers/{id}": customers.retrieve,
            "POST /v1/customers/{id}": customers.update,
            "POST /v1/payment_methods": methods.create,
            "GET /v1/payment_methods": methods.listing,
            "GET /v1/payment_methods/{id}": methods.retrieve,
            "POST /v1/payment_methods/{id}/attach": methods.attach,
            "POST /v1/payment_methods/{id}/detach": methods.detach,
        }

    def _movements(self) -> dict[str, Handler]:
        return {
            "GET /v1/charges": lambda call: list_objects(
                self._store, "charge", call, "customer", "payment_intent"
            ),
            "GET /v1/charges/{id}": lambda call: fetch(self._store, "charge", call.object_id),
            "GET /v1/balance_transactions": self._list_movements,
            "GET /v1/balance_transactions/{id}": lambda call: self._account.balance.shown(
                fetch(self._store, "balance_transaction", call.object_id)
            ),
            "GET /v1/balance": lambda call: self._account.balance.totals(),
            "GET /v1/events": self._list_events,
            "GET /v1/events/{id}": lambda call: self._with_pending(
                [fetch(self._store, "event", call.object_id)]
            )[0],
        }

    def _taxes(self) -> dict[str, Handler]:
        taxes = self._account.taxes
        return {
            "POST /v1/tax/calculations": taxes.calculate,
            "GET /v1/tax/calculations/{id}": taxes.retrieve_calculation,
            "GET /v1/tax/calculations/{id}/line_items": taxes.line_items,
            "POST /v1/tax/transactions/create_from_calculation": taxes.commit,
            "POST /v1/tax/transactions/create_reversal": taxes.reverse,
            "GET /v1/tax/transactions/{id}": taxes.retrieve_transaction,
            "GET /v1/tax/transactions/{id}/line_items": taxes.line_items,
        }

    def _endpoints(self) -> dict[str, Handler]:
        endpoints = self._account.endpoints
        return {
            "POST /v1/webhook_endpoints": endpoints.create,
            "GET /v1/webhook_endpoints": endpoints.listing,
            "GET /v1/webhook_endpoints/{id}": endpoints.retrieve,
            "POST /v1/webhook_endpoints/{id}": endpoints.update,
            "DELETE /v1/webhook_endpoints/{id}": endpoints.delete,
        }

    def _list_movements(self, call: Call) -> Object:
        lowered = {"currency": call.params["currency"].lower()} if "currency" in call.params else {}
        call = replace(call, params=call.params | lowered)
        page = list_objects(self._store, "balance_transaction", call, "source", "type", "currency")
        page["data"] = [self._account.balance.shown(transaction) for transaction in page["data"]]
        return page

    def _list_events(self, call: Call) -> Object:
        named = [call.params["type"]] if "type" in call.params else call.params.get("types", [])
        since = self._store.now() - _EVENTS_LISTED_SECONDS
        page = list_objects(self._store, "event", call, types=tuple(named), since=since)
        page["data"] = self._with_pending(page["data"])
        return page

    def _with_pending(self, events: list[Object]) -> list[Object]:
        waiting = self._account.deliveries.pending_endpoints([event["id"] for event in events])
        return [event | {"pending_webhooks": waiting.get(event["id"], 0)} for event in events]


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\{id\}", "([^/]+)"))

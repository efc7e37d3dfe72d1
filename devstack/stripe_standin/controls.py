"""Buttons under `/_test/`, for tests and people: JSON in, JSON out, no key.

Each line of `_ROUTES` documents one; `GET /_test/` answers them.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devstack.lms_standin.server import json_object
from devstack.stripe_standin.account import Account
from devstack.stripe_standin.call import Call
from devstack.stripe_standin.events import NOBODY
from devstack.stripe_standin.faults import Fault
from devstack.stripe_standin.store import Object

Action = Callable[[str, dict[str, Any]], Any]

_ROUTES: list[tuple[str, str, str]] = [
    ("POST", "payment_intents/{id}/authenticate", "finish 3-D Secure: {passed: true or false}"),
    ("POST", "payment_intents/{id}/settle", "the bank pays a processing intent"),
    ("POST", "payment_intents/{id}/fail", "the bank refuses a processing intent: {code?}"),
    ("POST", "payment_intents/{id}/return", "the bank returns a debit that had succeeded: {code?}"),
    ("POST", "payment_intents/{id}/cancel", "cancel as in the dashboard: {cancellation_reason?}"),
    (
        "POST",
        "refunds",
        "refund as in the dashboard: {payment_intent or charge, amount?, reason?, metadata?,"
        " status?: succeeded, pending, requires_action or failed}",
    ),
    ("POST", "refunds/{id}/settle", "a pending refund succeeds"),
    ("POST", "refunds/{id}/fail", "a refund fails, even after it succeeded: {reason?}"),
    (
        "POST",
        "disputes",
        "the cardholder disputes: {charge or payment_intent, amount?, reason?, inquiry?: true or false,"
        " evidence_days?}",
    ),
    ("POST", "disputes/{id}/decide", "the bank decides: {won: true or false, fee_returned?}"),
    ("POST", "disputes/{id}/prevent", "it is settled before that: {returned: true or false}"),
    ("POST", "disputes/{id}/escalate", "an inquiry becomes a dispute and moves money"),
    ("POST", "payouts", "pay out to the bank: {amount, currency?}"),
    ("POST", "payouts/{id}/fail", "the bank sends a payout back"),
    ("POST", "adjustments", "move the balance alone: {amount, currency, category: fee or any other}"),
    ("PUT", "settlement", "settle one currency in another from now on: {of, currency, rate: text}"),
    ("GET", "faults", "the faults in force"),
    (
        "POST",
        "faults",
        "{method, path (* one segment, ** anything), kind: latency, 429, lock_timeout, 500_before, 500_after,"
        " cut_before, cut_after or timeout, count?: number or null, skip?, seconds?, status?, kept?}",
    ),
    ("DELETE", "faults", "end all faults"),
    ("GET", "chaos", "what goes wrong with deliveries"),
    (
        "PUT",
        "chaos",
        "{duplicate?: further copies, reorder?, delay_seconds?, drop?: [types or *], old_secret?: sign with"
        " it, count?: events}; members left out are switched off",
    ),
    ("DELETE", "chaos", "deliver normally"),
    ("POST", "deliveries/pause", "hold deliveries back"),
    ("POST", "deliveries/resume", "let them go"),
    ("POST", "deliveries/release", "send dropped deliveries after all"),
    ("GET", "deliveries", "?event_id=&state=pending, delivered, dropped or failed; newest first"),
    ("POST", "events/{id}/send", "send one more copy of an event"),
    ("POST", "webhook_endpoints/{id}/roll", "a new secret: {secret?, overlap_seconds?: sign with both}"),
    ("GET", "clock", "{now, offset_seconds}"),
    ("POST", "clock", "{advance_seconds or offset_seconds}"),
    ("GET", "timing", "seconds until things happen by themselves (null: never)"),
    ("PUT", "timing", "change some of them"),
    ("GET", "requests", "?idempotency_key=&path=&method=; POST and DELETE requests, oldest first"),
    ("GET", "effects", "?idempotency_key=; how often a request was executed, by key"),
    ("POST", "reset", "forget everything but the configured webhook endpoint"),
]


class Controls:
    """The routes. Each runs in one transaction."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._actions: dict[tuple[str, str], Action] = {
            **self._money_buttons(),
            **self._delivery_buttons(),
            **self._other_buttons(),
        }

    def routes(self) -> list[Route]:
        """All of them."""
        made = [
            Route(f"/_test/{path}", self._endpoint(self._actions[method, path]), methods=[method])
            for method, path, _ in _ROUTES
        ]
        return [Route("/_test/", self._documentation), *made]

    def perform(self, method: str, path: str, object_id: str, given: dict[str, Any]) -> Any:
        """Press a button; the page uses it too."""
        account = self._account
        if (method, path) in (("POST", "reset"),):
            account.reset()
            return {}
        with account.store.transaction():
            account.events.cause = NOBODY
            answer = self._actions[method, path](object_id, given)
        account.committed()
        return answer

    def _endpoint(self, action: Action) -> Callable[[Request], Awaitable[Response]]:
        path = next(key for key, known in self._actions.items() if known is action)

        async def endpoint(request: Request) -> Response:
            given = dict(request.query_params) if request.method == "GET" else await json_object(request)
            object_id = request.path_params.get("id", "")
            answer = self.perform(*path, object_id, given)
            return JSONResponse(answer if answer is not None else {})

        return endpoint

    async def _documentation(self, request: Request) -> Response:
        described = [
            {"method": method, "path": f"/_test/{path}", "does": does} for method, path, does in _ROUTES
        ]
        return JSONResponse({"routes": described})

    def _money_buttons(self) -> dict[tuple[str, str], Action]:
        charging, refunds, disputes = self._account.charging, self._account.refunds, self._account.disputes
        return {
            ("POST", "payment_intents/{id}/authenticate"): lambda one, given: charging.authenticate(
                one, passed=_flag(given, "passed")
            ),
            ("POST", "payment_intents/{id}/settle"): lambda one, given: charging.settle(one),
            ("POST", "payment_intents/{id}/fail"): lambda one, given: charging.fail(one, **given),
            ("POST", "payment_intents/{id}/return"): lambda one, given: charging.give_back(one, **given),
            ("POST", "payment_intents/{id}/cancel"): lambda one, given: self._account.intents.cancel(
                Call("", given, one)
            ),
            ("POST", "refunds"): self._refund,
            ("POST", "refunds/{id}/settle"): lambda one, given: refunds.settle(one),
            ("POST", "refunds/{id}/fail"): lambda one, given: refunds.fail(one, **given),
            ("POST", "disputes"): self._dispute,
            ("POST", "disputes/{id}/decide"): lambda one, given: disputes.decide(
                one, won=_flag(given, "won"), fee_returned=int(given.get("fee_returned", 0))
            ),
            ("POST", "disputes/{id}/prevent"): lambda one, given: disputes.prevent(
                one, returned=_flag(given, "returned")
            ),
            ("POST", "disputes/{id}/escalate"): lambda one, given: disputes.escalate(one),
            **self._balance_buttons(),
        }

    def _balance_buttons(self) -> dict[tuple[str, str], Action]:
        payouts, balance = self._account.payouts, self._account.balance
        return {
            ("POST", "payouts"): lambda _, given: payouts.pay(**given),
            ("POST", "payouts/{id}/fail"): lambda one, given: payouts.fail(one),
            ("POST", "adjustments"): lambda _, given: balance.adjust(**given),
            ("PUT", "settlement"): lambda _, given: balance.set_settlement(**given),
        }

    def _refund(self, _: str, given: dict[str, Any]) -> Object:
        status = given.pop("status", "succeeded")
        return self._account.refunds.make(given, status)

    def _dispute(self, _: str, given: dict[str, Any]) -> Object:
        charge_id = given.pop("charge", None)
        if charge_id is None:
            charge_id = self._account.store.get(given.pop("payment_intent"))["latest_charge"]
        return self._account.disputes.open(charge_id, **given)

    def _delivery_buttons(self) -> dict[tuple[str, str], Action]:
        deliveries, chaos, store = self._account.deliveries, self._account.chaos, self._account.store
        return {
            ("GET", "chaos"): lambda _, given: chaos.described(),
            ("PUT", "chaos"): lambda _, given: chaos.change(store, given),
            ("DELETE", "chaos"): lambda _, given: chaos.change(store, {}),
            ("POST", "deliveries/pause"): lambda _, given: deliveries.set_paused(True),
            ("POST", "deliveries/resume"): lambda _, given: deliveries.set_paused(False),
            ("POST", "deliveries/release"): lambda _, given: {"released": deliveries.release_dropped()},
            ("GET", "deliveries"): lambda _, given: {
                "data": deliveries.listing(given.get("event_id"), given.get("state"))
            },
            ("POST", "events/{id}/send"): lambda one, given: {"copies": deliveries.send_again(one)},
            ("POST", "webhook_endpoints/{id}/roll"): lambda one, given: {
                "secret": self._account.endpoints.roll(
                    one, given.get("secret"), given.get("overlap_seconds", 24 * 3600)
                )
            },
        }

    def _other_buttons(self) -> dict[tuple[str, str], Action]:
        faults, keys, tasks = self._account.faults, self._account.keys, self._account.tasks
        return {
            ("GET", "faults"): lambda _, given: {"data": faults.listing()},
            ("POST", "faults"): lambda _, given: faults.add(Fault(**given)),
            ("DELETE", "faults"): lambda _, given: faults.clear(),
            ("GET", "clock"): lambda _, given: self._clock(),
            ("POST", "clock"): self._move_clock,
            ("GET", "timing"): lambda _, given: tasks.timing(),
            ("PUT", "timing"): lambda _, given: tasks.set_timing(given),
            ("GET", "requests"): lambda _, given: {
                "data": keys.requests(given.get("idempotency_key"), given.get("path"), given.get("method"))
            },
            ("GET", "effects"): lambda _, given: {"data": keys.effects(given.get("idempotency_key"))},
            ("POST", "reset"): lambda _, given: {},
        }

    def _clock(self) -> Object:
        store = self._account.store
        return {"now": store.now(), "offset_seconds": store.clock_offset_seconds}

    def _move_clock(self, _: str, given: dict[str, Any]) -> Object:
        store = self._account.store
        if "offset_seconds" in given:
            store.set_clock_offset(float(given["offset_seconds"]))
        else:
            store.set_clock_offset(store.clock_offset_seconds + float(given["advance_seconds"]))
        return self._clock()


def _flag(given: dict[str, Any], name: str) -> bool:
    if not isinstance(given[name], bool):
        raise TypeError(f"{name} must be true or false")
    return bool(given[name])

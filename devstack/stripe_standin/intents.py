"""Payment intents: the operations that callers see (docs.stripe.com/payments/paymentintents/lifecycle)."""

from typing import Any

from devstack.stripe_standin import shapes
from devstack.stripe_standin.call import Call, fetch, list_objects, merged_metadata
from devstack.stripe_standin.charging import Attempt, Charging, unexpected_state
from devstack.stripe_standin.currencies import check_amount, check_currency, check_last_digit, check_positive
from devstack.stripe_standin.errors import ApiError, invalid_parameter, refused
from devstack.stripe_standin.events import Events
from devstack.stripe_standin.methods import PaymentMethods
from devstack.stripe_standin.store import Object, Store

_CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
_CANCELABLE = (*_CONFIRMABLE, "requires_capture")
_ONLY_BEFORE_PAYMENT = (
    *("amount", "currency", "capture_method", "payment_method", "payment_method_data"),
    *("allowed_payment_method_types", "excluded_payment_method_types", "customer"),
)
_PLAIN = (
    *("capture_method", "confirmation_method", "customer", "description", "receipt_email"),
    *("setup_future_usage", "statement_descriptor", "statement_descriptor_suffix", "transfer_group"),
    *("allowed_payment_method_types", "excluded_payment_method_types"),
)
_ONLY_WITH_CONFIRM = ("off_session", "error_on_requires_action", "use_stripe_sdk", "mandate_data")
_CARD_OPTIONS = dict.fromkeys(("installments", "mandate_options", "network", "request_three_d_secure"))
_NEEDS_RETURN_URL = (
    "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of"
    " these payment methods might redirect your customer off of your page, you must provide a `return_url`."
    " If you don't want to accept redirect-based payment methods, set"
    " `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to"
    " `never` when creating Setup Intents and Payment Intents."
)


class PaymentIntents:
    """Create, retrieve, update, confirm, capture, cancel, list."""

    def __init__(self, store: Store, events: Events, methods: PaymentMethods, charging: Charging) -> None:
        self._store = store
        self._events = events
        self._methods = methods
        self._charging = charging

    def create(self, call: Call) -> Object:
        """`POST /v1/payment_intents`."""
        params = call.params
        currency = check_currency(params["currency"])
        check_amount(params["amount"], currency)
        confirm = params.get("confirm", False)
        for name in _ONLY_WITH_CONFIRM:
            if name in params and not confirm:
                raise invalid_parameter(
                    f"The parameter `{name}` cannot be passed when creating a PaymentIntent unless"
                    " `confirm` is set to true.",
                    name,
                )
        intent = shapes.payment_intent(params["amount"], currency, self._store.now())
        intent |= self._changes(intent, params)
        if "automatic_payment_methods" in params:
            given = params["automatic_payment_methods"]
            intent["automatic_payment_methods"] = {"allow_redirects": "always", **given}
        intent = self._store.insert(intent, return_url=params.get("return_url"))
        self._events.emit("payment_intent.created", intent)
        if not confirm:
            return intent
        return self._confirm(intent, call)

    def retrieve(self, call: Call) -> Object:
        """`GET /v1/payment_intents/{id}`; a client secret that is not this intent's finds nothing."""
        intent = fetch(self._store, "payment_intent", call.object_id, "intent")
        check_secret(intent, call.params.get("client_secret"))
        return intent

    def listing(self, call: Call) -> Object:
        """`GET /v1/payment_intents`."""
        return list_objects(self._store, "payment_intent", call, "customer")

    def update(self, call: Call) -> Object:
        """`POST /v1/payment_intents/{id}`."""
        intent, params = fetch(self._store, "payment_intent", call.object_id, "intent"), call.params
        touched = [name for name in _ONLY_BEFORE_PAYMENT if name in params]
        if touched and intent["status"] not in _CONFIRMABLE:
            raise unexpected_state(
                intent,
                f"This PaymentIntent's {touched[0]} could not be updated because it has a status of"
                f" {intent['status']}. You may only update the {touched[0]} of a PaymentIntent with one of"
                f" the following statuses: {', '.join(_CONFIRMABLE)}.",
            )
        currency = check_currency(str(params.get("currency", intent["currency"])))
        amount: int = params["amount"] if "amount" in params else intent["amount"]
        if touched:
            check_amount(amount, currency)
        changes = self._changes(intent, params) | {"amount": amount, "currency": currency}
        return self._store.change(intent["id"], **changes)

    def confirm(self, call: Call) -> Object:
        """`POST /v1/payment_intents/{id}/confirm`."""
        intent = fetch(self._store, "payment_intent", call.object_id, "intent")
        check_secret(intent, call.params.get("client_secret"))
        if intent["status"] == "succeeded":
            raise unexpected_state(
                intent,
                "You cannot confirm this PaymentIntent because it has already succeeded after being"
                " previously confirmed.",
            )
        if intent["status"] not in _CONFIRMABLE:
            raise unexpected_state(
                intent,
                f"You cannot confirm this PaymentIntent because it has a status of {intent['status']}. Only a"
                " PaymentIntent with one of the following statuses may be confirmed:"
                f" {', '.join(_CONFIRMABLE)}.",
            )
        intent = self._store.change(intent["id"], **self._changes(intent, call.params))
        return self._confirm(intent, call)

    def capture(self, call: Call) -> Object:
        """`POST /v1/payment_intents/{id}/capture`."""
        intent = fetch(self._store, "payment_intent", call.object_id, "intent")
        if intent["status"] != "requires_capture":
            raise unexpected_state(
                intent,
                f"This PaymentIntent could not be captured because it has a status of {intent['status']}."
                " Only a PaymentIntent with one of the following statuses may be captured: requires_capture.",
            )
        amount = call.params.get("amount_to_capture")
        if amount is not None:
            check_positive(amount, "amount_to_capture")
            check_last_digit(amount, intent["currency"], "amount_to_capture")
        if "metadata" in call.params:
            metadata = merged_metadata(intent["metadata"], call.params["metadata"])
            self._store.change(intent["id"], metadata=metadata)
        return self._charging.capture(intent["id"], amount)

    def cancel(self, call: Call) -> Object:
        """`POST /v1/payment_intents/{id}/cancel`."""
        intent = fetch(self._store, "payment_intent", call.object_id, "intent")
        if intent["status"] not in _CANCELABLE:
            raise unexpected_state(
                intent,
                f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. Only a"
                " PaymentIntent with one of the following statuses may be canceled:"
                f" {', '.join(_CANCELABLE)}.",
            )
        if intent["status"] == "requires_capture":
            self._charging.release(intent)
        canceled = self._store.change(
            intent["id"],
            status="canceled",
            canceled_at=self._store.now(),
            cancellation_reason=call.params.get("cancellation_reason"),
            amount_capturable=0,
            next_action=None,
        )
        self._events.emit("payment_intent.canceled", canceled)
        return canceled

    def _changes(self, intent: Object, params: dict[str, Any]) -> Object:
        """The members that create, update and confirm have in common."""
        changes: Object = {name: params[name] or None for name in _PLAIN if name in params}
        if changes.get("customer"):
            fetch(self._store, "customer", changes["customer"], "customer")
        if "shipping" in params:
            changes["shipping"] = shapes.shipping(params["shipping"])
        if "metadata" in params:
            changes["metadata"] = merged_metadata(intent["metadata"], params["metadata"])
        if changes.get("allowed_payment_method_types"):
            changes["payment_method_types"] = changes["allowed_payment_method_types"]
        card = (params.get("payment_method_options") or {}).get("card")
        if card:
            changes["payment_method_options"] = {"card": {**_CARD_OPTIONS, **card}}
        if params.get("payment_method"):
            used = self._methods.use(params["payment_method"])
        elif params.get("payment_method_data"):
            used = self._methods.make(params["payment_method_data"])
        else:
            return changes
        if intent["status"] in ("requires_payment_method", "requires_action"):
            changes |= {"status": "requires_confirmation", "next_action": None}
        return changes | {"payment_method": used["id"]}

    def _confirm(self, intent: Object, call: Call) -> Object:
        params = call.params
        automatic = intent["automatic_payment_methods"]
        return_url = params.get("return_url") or self._store.hidden(intent["id"]).get("return_url")
        redirects = bool(automatic and automatic["enabled"] and automatic["allow_redirects"] == "always")
        # Stripe.js redirects by itself, so a browser's confirm needs no address.
        if redirects and not return_url and not call.publishable:
            raise ApiError(400, _NEEDS_RETURN_URL)
        if intent["payment_method"] is None:
            raise unexpected_state(
                intent,
                "You cannot confirm this PaymentIntent because it's missing a payment method. You can either"
                " update the PaymentIntent with a payment method and then confirm it again, or confirm it"
                " again directly with a payment method or ConfirmationToken.",
            )
        self._check_method(intent)
        card = intent["payment_method_options"].get("card") or {}
        attempt = Attempt(
            intent["id"],
            intent["payment_method"],
            call.origin,
            return_url,
            off_session=bool(params.get("off_session")),
            error_on_action=bool(params.get("error_on_requires_action")),
            force_challenge=card.get("request_three_d_secure") in ("any", "challenge"),
        )
        return self._charging.start(attempt)

    def _check_method(self, intent: Object) -> None:
        kind = self._store.get(intent["payment_method"])["type"]
        allowed = intent["payment_method_types"]
        if kind not in allowed or kind in (intent["excluded_payment_method_types"] or ()):
            raise refused(
                f"The PaymentMethod provided ({kind}) is not allowed for this PaymentIntent in"
                f" {intent['currency']}. Allowed: {', '.join(allowed)}.",
                "payment_intent_incompatible_payment_method",
                "payment_method",
            )


def check_secret(intent: Object, given: str | None) -> None:
    """400 when a client secret is given and is not the intent's."""
    if given is not None and given != intent["client_secret"]:
        raise ApiError(
            400,
            "The client_secret provided does not match the client_secret associated with the PaymentIntent.",
            code="payment_intent_invalid_parameter",
            param="client_secret",
        )

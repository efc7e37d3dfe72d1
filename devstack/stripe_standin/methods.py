"""Payment methods: the named test methods, and methods made from a card number."""

from typing import Any

from devstack.stripe_standin import shapes
from devstack.stripe_standin.call import Call, fetch, list_objects
from devstack.stripe_standin.cards import METHODS, NAME_BY_NUMBER, TestMethod
from devstack.stripe_standin.errors import ApiError, Declined, invalid_parameter, missing_parameter
from devstack.stripe_standin.events import Events
from devstack.stripe_standin.store import Object, Store


class PaymentMethods:
    """Creates, finds and attaches payment methods."""

    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events

    def behaviour(self, method_id: str) -> TestMethod:
        """What the test method behind a stored payment method does."""
        return METHODS[self._store.hidden(method_id)["name"]]

    def use(self, given: str) -> Object:
        """The stored payment method; the name of a test method makes a new one, as Stripe does."""
        if given in METHODS:
            return self._make(given, {})
        found = self._store.find(given, "payment_method")
        if found is None:
            raise ApiError(
                400,
                f"No such PaymentMethod: '{given}'",
                code="resource_missing",
                param="payment_method",
                kept=True,
            )
        return found

    def make(self, given: dict[str, Any]) -> Object:
        """A new payment method from the parameters of `POST /v1/payment_methods`."""
        kind = given.get("type")
        if kind is None:
            raise missing_parameter("type")
        if kind == "us_bank_account":
            return self._make("pm_usBankAccount_processing", given)
        if kind != "card":
            raise invalid_parameter(
                f"The payment method type {kind} is not enabled for this account.", "type"
            )
        card = given.get("card") or {}
        token = card.get("token", "")
        name = f"pm_card_{token.removeprefix('tok_')}" if token else self._by_number(card)
        if name not in METHODS:
            raise invalid_parameter(f"No such token: '{token}'", "card[token]", "resource_missing")
        return self._make(name, given)

    @staticmethod
    def _by_number(card: dict[str, Any]) -> str:
        for member in ("number", "exp_month", "exp_year"):
            if member not in card:
                raise missing_parameter(f"card[{member}]")
        number = str(card["number"]).replace(" ", "").replace("-", "")
        if number not in NAME_BY_NUMBER:
            raise Declined("Your card number is incorrect.", code="incorrect_number", param="number")
        return NAME_BY_NUMBER[number]

    def _make(self, name: str, given: Object) -> Object:
        body = shapes.payment_method(METHODS[name], self._store.now(), given)
        return self._store.insert(body, name=name)

    def create(self, call: Call) -> Object:
        """`POST /v1/payment_methods`."""
        return self.make(call.params)

    def retrieve(self, call: Call) -> Object:
        """`GET /v1/payment_methods/{id}`."""
        if call.object_id in METHODS:
            return shapes.payment_method(METHODS[call.object_id], self._store.now()) | {"id": call.object_id}
        return fetch(self._store, "payment_method", call.object_id)

    def listing(self, call: Call) -> Object:
        """`GET /v1/payment_methods`."""
        return list_objects(self._store, "payment_method", call, "customer", "type")

    def attach(self, call: Call) -> Object:
        """`POST /v1/payment_methods/{id}/attach`."""
        if "customer" not in call.params:
            raise missing_parameter("customer")
        customer = fetch(self._store, "customer", call.params["customer"], "customer")
        method = self.use(call.object_id)
        attached = self._store.change(method["id"], customer=customer["id"])
        self._events.emit("payment_method.attached", attached)
        return attached

    def detach(self, call: Call) -> Object:
        """`POST /v1/payment_methods/{id}/detach`."""
        before = fetch(self._store, "payment_method", call.object_id)
        detached = self._store.change(call.object_id, customer=None)
        self._events.emit("payment_method.detached", detached, before)
        return detached

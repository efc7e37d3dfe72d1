"""Customers, as far as payments need them."""

from devstack.stripe_standin import shapes
from devstack.stripe_standin.call import Call, fetch, list_objects, merged_metadata
from devstack.stripe_standin.events import Events
from devstack.stripe_standin.methods import PaymentMethods
from devstack.stripe_standin.store import Object, Store


class Customers:
    """Create, retrieve, update, list."""

    _PLAIN = ("description", "email", "name", "phone", "tax_exempt", "balance")

    def __init__(self, store: Store, events: Events, methods: PaymentMethods) -> None:
        self._store = store
        self._events = events
        self._methods = methods

    def create(self, call: Call) -> Object:
        """`POST /v1/customers`."""
        from_scratch = shapes.customer(self._store.now())
        created = self._store.insert({**from_scratch, **self._changes(from_scratch, call)})
        if "payment_method" in call.params:
            method = self._methods.use(call.params["payment_method"])
            self._store.change(method["id"], customer=created["id"])
        self._events.emit("customer.created", created)
        return created

    def retrieve(self, call: Call) -> Object:
        """`GET /v1/customers/{id}`."""
        return fetch(self._store, "customer", call.object_id)

    def update(self, call: Call) -> Object:
        """`POST /v1/customers/{id}`."""
        before = fetch(self._store, "customer", call.object_id)
        return self._events.change("customer.updated", before["id"], **self._changes(before, call))

    def listing(self, call: Call) -> Object:
        """`GET /v1/customers`."""
        page = list_objects(self._store, "customer", call)
        if "email" in call.params:
            page["data"] = [one for one in page["data"] if one["email"] == call.params["email"]]
        return page

    def _changes(self, before: Object, call: Call) -> Object:
        changes: Object = {
            name: call.params[name] or (0 if name == "balance" else None)
            for name in self._PLAIN
            if name in call.params
        }
        if "address" in call.params:
            changes["address"] = shapes.address(call.params["address"])
        if "shipping" in call.params:
            changes["shipping"] = shapes.shipping(call.params["shipping"])
        if "preferred_locales" in call.params:
            changes["preferred_locales"] = call.params["preferred_locales"]
        return changes | {"metadata": merged_metadata(before["metadata"], call.params.get("metadata"))}

"""Events, made in the transaction of the change they tell of, and queued for the endpoints."""

from dataclasses import dataclass
from typing import Any

from devstack.stripe_standin.chaos import Chaos
from devstack.stripe_standin.store import Object, Store, new_id


@dataclass(frozen=True)
class Cause:
    """The request behind an event; both are None when the dashboard or time did it."""

    request_id: str | None = None
    idempotency_key: str | None = None


NOBODY = Cause()


def difference(old: Object, new: Object) -> Object:
    """`previous_attributes`: the former values of what changed, nested hashes member by member."""
    found: Object = {}
    for name in old.keys() | new.keys():
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict) and "object" not in before:
            found[name] = difference(before, after)
        else:
            found[name] = before
    return found


class Events:
    """Makes events. `cause` is set by whoever acts, for the time of the act."""

    def __init__(self, store: Store, api_version: str, chaos: Chaos) -> None:
        self._store = store
        self._api_version = api_version
        self._chaos = chaos
        self.cause = NOBODY

    def emit(self, kind: str, subject: Object, before: Object | None = None) -> Object:
        """An event about `subject` as it is now; `before` is what it was, for `previous_attributes`."""
        endpoints = self._endpoints_for(kind)
        data: Object = {"object": subject}
        if before is not None:
            data["previous_attributes"] = difference(before, subject)
        event = self._store.insert(
            {
                "id": new_id("evt"),
                "object": "event",
                "api_version": self._api_version,
                "created": self._store.now(),
                "data": data,
                "livemode": False,
                "pending_webhooks": len(endpoints),
                "request": {
                    "id": self.cause.request_id,
                    "idempotency_key": self.cause.idempotency_key,
                },
                "type": kind,
            }
        )
        self._queue(event, endpoints)
        return event

    def change(self, kind: str, object_id: str, **changes: Any) -> Object:
        """Change an object and tell of it with its previous attributes."""
        before = self._store.get(object_id)
        after = self._store.change(object_id, **changes)
        self.emit(kind, after, before)
        return after

    def _endpoints_for(self, kind: str) -> list[Object]:
        return [
            endpoint
            for endpoint in self._store.every("webhook_endpoint")
            if endpoint["status"] == "enabled"
            and ("*" in endpoint["enabled_events"] or kind in endpoint["enabled_events"])
        ]

    def _queue(self, event: Object, endpoints: list[Object]) -> None:
        chaos = self._chaos.take(self._store)
        dropped = event["type"] in chaos.drop or "*" in chaos.drop
        due_at = chaos.first_due(self._store)
        for endpoint in endpoints:
            for _ in range(1 if dropped else 1 + chaos.duplicate):
                self._store.db.execute(
                    "INSERT INTO delivery (event_id, endpoint_id, type, state, due_at)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (
                        *(event["id"], endpoint["id"], event["type"]),
                        *("dropped" if dropped else "pending", due_at),
                    ),
                )

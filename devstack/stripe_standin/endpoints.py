"""Webhook endpoints: made by the API, or configured on the command line."""

import secrets
import time

from devstack.stripe_standin.call import Call, fetch, list_objects, merged_metadata
from devstack.stripe_standin.errors import invalid_parameter
from devstack.stripe_standin.store import Object, Store, new_id

CONFIGURED_ID = "we_standinConfiguredOnStart"


class WebhookEndpoints:
    """Create, retrieve, update, delete, list; and rolling the secret, which the dashboard does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def configure(self, url: str, secret: str) -> None:
        """Make or change the endpoint of the command line: a fixed id, all event types."""
        found = self._store.find(CONFIGURED_ID, "webhook_endpoint")
        with self._store.transaction():
            if found is None:
                self._insert(CONFIGURED_ID, url, ["*"], secret, description="configured on start")
            else:
                self._store.change(CONFIGURED_ID, url=url, status="enabled", enabled_events=["*"])
                self._store.hide(CONFIGURED_ID, secret=secret)

    def create(self, call: Call) -> Object:
        """`POST /v1/webhook_endpoints`; only this answer carries the secret."""
        params = call.params
        _check_url(params["url"])
        secret = new_secret()
        made = self._insert(
            new_id("we"),
            params["url"],
            params["enabled_events"],
            secret,
            api_version=params.get("api_version"),
            description=params.get("description") or None,
            metadata=merged_metadata({}, params.get("metadata")),
        )
        return made | {"secret": secret}

    def _insert(
        self, endpoint_id: str, url: str, enabled_events: list[str], secret: str, **more: object
    ) -> Object:
        body: Object = {
            "id": endpoint_id,
            "object": "webhook_endpoint",
            "api_version": None,
            "application": None,
            "created": self._store.now(),
            "description": None,
            "enabled_events": enabled_events,
            "livemode": False,
            "metadata": {},
            "status": "enabled",
            "url": url,
        }
        return self._store.insert(body | more, secret=secret)

    def retrieve(self, call: Call) -> Object:
        """`GET /v1/webhook_endpoints/{id}`."""
        return fetch(self._store, "webhook_endpoint", call.object_id)

    def listing(self, call: Call) -> Object:
        """`GET /v1/webhook_endpoints`."""
        return list_objects(self._store, "webhook_endpoint", call)

    def update(self, call: Call) -> Object:
        """`POST /v1/webhook_endpoints/{id}`."""
        before, params = fetch(self._store, "webhook_endpoint", call.object_id), call.params
        changes: Object = {name: params[name] for name in ("url", "enabled_events") if name in params}
        if "url" in changes:
            _check_url(changes["url"])
        if "description" in params:
            changes["description"] = params["description"] or None
        if "disabled" in params:
            changes["status"] = "disabled" if params["disabled"] else "enabled"
        metadata = merged_metadata(before["metadata"], params.get("metadata"))
        return self._store.change(before["id"], metadata=metadata, **changes)

    def delete(self, call: Call) -> Object:
        """`DELETE /v1/webhook_endpoints/{id}`."""
        found = fetch(self._store, "webhook_endpoint", call.object_id)
        self._store.remove(found["id"])
        self._store.db.execute(
            "UPDATE delivery SET state = 'failed', last_error = 'the endpoint is gone'"
            " WHERE endpoint_id = ? AND state IN ('pending', 'dropped')",
            (found["id"],),
        )
        return {"id": found["id"], "object": "webhook_endpoint", "deleted": True}

    def roll(self, endpoint_id: str, secret: str | None, overlap_seconds: float) -> str:
        """A new secret; for `overlap_seconds` deliveries carry both signatures. Returns it."""
        fetch(self._store, "webhook_endpoint", endpoint_id)
        fresh = secret or new_secret()
        self._store.hide(
            endpoint_id,
            secret=fresh,
            previous_secret=self._store.hidden(endpoint_id)["secret"],
            previous_until=time.time() + overlap_seconds,
        )
        return fresh

    def secrets_of(self, endpoint_id: str) -> list[str]:
        """The secrets that sign now, the current one first."""
        hidden = self._store.hidden(endpoint_id)
        found = [hidden["secret"]]
        if hidden.get("previous_until", 0) > time.time():
            found.append(hidden["previous_secret"])
        return found


def new_secret() -> str:
    """A signing secret as Stripe makes them."""
    return f"whsec_{secrets.token_hex(24)}"


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise invalid_parameter(
            "Invalid URL: an explicit scheme (such as https) must be provided.", "url", "url_invalid"
        )

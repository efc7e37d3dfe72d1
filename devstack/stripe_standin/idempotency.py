"""Idempotency keys (docs.stripe.com/api/idempotent_requests) and the log of what was executed for each."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from devstack.lms_standin.database import utc_text
from devstack.stripe_standin.errors import ApiError
from devstack.stripe_standin.store import Store

KEPT_SECONDS = 24 * 3600
_LONGEST_KEY = 255


@dataclass(frozen=True)
class Kept:
    """The first answer to a key."""

    status: int
    body: str
    request_id: str


@dataclass
class Exchange:
    """A request as far as the log and the keys care; `outcome` is filled in on the way.

    executed (with its effects), refused (an error that changed nothing), replayed, or fault.
    """

    request_id: str
    method: str
    path: str
    key: str | None
    params: dict[str, Any]
    outcome: str = "refused"
    fault: str | None = None

    @property
    def fingerprint(self) -> str:
        """Equal for equal requests: method, path and parameters."""
        canonical = json.dumps([self.method, self.path, self.params], sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


class Keys:
    """The answers kept under keys, the keys in flight, and the request log."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._in_flight: set[str] = set()

    def take(self, exchange: Exchange) -> Kept | None:
        """Reserve the key, or give the kept answer; raises for misuse and for a key in flight."""
        key = exchange.key
        if key is None:
            return None
        if len(key) > _LONGEST_KEY:
            raise ApiError(400, f"Idempotency keys can have up to {_LONGEST_KEY} characters.")
        if key in self._in_flight:
            raise ApiError(
                409,
                "There is currently another in-progress request using this Idempotent Key (that probably"
                " means you submitted twice, and the other request is still going through):"
                f" {key}. Please try again later.",
                kind="idempotency_error",
                code="idempotency_key_in_use",
            )
        kept = self._find(exchange, key)
        if kept is None:
            self._in_flight.add(key)
        return kept

    def _find(self, exchange: Exchange, key: str) -> Kept | None:
        row = self._store.db.execute("SELECT * FROM idempotency WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        if self._store.now() - row["created"] >= KEPT_SECONDS:
            self._store.db.execute("DELETE FROM idempotency WHERE key = ?", (key,))
            return None
        if row["fingerprint"] != exchange.fingerprint:
            raise ApiError(
                400,
                "Keys for idempotent requests can only be used with the same parameters they were first used"
                f" with. Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        return Kept(row["status"], row["body"], row["request_id"])

    def give_back(self, exchange: Exchange) -> None:
        """The request is over."""
        if exchange.key is not None:
            self._in_flight.discard(exchange.key)

    def keep(self, exchange: Exchange, status: int, body: str) -> None:
        """Keep the first answer, in the transaction of its effects."""
        if exchange.key is not None:
            self._store.db.execute(
                "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?)",
                (
                    *(exchange.key, exchange.fingerprint, status, body),
                    *(exchange.request_id, self._store.now()),
                ),
            )

    def log(self, exchange: Exchange, status: int | None) -> None:
        """Note a request, in the transaction of its effects; a status of None: the connection was cut."""
        self._store.db.execute(
            "INSERT INTO request (id, at, method, path, idempotency_key, fingerprint, params, status,"
            " outcome, fault) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(exchange.request_id, utc_text(), exchange.method, exchange.path, exchange.key),
                *(
                    exchange.fingerprint,
                    json.dumps(exchange.params),
                    status,
                    exchange.outcome,
                    exchange.fault,
                ),
            ),
        )

    def requests(self, key: str | None, path: str | None, method: str | None) -> list[dict[str, Any]]:
        """The log of POST and DELETE requests, oldest first; `path` may have `*`."""
        rows = self._store.db.execute(
            "SELECT * FROM request WHERE (?1 IS NULL OR idempotency_key = ?1)"
            " AND (?2 IS NULL OR path GLOB ?2) AND (?3 IS NULL OR method = ?3) ORDER BY seq",
            (key, path, method),
        )
        return [dict(row) | {"params": json.loads(row["params"])} for row in rows]

    def effects(self, key: str | None) -> dict[str, int]:
        """How often a request was executed, by key."""
        rows = self._store.db.execute(
            "SELECT idempotency_key AS key, count(*) AS n FROM request WHERE outcome = 'executed'"
            " AND idempotency_key IS NOT NULL AND (?1 IS NULL OR idempotency_key = ?1)"
            " GROUP BY idempotency_key",
            (key,),
        )
        return {row["key"]: row["n"] for row in rows}

"""The account's objects in one SQLite file, and the clock that can be moved on.

A request's changes are committed before it is answered, so that kill -9 loses nothing that was said.
"""

import json
import secrets
import sqlite3
import string
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devstack.lms_standin.database import open_database, transaction

Object = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL,
    kind TEXT NOT NULL,
    created INTEGER NOT NULL,
    payment_intent TEXT, charge TEXT, customer TEXT, source TEXT, type TEXT, currency TEXT,
    body TEXT NOT NULL,
    hidden TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS object_kind ON object (kind, seq);
CREATE INDEX IF NOT EXISTS object_payment_intent ON object (payment_intent, kind, seq);
CREATE INDEX IF NOT EXISTS object_charge ON object (charge, kind, seq);
CREATE INDEX IF NOT EXISTS object_customer ON object (customer, kind, seq);
CREATE INDEX IF NOT EXISTS object_source ON object (source, kind, seq);
CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
    request_id TEXT NOT NULL, created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS request (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, at TEXT NOT NULL, method TEXT NOT NULL,
    path TEXT NOT NULL, idempotency_key TEXT, fingerprint TEXT NOT NULL, params TEXT NOT NULL,
    status INTEGER, outcome TEXT NOT NULL, fault TEXT
);
CREATE INDEX IF NOT EXISTS request_key ON request (idempotency_key);
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, endpoint_id TEXT NOT NULL,
    type TEXT NOT NULL, state TEXT NOT NULL, due_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    last_status INTEGER, last_error TEXT
);
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (due_at) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS delivery_event ON delivery (event_id);
CREATE TABLE IF NOT EXISTS task (
    id INTEGER PRIMARY KEY AUTOINCREMENT, due_at REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_LINKS = ("payment_intent", "charge", "customer", "source", "type", "currency")
_BOUNDS = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<"}
_ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str) -> str:
    """An id that looks like Stripe's: the prefix and 24 letters and digits."""
    return f"{prefix}_{''.join(secrets.choice(_ALPHABET) for _ in range(24))}"


@dataclass(frozen=True)
class Page:
    """What a list call asks for; `equal` compares link columns, `types` are names or patterns with `*`."""

    limit: int = 10
    starting_after: str | None = None
    ending_before: str | None = None
    created: Any = None
    equal: dict[str, str | None] = field(default_factory=dict)
    types: tuple[str, ...] = ()


class Store:
    """Objects by id. `hidden` holds what the stand-in knows about an object and the API doesn't show."""

    def __init__(self, path: Path) -> None:
        self.db: sqlite3.Connection = open_database(path, _SCHEMA)
        self._offset = float(self.setting("clock_offset_seconds", 0))

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing."""
        return transaction(self.db)

    def clock(self) -> float:
        """Seconds since the epoch by the account's clock."""
        return time.time() + self._offset

    def now(self) -> int:
        """The account's clock in whole seconds, as objects show it."""
        return int(self.clock())

    @property
    def clock_offset_seconds(self) -> float:
        """How far the account's clock runs ahead."""
        return self._offset

    def set_clock_offset(self, seconds: float) -> None:
        """Move the clock; a restart keeps it moved."""
        self.set_setting("clock_offset_seconds", seconds)
        self._offset = seconds

    def setting(self, name: str, default: Any = None) -> Any:
        """A remembered JSON value."""
        row = self.db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return default if row is None else json.loads(row["value"])

    def set_setting(self, name: str, value: Any) -> None:
        """Remember a JSON value."""
        self.db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, json.dumps(value)))

    def insert(self, body: Object, **hidden: Any) -> Object:
        """Keep a new object."""
        self.db.execute(
            f"INSERT INTO object (id, kind, created, {', '.join(_LINKS)}, body, hidden)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(body["id"], body["object"], body.get("created", self.now())),
                *(body.get(link) for link in _LINKS),
                *(json.dumps(body), json.dumps(hidden)),
            ),
        )
        return body

    def change(self, object_id: str, drop: tuple[str, ...] = (), **changes: Any) -> Object:
        """Change members of an object and take those in `drop` away; returns it as it is now."""
        body = self.get(object_id)
        body.update(changes)
        for name in drop:
            body.pop(name, None)
        self.db.execute(
            f"UPDATE object SET body = ?, {', '.join(f'{link} = ?' for link in _LINKS)} WHERE id = ?",
            (json.dumps(body), *(body.get(link) for link in _LINKS), object_id),
        )
        return body

    def find(self, object_id: str, kind: str | None = None) -> Object | None:
        """An object of the kind, or of any."""
        row = self.db.execute("SELECT kind, body FROM object WHERE id = ?", (object_id,)).fetchone()
        if row is None or kind not in (None, row["kind"]):
            return None
        found: Object = json.loads(row["body"])
        return found

    def get(self, object_id: str) -> Object:
        """An object that must be there; raises KeyError."""
        found = self.find(object_id)
        if found is None:
            raise KeyError(object_id)
        return found

    def hidden(self, object_id: str) -> Object:
        """What the API doesn't show about an object."""
        row = self.db.execute("SELECT hidden FROM object WHERE id = ?", (object_id,)).fetchone()
        found: Object = json.loads(row["hidden"])
        return found

    def hide(self, object_id: str, **values: Any) -> None:
        """Add to what the API doesn't show."""
        merged = json.dumps({**self.hidden(object_id), **values})
        self.db.execute("UPDATE object SET hidden = ? WHERE id = ?", (merged, object_id))

    def remove(self, object_id: str) -> None:
        """Forget an object."""
        self.db.execute("DELETE FROM object WHERE id = ?", (object_id,))

    def every(self, kind: str, **links: str) -> list[Object]:
        """All objects of a kind whose links are as given, oldest first."""
        where = " AND ".join(["kind = ?", *(f"{link} = ?" for link in links)])
        rows = self.db.execute(f"SELECT body FROM object WHERE {where} ORDER BY seq", (kind, *links.values()))
        return [json.loads(row["body"]) for row in rows]

    def page(self, kind: str, wanted: Page) -> tuple[list[Object], bool]:
        """A page, newest first, and whether there are more in its direction."""
        where, values = ["kind = ?"], [kind]
        for operator, cursor in (("<", wanted.starting_after), (">", wanted.ending_before)):
            if cursor is not None:
                where.append(f"seq {operator} (SELECT seq FROM object WHERE id = ?)")
                values.append(cursor)
        created = wanted.created
        bounds = (
            created
            if isinstance(created, dict)
            else {}
            if created is None
            else {"gte": created, "lte": created}
        )
        for name, bound in bounds.items():
            where.append(f"created {_BOUNDS[name]} CAST(? AS INTEGER)")
            values.append(str(bound))
        for link, value in wanted.equal.items():
            if value is not None:
                where.append(f"{link} = ?")
                values.append(value)
        if wanted.types:
            where.append(f"({' OR '.join(['type GLOB ?'] * len(wanted.types))})")
            values.extend(wanted.types)
        order = "DESC" if wanted.ending_before is None else "ASC"
        rows = self.db.execute(
            f"SELECT body FROM object WHERE {' AND '.join(where)} ORDER BY seq {order} LIMIT ?",
            (*values, wanted.limit + 1),
        ).fetchall()
        found = [json.loads(row["body"]) for row in rows[: wanted.limit]]
        return (found if order == "DESC" else found[::-1]), len(rows) > wanted.limit

    def wipe(self, keep: str) -> None:
        """Forget everything but the object `keep`, and put the clock right again."""
        with self.transaction():
            self.db.execute("DELETE FROM object WHERE id <> ?", (keep,))
            for table in ("idempotency", "request", "delivery", "task", "setting"):
                self.db.execute(f"DELETE FROM {table}")
        self._offset = 0.0

    def close(self) -> None:
        """Close the file."""
        self.db.close()

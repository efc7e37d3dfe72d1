"""What the payout system knows: the events it took, and what it owes each payee by them."""

import json
import secrets
import sqlite3
from itertools import pairwise
from typing import Any

from devstack.lms_standin.database import transaction, utc_text

SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    arrival INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    stream TEXT,
    stream_seq INTEGER,
    body TEXT NOT NULL,
    received_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS attempt (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    webhook_id TEXT,
    type TEXT,
    outcome TEXT NOT NULL,
    status INTEGER,
    signatures INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS balance (
    payee_ref TEXT NOT NULL,
    currency TEXT NOT NULL,
    accrued INTEGER NOT NULL DEFAULT 0,
    released INTEGER NOT NULL DEFAULT 0,
    reversed_held INTEGER NOT NULL DEFAULT 0,
    reversed_released INTEGER NOT NULL DEFAULT 0,
    settled INTEGER NOT NULL DEFAULT 0,
    frozen INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (payee_ref, currency)
);
CREATE TABLE IF NOT EXISTS settlement (
    payout_id TEXT PRIMARY KEY,
    payee_ref TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

_COLUMNS = {"earning.accrued": "accrued", "earning.released": "released"}
_WRITTEN_OFF = "payee.written_off"
_FROZEN = {"earning.frozen": 1, "earning.unfrozen": -1}


class Malformed(Exception):
    """A well-signed event that makes no sense; answered with 422, so that nobody can overlook it."""


class Books:
    """Events and balances in the database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def take_in(self, webhook_id: str, event: dict[str, Any]) -> bool:
        """Store an event and book it; False when it was there already."""
        event_type, stream, stream_seq = (event.get(name) for name in ("type", "stream", "stream_seq"))
        if not isinstance(event_type, str):
            raise Malformed("the event has no type")
        if not isinstance(stream, str | None) or not isinstance(stream_seq, int | None):
            raise Malformed("stream must be a string and stream_seq a number")
        with transaction(self._db):
            done = self._db.execute(
                "INSERT OR IGNORE INTO event (webhook_id, type, stream, stream_seq, body, received_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    webhook_id,
                    event_type,
                    stream,
                    stream_seq,
                    json.dumps(event),
                    utc_text(),
                ),
            )
            if done.rowcount and (event_type.startswith("earning.") or event_type == _WRITTEN_OFF):
                self._book(event_type, event.get("data"))
        return done.rowcount > 0

    def _book(self, event_type: str, data: object) -> None:
        if not isinstance(data, dict):
            raise Malformed("the event has no data")
        payee_ref, currency = data.get("payee_ref"), data.get("currency")
        if not isinstance(payee_ref, str) or not isinstance(currency, str):
            raise Malformed("an earning needs payee_ref and currency")
        if event_type in _FROZEN:
            self._add(payee_ref, currency, "frozen", _FROZEN[event_type])
            return
        column = _COLUMNS.get(event_type)
        if event_type == _WRITTEN_OFF:
            column = "reversed_released"
        if event_type == "earning.reversed" and data.get("bucket") in ("held", "released"):
            column = f"reversed_{data['bucket']}"
        amount = data.get("amount")
        # bool is an int to Python, and no amount to anybody.
        if column is None or not isinstance(amount, int) or isinstance(amount, bool) or amount <= 0:
            raise Malformed(f"{event_type} needs a positive amount in minor units, and a known bucket")
        if event_type == _WRITTEN_OFF:
            amount = -amount  # what was taken back after a payout is no longer to be netted
        self._add(payee_ref, currency, column, amount)

    def _add(self, payee_ref: str, currency: str, column: str, amount: int) -> None:
        self._db.execute(
            f"INSERT INTO balance (payee_ref, currency, {column}) VALUES (?1, ?2, ?3)"
            f" ON CONFLICT (payee_ref, currency) DO UPDATE SET {column} = {column} + ?3",
            (payee_ref, currency, amount),
        )

    def settle(self, payee_ref: str, currency: str, amount: int) -> dict[str, Any]:
        """Write a payout down; returns it with the id of its event."""
        if amount <= 0:
            raise ValueError("amount must be positive")
        payout = {
            "payout_id": f"po_{secrets.token_hex(12)}",
            "payee_ref": payee_ref,
            "currency": currency,
            "amount": amount,
            "event_id": f"evt_{secrets.token_hex(12)}",
        }
        with transaction(self._db):
            self._db.execute(
                "INSERT INTO settlement (payout_id, payee_ref, currency, amount, event_id, at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (*payout.values(), utc_text()),
            )
            self._add(payee_ref, currency, "settled", amount)
        return payout

    def log_attempt(
        self, webhook_id: str, event_type: str, outcome: str, status: int | None, signatures: int
    ) -> None:
        """Write down one request to the webhook route."""
        self._db.execute(
            "INSERT INTO attempt (at, webhook_id, type, outcome, status, signatures)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (utc_text(), webhook_id, event_type, outcome, status, signatures),
        )

    def events(self, event_type: str | None = None, stream: str | None = None) -> list[dict[str, Any]]:
        """Events in order of their first arrival."""
        rows = self._db.execute(
            "SELECT * FROM event WHERE (?1 IS NULL OR type = ?1) AND (?2 IS NULL OR stream = ?2)"
            " ORDER BY arrival",
            (event_type, stream),
        )
        return [dict(row) | {"body": json.loads(row["body"])} for row in rows]

    def attempts(self, webhook_id: str | None = None) -> list[dict[str, Any]]:
        """Every request to the webhook route, or those of one event."""
        rows = self._db.execute(
            "SELECT * FROM attempt WHERE ?1 IS NULL OR webhook_id = ?1 ORDER BY id", (webhook_id,)
        )
        return [dict(row) for row in rows]

    def settlements(self) -> list[dict[str, Any]]:
        """Payouts made."""
        return [dict(row) for row in self._db.execute("SELECT * FROM settlement ORDER BY rowid")]

    def balances(self) -> list[dict[str, Any]]:
        """By payee and currency: `held` may still be reversed, `payable` is what a payout would pay."""
        rows = self._db.execute("SELECT * FROM balance ORDER BY payee_ref, currency")
        return [
            dict(row)
            | {
                "held": row["accrued"] - row["released"] - row["reversed_held"],
                "payable": row["released"] - row["reversed_released"] - row["settled"],
            }
            for row in rows
        ]

    def streams(self) -> list[dict[str, Any]]:
        """The sequence numbers of each stream in order of arrival, and whether they are as promised."""
        rows = self._db.execute(
            "SELECT stream, json_group_array(stream_seq) AS seqs FROM"
            " (SELECT stream, stream_seq FROM event WHERE stream_seq IS NOT NULL ORDER BY arrival)"
            " GROUP BY stream ORDER BY stream"
        )
        found = []
        for row in rows:
            seqs = json.loads(row["seqs"])
            in_order = all(later == earlier + 1 for earlier, later in pairwise(seqs))
            found.append({"stream": row["stream"], "seqs": seqs, "in_order_without_gaps": in_order})
        return found

    def setting(self, name: str) -> Any:
        """A stored setting, or None."""
        row = self._db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row["value"])

    def keep_setting(self, name: str, value: Any) -> None:
        """Store a setting over restarts."""
        self._db.execute(
            "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
            (name, json.dumps(value)),
        )

    def reset(self) -> None:
        """Forget everything."""
        with transaction(self._db):
            for table in ("event", "attempt", "balance", "settlement", "setting"):
                self._db.execute(f"DELETE FROM {table}")

"""One SQLite file as a stand-in's memory: what was answered is still there after kill -9."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """Open (or make) the file and apply the schema, which must be safe to apply again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None, timeout=2)
    connection.row_factory = sqlite3.Row
    # WAL with synchronous=NORMAL loses nothing when the process dies, only when the machine does.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.executescript(schema)
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; nested use joins the outer transaction."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def utc_text(moment: datetime | None = None) -> str:
    """RFC 3339 in UTC, with microseconds, so that texts sort by time."""
    return (moment or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")

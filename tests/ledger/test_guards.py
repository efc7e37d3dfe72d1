"""The database itself keeps the ledger append-only and balanced, whoever writes to it."""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

FORBIDDEN = "42501"
CHECK_VIOLATION = "23514"


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


@pytest.fixture
def app(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(_plain(database_url)) as connection:
        yield connection
        connection.rollback()


def insert_entry(connection: psycopg.Connection[Any], key: str | None = None) -> str:
    row = connection.execute(
        "INSERT INTO journal_entry (entity, event_key, kind, content_hash, effective_at) "
        "VALUES ('main', %s, 'test', 'x', now()) RETURNING id",
        (key or f"test:{uuid.uuid4()}",),
    ).fetchone()
    assert row is not None
    return str(row[0])


def insert_posting(
    connection: psycopg.Connection[Any], entry: str, amount: int, currency: str = "USD", account: str = "1010"
) -> None:
    connection.execute(
        "INSERT INTO posting (entry_id, ordinal, account, currency, amount) VALUES (%s, 1, %s, %s, %s)",
        (entry, account, currency, amount),
    )


def balanced_entry(connection: psycopg.Connection[Any]) -> str:
    entry = insert_entry(connection)
    insert_posting(connection, entry, 500)
    insert_posting(connection, entry, -500, account="2110")
    connection.commit()
    return entry


def refused(connection: psycopg.Connection[Any], statement: str, sqlstate: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement)  # type: ignore[arg-type]
    assert caught.value.sqlstate == sqlstate
    connection.rollback()


def test_a_balanced_entry_is_accepted(app: psycopg.Connection[Any]) -> None:
    entry = balanced_entry(app)
    row = app.execute("SELECT count(*), sum(amount) FROM posting WHERE entry_id = %s", (entry,)).fetchone()
    assert row == (2, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal_entry SET kind = 'other'",
        "UPDATE posting SET amount = amount + 1",
        "DELETE FROM journal_entry",
        "DELETE FROM posting",
        "TRUNCATE journal_entry CASCADE",
        "TRUNCATE posting",
        "ALTER TABLE posting DISABLE TRIGGER ALL",
        "ALTER TABLE journal_entry DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "DROP TRIGGER entry_balances ON journal_entry",
        "DROP TABLE posting",
        "INSERT INTO journal_entry (entity, event_key, kind, content_hash, effective_at, txid) "
        "VALUES ('main', 'forged', 'test', 'x', now(), '1')",
        "INSERT INTO journal_entry (entity, event_key, kind, content_hash, effective_at, recorded_at) "
        "VALUES ('main', 'backdated', 'test', 'x', now(), '2020-01-01')",
        "UPDATE outbound_event SET data = '{}'",
        "DELETE FROM order_event",
        "UPDATE document SET body = '{}'",
        "UPDATE alembic_version SET version_num = '0'",
        "CREATE TABLE mine (x int)",
    ],
)
def test_the_application_role_may_not(app: psycopg.Connection[Any], statement: str) -> None:
    balanced_entry(app)
    refused(app, statement, FORBIDDEN)


@pytest.mark.parametrize("statement", ["UPDATE posting SET amount = 1", "DELETE FROM journal_entry"])
def test_the_owner_is_stopped_by_the_trigger(
    app: psycopg.Connection[Any], owner_url: str, statement: str
) -> None:
    balanced_entry(app)
    with psycopg.connect(_plain(owner_url)) as owner:
        refused(owner, statement, FORBIDDEN)


def test_an_unbalanced_entry_is_refused_at_commit(app: psycopg.Connection[Any]) -> None:
    entry = insert_entry(app)
    insert_posting(app, entry, 500)
    insert_posting(app, entry, -499)
    with pytest.raises(psycopg.Error, match="does not balance") as caught:
        app.commit()
    assert caught.value.sqlstate == CHECK_VIOLATION


def test_currencies_do_not_balance_each_other(app: psycopg.Connection[Any]) -> None:
    entry = insert_entry(app)
    insert_posting(app, entry, 500, "USD")
    insert_posting(app, entry, -500, "EUR")
    with pytest.raises(psycopg.Error, match="does not balance"):
        app.commit()


@pytest.mark.parametrize("postings", [0, 1])
def test_an_entry_with_too_few_postings_is_refused(app: psycopg.Connection[Any], postings: int) -> None:
    entry = insert_entry(app)
    if postings:
        insert_posting(app, entry, 500)
    with pytest.raises(psycopg.Error, match="fewer than two"):
        app.commit()


def test_an_old_entry_cannot_grow_by_a_balanced_pair(app: psycopg.Connection[Any]) -> None:
    entry = balanced_entry(app)
    with pytest.raises(psycopg.Error, match="outside the transaction") as caught:
        insert_posting(app, entry, 100)
    assert caught.value.sqlstate == CHECK_VIOLATION


def test_another_connection_cannot_add_to_an_open_entry(
    app: psycopg.Connection[Any], database_url: str
) -> None:
    entry = insert_entry(app)
    with psycopg.connect(_plain(database_url)) as other, pytest.raises(psycopg.Error):
        insert_posting(other, entry, 100)


def test_a_zero_posting_is_refused(app: psycopg.Connection[Any]) -> None:
    entry = insert_entry(app)
    with pytest.raises(psycopg.errors.CheckViolation):
        insert_posting(app, entry, 0)


def test_one_business_fact_has_one_entry(app: psycopg.Connection[Any]) -> None:
    key = f"order:{uuid.uuid4()}:captured"
    entry = insert_entry(app, key)
    insert_posting(app, entry, 5)
    insert_posting(app, entry, -5)
    app.commit()
    with pytest.raises(psycopg.errors.UniqueViolation):
        insert_entry(app, key)

"""What a database owner changes behind the product's back is named by `commerce verify`."""

import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from activities.seals import Anchor, ChainCheck
from domain.seals import GENESIS, Leaf, block_hash, content_hash_of, leaf_of
from models.database import Database
from models.queries import seals
from tests.harness.servers import Servers
from tests.ledger.books import Books, fee
from tests.ledger.conftest import plain

_numbers = itertools.count(1)

TABLES = ("journal_entry", "posting", "seal_block", "sealed_entry")
# An owner may put our triggers aside, and take foreign keys off.
OPENED = (
    *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in TABLES),
    "ALTER TABLE posting DROP CONSTRAINT posting_entry_id_fkey",
    "ALTER TABLE sealed_entry DROP CONSTRAINT sealed_entry_entry_id_fkey",
    "ALTER TABLE sealed_entry DROP CONSTRAINT sealed_entry_block_fkey",
)
SECOND = "(SELECT id FROM journal_entry WHERE event_key = 'b')"


@pytest.fixture(scope="module")
async def sealed(servers: Servers, database: str) -> str:
    """A database with entries a to f in three blocks of two, and g that is not sealed. Nobody is in it."""
    engine = Database(servers.database_url(database))
    books = Books(engine, plain(servers.owner_url(database)))
    for pair in ("ab", "cd", "ef"):
        # In one transaction: others on the same server may keep one of two from being sealed with the other.
        await books.post(*(fee(key, amount=ord(key)) for key in pair))
        await books.seal_all()
    await books.post(fee("g"))
    assert await books.count("seal_block") == 3
    assert await books.check() == []
    await engine.aclose()
    return database


@asynccontextmanager
async def copy_of(servers: Servers, source: str) -> AsyncIterator[Books]:
    """A copy of it, to be spoiled."""
    name = f"{source}_copy_{next(_numbers)}"
    servers.create_database(name, source)
    engine = Database(servers.database_url(name))
    yield Books(engine, plain(servers.owner_url(name)))
    await engine.aclose()
    servers.drop_database(name)


@pytest.fixture(scope="module")
async def owner(servers: Servers, sealed: str) -> AsyncIterator[Database]:
    """A copy as its owner sees it; each change to it is taken back."""
    async with copy_of(servers, sealed) as books:
        engine = Database(books.owner_url.replace("postgresql://", "postgresql+psycopg://"))
        yield engine
        await engine.aclose()


CASES: dict[str, tuple[tuple[str, ...], str]] = {
    "a posting's amount": (
        (f"UPDATE posting SET amount = amount * 2 WHERE entry_id = {SECOND}",),
        "entry b at position 2 in block 1: its postings were changed",
    ),
    "a posting's account": (
        (f"UPDATE posting SET account = '1020' WHERE account = '1010' AND entry_id = {SECOND}",),
        "entry b at position 2 in block 1: its postings were changed",
    ),
    "a posting's payee": (
        (f"UPDATE posting SET sub = 'lms:1' WHERE account = '1010' AND entry_id = {SECOND}",),
        "entry b at position 2 in block 1: its postings were changed",
    ),
    "a pair of postings added": (
        (
            "INSERT INTO posting (entry_id, ordinal, account, currency, amount) "
            f"SELECT {SECOND}, n, '1010', 'USD', n FROM (VALUES (5), (-5)) AS v (n)",
        ),
        "entry b at position 2 in block 1: its postings were changed",
    ),
    "a posting deleted": (
        (f"DELETE FROM posting WHERE account = '1010' AND entry_id = {SECOND}",),
        "entry b at position 2 in block 1: its postings were changed",
    ),
    "an effective date": (
        ("UPDATE journal_entry SET effective_at = effective_at + interval '1 day' WHERE event_key = 'b'",),
        "entry b at position 2 in block 1: its date, key or kind was changed",
    ),
    "a recorded date": (
        ("UPDATE journal_entry SET recorded_at = recorded_at + interval '1 s' WHERE event_key = 'b'",),
        "entry b at position 2 in block 1: its date, key or kind was changed",
    ),
    "a key": (
        ("UPDATE journal_entry SET event_key = 'z' WHERE event_key = 'b'",),
        "entry z at position 2 in block 1: its date, key or kind was changed",
    ),
    "an entry deleted": (
        (
            f"DELETE FROM posting WHERE entry_id = {SECOND}",
            "DELETE FROM journal_entry WHERE event_key = 'b'",
        ),
        r"entry [0-9a-f-]{36} at position 2 in block 1 was deleted",
    ),
    "an entry deleted with its seal": (
        (
            f"DELETE FROM posting WHERE entry_id = {SECOND}",
            f"DELETE FROM sealed_entry WHERE entry_id = {SECOND}",
            "DELETE FROM journal_entry WHERE event_key = 'b'",
        ),
        "position 2 of block 1 is missing",
    ),
    "an entry deleted, its postings left": (
        ("DELETE FROM journal_entry WHERE event_key = 'b'",),
        "a posting of 98 USD to 5020 has no entry",
    ),
    "an entry inserted behind the chain": (
        (
            "INSERT INTO journal_entry (entity, event_key, kind, content_hash, occurred_at, effective_at, "
            "txid) SELECT entity, 'forged', kind, content_hash, occurred_at, effective_at, txid "
            "FROM journal_entry WHERE event_key = 'b'",
            "INSERT INTO posting (entry_id, ordinal, account, currency, amount) SELECT f.id, p.ordinal, "
            "p.account, p.currency, p.amount FROM journal_entry f, posting p "
            f"WHERE f.event_key = 'forged' AND p.entry_id = {SECOND}",
        ),
        "entry forged is in no block, and older than the last one",
    ),
    "an entry's place given to another": (
        (
            "UPDATE sealed_entry s SET entry_id = g.id FROM journal_entry g "
            f"WHERE g.event_key = 'g' AND s.entry_id = {SECOND}",
        ),
        "entry g at position 2 in block 1: its date, key or kind was changed",
    ),
    "two entries reordered": (
        (
            "UPDATE sealed_entry SET position = 100 WHERE position = 1",
            "UPDATE sealed_entry SET position = 1 WHERE position = 2",
            "UPDATE sealed_entry SET position = 2 WHERE position = 100",
        ),
        "block 1 is not what was sealed: entries were reordered",
    ),
    "a block removed": (
        ("DELETE FROM sealed_entry WHERE block = 2", "DELETE FROM seal_block WHERE number = 2"),
        "block 2 is missing",
    ),
    "a block removed, its seals left": (
        ("DELETE FROM seal_block WHERE number = 2",),
        "position 3 is sealed in block 2, which does not exist",
    ),
    "the last block removed": (
        (
            "DELETE FROM sealed_entry WHERE block = 3",
            "DELETE FROM seal_block WHERE number = 3",
            "UPDATE journal_entry SET recorded_at = recorded_at - interval '1 hour' WHERE event_key = 'e'",
        ),
        "entry e waits for its seal since",
    ),
    "two blocks exchanged": (
        (
            "UPDATE seal_block SET number = 100 WHERE number = 1",
            "UPDATE seal_block SET number = 1 WHERE number = 2",
            "UPDATE seal_block SET number = 2 WHERE number = 100",
        ),
        "block 1 is not what was sealed",
    ),
    "when a block was sealed": (
        ("UPDATE seal_block SET sealed_at = sealed_at - interval '1 day' WHERE number = 2",),
        "block 2 is not what was sealed",
    ),
    "an entry not sealed yet": (
        (
            "UPDATE posting SET amount = amount * 2 WHERE entry_id = "
            "(SELECT id FROM journal_entry WHERE event_key = 'g')",
        ),
        "entry g, not sealed yet: its content hash does not fit",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_an_owner_changed_is_named(owner: Database, case: str) -> None:
    statements, told = CASES[case]
    async with owner.session() as session:
        for statement in (*OPENED, *statements):
            await session.execute(text(statement))
        found = (await ChainCheck(owner).walk(session)).violations
        await session.rollback()
    assert any(re.match(told, one) for one in found), found


async def test_nothing_of_it_stayed(owner: Database) -> None:
    assert (await ChainCheck(owner).run()).violations == []


async def forge_block(books: Books, number: int) -> None:
    """Change an amount in block `number`, and everything in that block that would tell."""
    books.as_owner(
        *OPENED,
        "UPDATE posting SET amount = amount * 2 WHERE entry_id = "
        f"(SELECT entry_id FROM sealed_entry WHERE block = {number} ORDER BY position LIMIT 1)",
    )
    await reseal(books, number)


async def reseal(books: Books, number: int) -> None:
    """Compute a block's hashes again, as a forger would who has read our code."""
    async with books.database.transaction() as session:
        rows = await seals.sealed_in(session, number)
        block = next(b for b in [b async for b in seals.blocks(session)] if b.number == number)
        previous = await session.scalar(
            text("SELECT block_hash FROM seal_block WHERE number = :n"), {"n": number - 1}
        )
    with psycopg.connect(books.owner_url) as owner:
        leaves: list[tuple[str, Leaf]] = []
        for row in rows:
            assert row.entry is not None
            digest = content_hash_of(row.entry)
            owner.execute("UPDATE journal_entry SET content_hash = %s WHERE id = %s", (digest, row.entry_id))
            leaf = leaf_of(replace(row.entry, content_hash=digest))
            owner.execute(
                "UPDATE sealed_entry SET header_hash = %s, postings_hash = %s WHERE position = %s",
                (leaf.header, leaf.postings, row.position),
            )
            leaves.append((row.entry_id, leaf))
        before = str(previous or GENESIS)
        digest = block_hash(number, block.first_position, before, block.horizon, block.sealed_at, leaves)
        owner.execute(
            "UPDATE seal_block SET block_hash = %s, previous_hash = %s WHERE number = %s",
            (digest, before, number),
        )


async def test_a_block_forged_with_all_its_hashes_breaks_the_next(servers: Servers, sealed: str) -> None:
    async with copy_of(servers, sealed) as books:
        await forge_block(books, 2)
        assert await books.check() == ["block 3 does not follow block 2"]


async def test_a_chain_forged_to_its_end_is_named_by_an_anchor(servers: Servers, sealed: str) -> None:
    async with copy_of(servers, sealed) as books:
        async with books.database.transaction() as session:
            head = await seals.head(session)
        anchor = Anchor(head.number, head.hash)
        assert await books.check(anchor) == []
        await forge_block(books, 2)
        await reseal(books, 3)
        assert await books.check() == []
        assert await books.check(anchor) == ["block 3 is not the one that the anchor remembers"]
        books.as_owner("DELETE FROM sealed_entry WHERE block = 3", "DELETE FROM seal_block WHERE number = 3")
        assert "block 3, which the anchor remembers, is missing" in await books.check(anchor)


async def test_an_entry_sealed_later_with_an_old_date_is_named(servers: Servers, sealed: str) -> None:
    async with copy_of(servers, sealed) as books:
        books.as_owner(
            "ALTER TABLE journal_entry DISABLE TRIGGER append_only",
            "UPDATE journal_entry SET recorded_at = recorded_at - interval '1 month' WHERE event_key = 'g'",
            "ALTER TABLE journal_entry ENABLE TRIGGER append_only",
        )
        await books.seal_all()
        found = await books.check()
        assert len(found) == 1
        assert found[0].startswith("entry g at position 7 in block 4 was inserted with an old date")


CHAIN = {
    "seal_block": "block_hash",
    "sealed_entry": "header_hash",
    "balance_snapshot": "amount",
    "period_change": "status",
}


@pytest.fixture(scope="module")
async def guarded(servers: Servers, sealed: str) -> AsyncIterator[Books]:
    """A copy with a row in every table. What is tried on it is refused, so all tests share it."""
    async with copy_of(servers, sealed) as books:
        async with books.database.transaction() as session:
            assert await seals.take_snapshot(session, least=1)
        books.as_owner(
            "INSERT INTO commerce_user (lms_user_id, username, full_name) VALUES ('1', 'o', 'O')",
            "INSERT INTO period_change (entity, month, status, changed_by) "
            "SELECT 'main', '2026-01-01', 'soft_closed', id FROM commerce_user",
        )
        yield books


@pytest.mark.parametrize(
    "statement",
    [
        *(f"UPDATE {table} SET {column} = {column}" for table, column in CHAIN.items()),
        *(f"DELETE FROM {table}" for table in CHAIN),
        *(f"TRUNCATE {table} CASCADE" for table in CHAIN),
        *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in CHAIN),
        "DROP TRIGGER block_is_whole ON seal_block",
        "DROP TRIGGER entry_in_open_period ON journal_entry",
        "DROP TABLE sealed_entry",
        "CREATE OR REPLACE FUNCTION period_lock(varchar) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'",
        "INSERT INTO period_change (entity, month, status, changed_by, changed_at) "
        "VALUES ('main', '2026-01-01', 'closed', uuidv7(), now())",
    ],
)
async def test_the_application_role_cannot_touch_the_chain(guarded: Books, statement: str) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with guarded.database.transaction() as session:
            await session.execute(text(statement))
    assert getattr(caught.value.orig, "sqlstate", None) == "42501"


@pytest.mark.parametrize("table", CHAIN)
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_owner_is_stopped_by_the_triggers(guarded: Books, table: str, change: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        guarded.as_owner(change.format(table, CHAIN[table], CHAIN[table]))
    assert caught.value.sqlstate == "42501"


FORGED = (
    "INSERT INTO seal_block (number, first_position, last_position, horizon, previous_hash, block_hash, "
    "sealed_at) VALUES ({number}, {first}, {last}, {horizon}, {previous}, 'x', {at})"
)
GOOD = {
    "number": 4,
    "first": 7,
    "last": 7,
    "horizon": "pg_snapshot_xmin(pg_current_snapshot())",
    "previous": "(SELECT block_hash FROM seal_block WHERE number = 3)",
    "at": "now()",
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"number": 5}, "does not follow"),
        ({"first": 8, "last": 8}, "does not follow"),
        ({"previous": "'x'"}, "does not follow"),
        ({"at": "now() - interval '1 day'"}, "does not follow"),
        ({"horizon": "'1'"}, "does not follow"),
        ({"horizon": "'9000000000'"}, "pass over"),
        ({}, "leaves entries out"),
    ],
)
async def test_the_database_refuses_a_block_that_does_not_fit(
    guarded: Books, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(DBAPIError, match=told):
        async with guarded.database.transaction() as session:
            await session.execute(text(FORGED.format(**GOOD | changes)))


async def test_an_old_block_cannot_grow(guarded: Books) -> None:
    with pytest.raises(DBAPIError, match="position 7 is not in block 3"):
        async with guarded.database.transaction() as session:
            await session.execute(
                text(
                    "INSERT INTO sealed_entry SELECT 7, 3, id, '', '' FROM journal_entry "
                    "WHERE event_key = 'g'"
                )
            )

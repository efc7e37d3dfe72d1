"""The sealer gives every entry one position, whoever writes and whoever else seals."""

import asyncio
import time

import psycopg
import pytest
from sqlalchemy import text

from domain.seals import content_hash
from models.queries import invariants, seals
from tests.ledger.books import Books, fee

# The mistake that looks right: up to the highest that can be seen, whoever is still writing below it.
BY_HIGHEST_ID = seals.SEALABLE.replace(
    "least(edge.xmin, cut.txid)", "(SELECT (max(txid)::text::bigint + 1)::text::xid8 FROM journal_entry)"
)


SNAPSHOTS = next(i for i in invariants.DATABASE_INVARIANTS if i.name == "ledger.snapshots_agree")


async def a_slow_writer_is_overtaken(books: Books) -> None:
    """An entry is written first and committed last; blocks are sealed in between."""
    async with books.database.transaction() as slow:
        await books.post_in(slow, fee("slow"))
        for _ in range(3):
            await books.post()
            await books.seal()
    await books.seal()


async def test_a_slow_writer_is_sealed_too(books: Books) -> None:
    await a_slow_writer_is_overtaken(books)
    await books.seal_all()
    assert await books.positions() == [1, 2, 3, 4]
    assert await books.check() == []


async def test_an_entry_that_commits_late_is_not_skipped(books: Books) -> None:
    await books.post(fee("before"))
    await books.seal_all()
    async with books.database.transaction() as slow:
        await books.post_in(slow, fee("slow"))
        await books.post(fee("quick"))
        assert await books.seal() is None, "nothing may be sealed above a transaction that still runs"
        assert await books.positions() == [1]
    await books.seal_all()
    assert await books.positions() == [1, 2, 3]
    assert await books.check() == []


async def test_planted_sealer_by_highest_id_is_refused(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "SEALABLE", BY_HIGHEST_ID)
    with pytest.raises(Exception, match="pass over transactions that still run"):
        await a_slow_writer_is_overtaken(books)


async def test_planted_sealer_is_named_even_without_the_guards(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    books.as_owner(
        "ALTER TABLE seal_block DISABLE TRIGGER block_follows",
        "ALTER TABLE seal_block DISABLE TRIGGER block_is_whole",
    )
    monkeypatch.setattr(seals, "SEALABLE", BY_HIGHEST_ID)
    await a_slow_writer_is_overtaken(books)
    found = await books.check()
    assert len(found) == 1
    assert found[0].startswith("entry slow is in no block, and older than the last one")


async def test_writers_and_two_sealers_at_once(books: Books) -> None:
    writing = True

    async def write(number: int) -> None:
        for _ in range(15):
            async with books.database.transaction() as session:
                await books.post_in(session, fee(), fee())
                if number == 0:
                    await session.execute(text("SELECT pg_sleep(0.02)"))

    async def keep_sealing() -> None:
        while writing:
            await books.seal(7)
            await asyncio.sleep(0)

    sealers = [asyncio.create_task(keep_sealing()) for _ in range(2)]
    await asyncio.gather(*(write(number) for number in range(8)))
    writing = False
    await asyncio.gather(*sealers)
    await books.seal_all(7)
    assert await books.positions() == list(range(1, 241))
    assert await books.count("seal_block") > 5
    assert await books.check() == []


async def test_a_transaction_larger_than_a_block_is_not_cut(books: Books) -> None:
    await books.post()
    await books.post(*(fee() for _ in range(9)))
    await books.post()
    await books.seal_all(4)
    sizes = await books.scalar(
        "SELECT array_agg(last_position - first_position + 1 ORDER BY number) FROM seal_block"
    )
    assert sizes == [1, 9, 1]
    assert await books.check() == []


THOUSAND_COMMITS = """
DO $$ DECLARE entry uuid; BEGIN
    FOR n IN 1..1000 LOOP
        INSERT INTO journal_entry (entity, event_key, kind, content_hash, effective_at)
            VALUES ('main', 'fee:' || n, 'processor_fee', 'DIGEST', now()) RETURNING id INTO entry;
        INSERT INTO posting (entry_id, ordinal, account, currency, amount)
            VALUES (entry, 1, '5020', 'USD', 30), (entry, 2, '1010', 'USD', -30);
        COMMIT;
    END LOOP;
END $$
"""


async def test_a_thousand_commits_are_sealed_within_seconds(books: Books) -> None:
    digest = content_hash("processor_fee", [("5020", None, "USD", 30), ("1010", None, "USD", -30)])
    with psycopg.connect(books.owner_url, autocommit=True) as connection:
        connection.execute(THOUSAND_COMMITS.replace("DIGEST", digest))  # type: ignore[arg-type]
    started = time.monotonic()
    await books.seal_all()
    sealed = time.monotonic() - started
    assert await books.positions() == list(range(1, 1001))
    started = time.monotonic()
    assert await books.check() == []
    print(f"sealed 1,000 entries in {sealed:.2f} s, verified them in {time.monotonic() - started:.2f} s")
    assert sealed < 5


async def test_balances_are_read_from_a_snapshot_and_what_came_after(books: Books) -> None:
    async with books.database.transaction() as session:
        assert await seals.take_snapshot(session, least=1) == 0
    await books.post(*(fee(amount=n) for n in range(1, 11)))
    await books.seal_all()
    await books.post(fee(amount=100))  # not sealed: in no snapshot yet
    async with books.database.transaction() as session:
        assert await seals.take_snapshot(session, least=11) == 0
        assert await seals.take_snapshot(session, least=10) == 2
        assert await seals.take_snapshot(session, least=1) == 0, "nothing was sealed since"
    await books.seal_all()
    await books.post(fee(amount=1000, currency="KWD"))
    async with books.database.transaction() as session:
        assert await invariants.violations(session, SNAPSHOTS) == []
    found = await books.balances()
    assert found == {
        ("1010", "KWD"): -1000,
        ("1010", "USD"): -155,
        ("5020", "KWD"): 1000,
        ("5020", "USD"): 155,
    }
    books.as_owner(
        "ALTER TABLE balance_snapshot DISABLE TRIGGER append_only",
        "UPDATE balance_snapshot SET amount = amount + 1 WHERE account = '5020'",
    )
    assert (await books.balances())["5020", "USD"] == 156
    async with books.database.transaction() as session:
        found = await invariants.violations(session, SNAPSHOTS)
    assert found == ["snapshot of 5020  USD says 56, the postings 55"]

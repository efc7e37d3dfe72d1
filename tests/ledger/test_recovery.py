"""What the recovery looks at: everything that waits, and of very many lines a share a run."""

import asyncio
import time

from sqlalchemy import text

from models.database import Database
from models.queries import recovery
from models.queries.recovery import Share
from tests.model.plain import PlainLine
from tests.model.shop import DatabaseShop

ORDERS = 30


def line() -> PlainLine:
    return PlainLine("L1", 100, 100, [], [], [], [("ana", 5000)])


def placed(database_url: str) -> None:
    shop = DatabaseShop(database_url)
    try:
        for _ in range(ORDERS):
            shop.place("EUR", [line()])
    finally:
        shop.close()


def test_every_line_has_its_turn_and_no_run_looks_at_all(database_url: str) -> None:
    placed(database_url)

    async def look() -> tuple[list[set[str]], set[str]]:
        database = Database(database_url, pool_size=2)
        try:
            async with database.transaction() as session:
                await session.execute(text("UPDATE orders SET paid_at = now() - interval '1 hour'"))
            runs: list[set[str]] = []
            end = time.monotonic() + 60
            while len(set().union(*runs)) < ORDERS and time.monotonic() < end:
                async with database.transaction() as session:
                    found = await recovery.unfinished(session, Share(lines_at_once=10, every_seconds=1))
                runs.append(set(found.line_ids))
                await asyncio.sleep(0.5)
            async with database.transaction() as session:
                return runs, set((await recovery.unfinished(session)).line_ids)
        finally:
            await database.aclose()

    runs, everything = asyncio.run(look())
    assert len(everything) == ORDERS
    assert set.union(*runs) == everything
    assert all(len(run) < ORDERS for run in runs)
    shares = {frozenset(run) for run in runs}
    assert sum(len(share) for share in shares) == ORDERS, "no line has two turns in a round"

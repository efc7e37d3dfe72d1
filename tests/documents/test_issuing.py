"""When in a transaction a document takes its number, and that what was issued stays."""

import asyncio
from typing import Any, cast

import pytest
from temporalio.client import Client

from activities.boundary import Transactions
from integrations.dispatch import Dispatcher
from models.database import Database
from models.queries import documents
from tests.documents.test_numbering import Aborted, draft, make_orders


@pytest.fixture(scope="module")
async def store(database_url: str) -> Any:
    found = Database(database_url, pool_size=4)
    yield found
    await found.aclose()


async def test_a_number_is_taken_by_the_last_statement_alone(store: Database) -> None:
    """While one transaction goes on after it asked for a document, another one gets its number."""
    transactions = Transactions(store, Dispatcher(cast(Client, None), "none"))  # nobody is woken here
    slow, quick = await make_orders(store, 2)
    asked, done = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with transactions.begin() as tx:
            tx.issue(draft(slow))
            asked.set()
            await asyncio.wait_for(done.wait(), 10)

    async def second() -> None:
        await asked.wait()
        async with transactions.begin() as tx:
            tx.issue(draft(quick))
        done.set()

    await asyncio.gather(first(), second())
    async with store.transaction() as session:
        (one,) = await documents.of_order(session, quick)
        (other,) = await documents.of_order(session, slow)
    assert (one.number, other.number) == ("INV-DE-2026-000001", "INV-DE-2026-000002")


async def test_a_transaction_that_fails_issues_nothing(store: Database) -> None:
    transactions = Transactions(store, Dispatcher(cast(Client, None), "none"))
    (order_id,) = await make_orders(store, 1)

    async def fail() -> None:
        async with transactions.begin() as tx:
            tx.issue(draft(order_id, country="LU"))
            raise Aborted

    with pytest.raises(Aborted):
        await fail()
    async with store.transaction() as session:
        assert await documents.of_order(session, order_id) == []
        issued = await documents.issue(session, draft(order_id, country="LU"))
    assert issued is not None
    assert issued.number == "INV-LU-2026-000001"

"""The ledger on a database of the module's own, and one that a test alone may spoil."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest

from models.database import Database
from tests.harness.servers import Servers
from tests.ledger.books import Books


@pytest.fixture
def app(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection as the application role."""
    with psycopg.connect(plain(database_url)) as connection:
        yield connection
        connection.rollback()


def plain(url: str) -> str:
    """The address as psycopg takes it."""
    return url.replace("postgresql+psycopg://", "postgresql://")


@pytest.fixture
async def books(servers: Servers, fresh_database: str) -> AsyncIterator[Books]:
    """An empty ledger for one test alone."""
    database = Database(servers.database_url(fresh_database), pool_size=12)
    yield Books(database, plain(servers.owner_url(fresh_database)))
    await database.aclose()

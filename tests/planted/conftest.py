"""The benches of workflow and API tests, and one on a database that a test may spoil."""

from collections.abc import AsyncIterator

import psycopg
import pytest
from temporalio.testing import TimeSkipper

from tests.api.conftest import credentials, environment, gateway, lms_process
from tests.harness.servers import Servers
from tests.workflows.bench import Bench
from tests.workflows.conftest import bench, no_faults, patient_skipper, standins
from tests.workflows.running import Standins, running_bench

__all__ = [
    "bench",
    "credentials",
    "environment",
    "gateway",
    "lms_process",
    "no_faults",
    "patient_skipper",
    "standins",
]


class Owner:
    """Changes the tables of one database, as its owner."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("+psycopg", "", 1)

    def execute(self, statement: str) -> None:
        """One statement, committed."""
        with psycopg.connect(self._url) as connection:
            connection.execute(statement)  # type: ignore[arg-type]


@pytest.fixture
def owner_of_own(servers: Servers, fresh_database: str) -> Owner:
    """The owner of the test's own database."""
    return Owner(servers.owner_url(fresh_database))


@pytest.fixture
async def own_bench(
    servers: Servers, fresh_database: str, standins: Standins, patient_skipper: TimeSkipper
) -> AsyncIterator[Bench]:
    """A worker on a database of the test's own."""
    url, queue = servers.database_url(fresh_database), f"planted-{fresh_database}"
    async with running_bench(url, standins, patient_skipper, queue) as found:
        yield found

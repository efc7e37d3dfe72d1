"""Fixtures for all tests. Each starts what it needs when first asked: a pure unit test starts nothing."""

import itertools
from collections.abc import Iterator

import pytest

from tests.harness.servers import Servers, end_run, ensure_servers, prepare_run


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the run's directory; xdist's workers find it in their environment."""
    prepare_run()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the run's servers, when this process is the one that leads the run."""
    end_run()


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def servers() -> Servers:
    """PostgreSQL and Temporal of the whole run."""
    return ensure_servers()


def _fresh_database(servers: Servers, worker_id: str) -> Iterator[str]:
    name = f"test_{worker_id}_{next(_numbers)}"
    servers.create_database(name, servers.migrated_template())
    yield name
    servers.drop_database(name)


@pytest.fixture(scope="module")
def database(servers: Servers, worker_id: str) -> Iterator[str]:
    """The name of a migrated database that the module's tests share."""
    yield from _fresh_database(servers, worker_id)


@pytest.fixture(scope="module")
def database_url(servers: Servers, database: str) -> str:
    """The application role's address of the module's database."""
    return servers.database_url(database)


@pytest.fixture(scope="module")
def owner_url(servers: Servers, database: str) -> str:
    """The owner's address of the module's database."""
    return servers.owner_url(database)


@pytest.fixture
def fresh_database(servers: Servers, worker_id: str) -> Iterator[str]:
    """The name of a migrated database for one test alone; addresses by `servers.database_url(name)`."""
    yield from _fresh_database(servers, worker_id)

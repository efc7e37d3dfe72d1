"""Fixtures for all tests. Each starts what it needs when first asked: a pure unit test starts nothing."""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import TimeSkipper

from devstack.settings import External, StackSettings
from tests.e2e.canaries import Canaries, found_in_ledger, leaks_of_run
from tests.harness.product import RunningStack
from tests.harness.servers import Servers, end_run, ensure_servers, prepare_run, run_directory

StackFactory = Callable[..., RunningStack]


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the run's directory; xdist's workers find it in their environment."""
    os.umask(0o022)  # PostgreSQL's user must be able to reach what a test run by root makes.
    prepare_run()


_LEAKS = pytest.StashKey[list[str]]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """When all test processes have ended, look for what may not be found: secrets, names of learners."""
    if hasattr(session.config, "workerinput"):
        return
    session.config.stash[_LEAKS] = leaks_of_run()
    if session.config.stash[_LEAKS]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was found."""
    for leak in config.stash.get(_LEAKS, []):
        terminalreporter.write_line(f"LEAKED {leak}", red=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the run's servers, when this process is the one that leads the run."""
    end_run()


# Files that take longest begin first, so that no worker is left with one of them when the others are done.
_LONG_FIRST = (
    *("product/test_fuzz", "model/", "e2e/test_idempotency", "planted/test_refund_races"),
    *("e2e/", "workflows/", "planted/", "runs/", "product/", "reconciliation/", "devstack/"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; within a file the order stays."""
    root = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        name = item.path.relative_to(root).as_posix()
        return next((n for n, start in enumerate(_LONG_FIRST) if name.startswith(start)), len(_LONG_FIRST))

    items.sort(key=rank)


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def servers() -> Servers:
    """PostgreSQL and Temporal of the whole run."""
    return ensure_servers()


def _fresh_name(worker_id: str) -> str:
    return f"test_{worker_id}_{next(_numbers)}"


@contextmanager
def _new_database(servers: Servers, worker_id: str) -> Iterator[str]:
    name = _fresh_name(worker_id)
    servers.create_database(name, servers.migrated_template())
    yield name
    servers.drop_database(name)


@pytest.fixture(scope="module")
def database(servers: Servers, worker_id: str) -> Iterator[str]:
    """The name of a migrated database that the module's tests share."""
    with _new_database(servers, worker_id) as name:
        yield name


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
    with _new_database(servers, worker_id) as name:
        yield name


@pytest.fixture(scope="session")
def temporal_namespace(servers: Servers, worker_id: str) -> str:
    """A Temporal namespace of this test process, with the search attributes."""
    name = _fresh_name(worker_id)
    servers.create_namespace(name)
    return name


@pytest.fixture(scope="session")
async def temporal_client(servers: Servers, temporal_namespace: str) -> Client:
    """A client in this test process's namespace. Use a task queue of your own."""
    return await Client.connect(servers.temporal_address, namespace=temporal_namespace)


@pytest.fixture(scope="session")
def time_skipper(temporal_client: Client) -> TimeSkipper:
    """Workflows started by `time_skipper.client` have a virtual clock of their own.

    `await time_skipper.fast_forward(handle, timedelta(days=2))` moves it; the server is the real one.
    """
    return TimeSkipper(temporal_client)


@contextmanager
def _running(settings: StackSettings, parts: frozenset[str] | None) -> Iterator[RunningStack]:
    with RunningStack(settings, parts) as running:
        yield running


def _assert_nobody_in_ledger(database_url: str) -> None:
    assert found_in_ledger(database_url, Canaries.of_run().planted) == []


@contextmanager
def _stack_factory(servers: Servers, worker_id: str) -> Iterator[StackFactory]:
    with ExitStack() as cleanup:

        def make(
            *,
            environment: Mapping[str, str] | None = None,
            parts: frozenset[str] | None = None,
            commands: Mapping[str, tuple[str, ...]] | None = None,
        ) -> RunningStack:
            name = cleanup.enter_context(_new_database(servers, worker_id))
            servers.create_namespace(name)
            external = External(
                servers.database_url(name), servers.owner_url(name), servers.temporal_address, name
            )
            settings = StackSettings.isolated(
                run_directory() / "stacks" / name,
                environment=environment,
                external=external,
                commands=commands,
            )
            cleanup.callback(_assert_nobody_in_ledger, external.database_url)
            return cleanup.enter_context(_running(settings, parts))

        yield make


@pytest.fixture(scope="session")
def stack(servers: Servers, worker_id: str) -> Iterator[RunningStack]:
    """The whole product, seeded, shared by this process's tests. Whoever kills a part restarts it.

    Earnings are held for three seconds instead of 30 days.
    """
    with _stack_factory(servers, worker_id) as make:
        yield make(environment={"EARNINGS_HOLD_DAYS": "0.00003"})


@pytest.fixture(scope="module")
def make_stack(servers: Servers, worker_id: str) -> Iterator[StackFactory]:
    """Starts a product for this module: `make_stack(environment={"PAYMENT_WINDOW_MINUTES": "0.05"})`."""
    with _stack_factory(servers, worker_id) as make:
        yield make


@pytest.fixture(scope="module")
def module_stack(make_stack: StackFactory) -> RunningStack:
    """The whole product for this module alone."""
    return make_stack()


@pytest.fixture(scope="module")
def own_stack(worker_id: str) -> Iterator[RunningStack]:
    """A product with its own durable PostgreSQL and its own Temporal: all may be killed."""
    settings = StackSettings.isolated(run_directory() / "stacks" / f"own_{_fresh_name(worker_id)}")
    with _running(settings, None) as running:
        yield running

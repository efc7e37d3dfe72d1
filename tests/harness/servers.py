"""The servers of a test run, started by whichever test process needs them first."""

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg import sql
from temporalio.client import Client

from devstack.accounts import others_can_reach
from devstack.credentials import DatabasePasswords
from devstack.paths import PROJECT, temporary_root
from devstack.postgres import APP_ROLE, OWNER_ROLE, SUPERUSER, Postgres, creation
from tests.harness.namespaces import register_namespace

_RUN_DIR = "COMMERCE_TEST_RUN_DIR"
_CONTROLLER = "COMMERCE_TEST_CONTROLLER_PID"
_START_SECONDS = 60.0
# A run writes some gigabytes and keeps nothing; in memory that costs a twelfth less of the processors.
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 8 * 2**30
TEMPLATE = "commerce_template"


@dataclass(frozen=True)
class Servers:
    """Where the run's PostgreSQL and Temporal are."""

    run_dir: Path
    postgres: Postgres
    temporal_address: str

    def database_url(self, database: str) -> str:
        """The application role's address of a database."""
        return self.postgres.url(APP_ROLE, database)

    def owner_url(self, database: str) -> str:
        """The owner's address of a database."""
        return self.postgres.url(OWNER_ROLE, database)

    def superuser_url(self, database: str = "postgres") -> str:
        """The superuser's address of a database."""
        return self.postgres.url(SUPERUSER, database)

    def create_database(self, name: str, template: str = "template0") -> None:
        """Make a database, as a copy of `template`."""
        with psycopg.connect(self.postgres.conninfo(), autocommit=True) as connection:
            for statement in creation(name, template):
                connection.execute(statement)

    def drop_database(self, name: str) -> None:
        """Delete a database, whoever is connected to it."""
        with psycopg.connect(self.postgres.conninfo(), autocommit=True) as connection:
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))

    def create_namespace(self, name: str) -> None:
        """Make a Temporal namespace with the product's search attributes."""

        async def create() -> None:
            await register_namespace(await Client.connect(self.temporal_address), name)

        # In a thread, because a test's event loop may be running in this one.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, create()).result()

    def migrated_template(self) -> str:
        """The database that others are copied from, migrated once in a run."""
        with _locked(self.run_dir / "template.lock"):
            done = self.run_dir / "template.done"
            if not done.exists():
                # Here, because it loads all tables, which most unit tests don't need.
                from migrations import upgrade

                self.drop_database(TEMPLATE)
                self.create_database(TEMPLATE)
                upgrade(self.owner_url(TEMPLATE))
                done.touch()
        return TEMPLATE


def _has_room(parent: Path) -> bool:
    return os.access(parent, os.W_OK) and shutil.disk_usage(parent).free > _ROOM_BYTES


def prepare_run() -> None:
    """Called in the process that runs the tests, before xdist starts its workers: they inherit this."""
    if _RUN_DIR in os.environ:
        return
    # Not pytest's own directory: PostgreSQL's user must reach it. Made when a test asks for it.
    wanted = "TMPDIR" in os.environ
    parent = _MEMORY if not wanted and _has_room(_MEMORY) else Path(tempfile.gettempdir())
    if not others_can_reach(parent):
        parent = temporary_root()
    os.environ[_RUN_DIR] = str(parent / f"commerce-test-{secrets.token_hex(6)}")
    os.environ[_CONTROLLER] = str(os.getpid())


def end_run() -> None:
    """Called in the same process at the end: stops what was started."""
    if os.environ.get(_CONTROLLER) != str(os.getpid()):
        return
    run_dir = Path(os.environ.pop(_RUN_DIR))
    del os.environ[_CONTROLLER]
    state = run_dir / "services.json"
    if state.exists():
        with contextlib.suppress(psutil.Error):
            keeper = psutil.Process(json.loads(state.read_text(encoding="utf-8"))["keeper_pid"])
            keeper.send_signal(signal.SIGTERM)
            keeper.wait(10)
    else:
        shutil.rmtree(run_dir, ignore_errors=True)


def run_directory() -> Path:
    """A directory for this run's files, deleted at its end."""
    run_dir = Path(os.environ[_RUN_DIR])
    run_dir.mkdir(mode=0o755, exist_ok=True)
    return run_dir


def ensure_servers() -> Servers:
    """The run's servers; starts them when no other test process has."""
    run_dir = run_directory()
    state_file = run_dir / "services.json"
    with _locked(run_dir / "servers.lock"):
        if not state_file.exists():
            _start_keeper(run_dir, state_file)
    state = json.loads(state_file.read_text(encoding="utf-8"))
    postgres = Postgres(
        home=run_dir / "servers" / "postgres",
        port=state["postgres_port"],
        passwords=DatabasePasswords(**state["passwords"]),
        durable=False,
    )
    return Servers(run_dir, postgres, state["temporal_address"])


def _start_keeper(run_dir: Path, state_file: Path) -> None:
    log = run_dir / "keeper.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.keeper", str(run_dir), os.environ[_CONTROLLER]],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while not state_file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the servers for the tests did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.02)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""The shared fixtures: a database for each module, one Temporal, products, and nothing left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import errors
from temporalio.testing import TimeSkipper
from temporalio.worker import Worker

from devstack.paths import PROJECT
from tests.devstack.patient import Patient
from tests.harness.product import RunningStack
from tests.harness.servers import Servers


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql", 1)


def test_application_role_reads_but_makes_no_tables(database_url: str) -> None:
    with psycopg.connect(_plain(database_url)) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE forbidden (id int)")


def test_owner_owns_the_database(owner_url: str) -> None:
    with psycopg.connect(_plain(owner_url)) as connection:
        row = connection.execute(
            "SELECT current_user, pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == ("commerce_owner", "commerce_owner")


async def test_databases_are_separate(servers: Servers, database: str, fresh_database: str) -> None:
    assert database != fresh_database
    async with await psycopg.AsyncConnection.connect(_plain(servers.owner_url(database))) as connection:
        await connection.execute("CREATE TABLE only_here (id int)")
    async with await psycopg.AsyncConnection.connect(_plain(servers.owner_url(fresh_database))) as connection:
        row = await (await connection.execute("SELECT to_regclass('only_here')")).fetchone()
    assert row == (None,)


async def test_two_days_pass_at_once(time_skipper: TimeSkipper) -> None:
    queue = "patient"
    async with Worker(time_skipper.client, task_queue=queue, workflows=[Patient]):
        handle = await time_skipper.client.start_workflow(Patient.run, id="patient", task_queue=queue)
        await time_skipper.fast_forward(handle, timedelta(days=2, minutes=1))
        assert await handle.result() == "done"


def test_products_have_databases_and_namespaces_of_their_own(make_stack: Callable[..., RunningStack]) -> None:
    stacks = [
        make_stack(parts=frozenset({"payout"}), environment={"REFUND_WINDOW_DAYS": "3"}) for _ in range(2)
    ]
    for name in ("DATABASE_URL", "TEMPORAL_NAMESPACE", "JWT_SIGNING_KEYS"):
        assert len({stack.env[name] for stack in stacks}) == 2
    assert {stack.env["REFUND_WINDOW_DAYS"] for stack in stacks} == {"3"}
    assert len({stack.urls.payout for stack in stacks}) == 2


async def test_parts_can_be_killed_and_restarted_from_a_running_loop(
    make_stack: Callable[..., RunningStack],
) -> None:
    stack = make_stack(parts=frozenset({"lms"}))
    before = stack.pid("lms")
    await stack.kill("lms")
    assert not stack.is_running("lms")
    await stack.restart("lms")
    assert stack.is_running("lms")
    assert stack.pid("lms") != before


def test_kill_9_of_the_test_run_leaves_nothing_behind() -> None:
    program = (
        "import time\n"
        "from tests.harness import servers\n"
        "servers.prepare_run()\n"
        "servers.ensure_servers()\n"
        "print(servers.run_directory(), flush=True)\n"
        "time.sleep(60)\n"
    )
    outside = {name: value for name, value in os.environ.items() if not name.startswith("COMMERCE_TEST_")}
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=PROJECT, env=outside, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        run_dir = Path(process.stdout.readline().strip())
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) > 2
        process.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=8)
    assert alive == []
    assert not run_dir.exists()

"""Keeps one PostgreSQL and one Temporal for a whole test run.

`python -m tests.harness.keeper RUN_DIR CONTROLLER_PID` is a process of its own, because under xdist no worker
outlives all the others. It ends when it is told to, or when the process that leads the run (the controller)
is gone; its servers end with it in any case.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import psutil

from devstack.accounts import account_for_postgres
from devstack.credentials import DatabasePasswords
from devstack.logs import LogSink
from devstack.paths import DataDir
from devstack.ports import free_ports
from devstack.postgres import Postgres
from devstack.processes import ChildProcess
from devstack.temporal import Temporal

_START_SECONDS = 60.0


async def _start(server: Postgres | Temporal, log: LogSink) -> ChildProcess:
    if isinstance(server, Postgres):
        await server.prepare(log)
    child = await ChildProcess.start(server.command(), log)
    async with asyncio.timeout(_START_SECONDS):
        while not await server.is_ready():
            if child.exit_code is not None:
                raise RuntimeError(f"{child.command.name} ended: {log.recent(child.command.name)}")
            await asyncio.sleep(0.02)
    await server.bootstrap()
    return child


async def keep(run_dir: Path, controller_pid: int) -> int:
    """Start the servers, say where they are in `services.json`, and stay."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    controller = psutil.Process(controller_pid)
    layout = DataDir(run_dir / "servers")
    layout.create()
    log = LogSink()
    log.open(layout.logs)
    account = account_for_postgres(layout.postgres)
    postgres_port, temporal_port, http_port = free_ports(3)
    postgres = Postgres(
        home=layout.postgres_home(account),
        port=postgres_port,
        passwords=DatabasePasswords.generate(),
        account=account,
        durable=False,
        max_connections=400,
    )
    temporal = Temporal(
        home=layout.temporal, port=temporal_port, http_port=http_port, ui_port=None, time_skipping=True
    )
    children = await asyncio.gather(_start(postgres, log), _start(temporal, log))
    state = {
        "postgres_port": postgres_port,
        "passwords": vars(postgres.passwords),
        "temporal_address": temporal.address,
        "keeper_pid": os.getpid(),
    }
    unfinished = run_dir / "services.new"
    unfinished.write_text(json.dumps(state), encoding="utf-8")
    unfinished.rename(run_dir / "services.json")
    ends = [asyncio.create_task(child.wait()) for child in children]
    while not stop.is_set() and controller.is_running() and not any(end.done() for end in ends):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.3)
    crashed = [child.command.name for child in children if child.exit_code is not None]
    # Nothing in these servers is worth a clean end.
    await asyncio.gather(*(child.stop(at_once=True) for child in children))
    if crashed:
        sys.stderr.write(f"{crashed} ended before the tests did; logs in {layout.logs}\n")
        return 1
    layout.remove()
    shutil.rmtree(run_dir, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(keep(Path(sys.argv[1]), int(sys.argv[2]))))

"""However the launcher ends, nothing of the stack outlives it; and it runs for root and for plain users."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest

from devstack.paths import PROJECT, DataDir
from tests.harness.plain_user import PlainUser, linked_python, make_plain_user
from tests.harness.servers import run_directory

STOP_SECONDS = 8


@dataclass
class Launched:
    """A launcher that is up, and everything it has started."""

    process: subprocess.Popen[str]
    launcher: psutil.Process
    family: list[psutil.Process]
    owner_url: str

    def users(self) -> set[int]:
        """Whom the processes belong to."""
        found = set()
        for process in self.family:
            # PostgreSQL's helpers come and go.
            with contextlib.suppress(psutil.NoSuchProcess):
                found.add(process.uids().effective)
        return found

    def survivors(self, seconds: float = STOP_SECONDS) -> list[psutil.Process]:
        """Who of the family still lives after `seconds`."""
        _, alive = psutil.wait_procs([self.launcher, *self.family], timeout=seconds)
        return [process for process in alive if _lives(process)]


def _lives(process: psutil.Process) -> bool:
    try:
        # Not every init of a container buries the dead.
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def _launched(
    data_dir: Path,
    *,
    under_shell: bool = False,
    user: PlainUser | None = None,
    python: Path = Path(sys.executable),
) -> Iterator[Launched]:
    libraries = {"LD_LIBRARY_PATH": str(python.parent.parent / "lib")}
    argv = [str(user.python if user else python), "-m", "tests.harness.launch", str(data_dir)]
    if under_shell:
        argv = ["/bin/sh", "-c", '"$@" & wait', "sh", *argv]
    process = subprocess.Popen(
        argv,
        cwd=user.clone if user else PROJECT,
        env=user.environment() if user else {**os.environ, **libraries},
        user=user.uid if user and os.geteuid() == 0 else None,
        group=user.gid if user and os.geteuid() == 0 else None,
        extra_groups=[] if user and os.geteuid() == 0 else None,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    family: list[psutil.Process] = []
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the launcher ended before it was up"
        state = json.loads(line)
        launcher = psutil.Process(state["pid"])
        family = launcher.children(recursive=True)
        yield Launched(process, launcher, family, state["owner_url"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for member in family:
            with contextlib.suppress(psutil.Error):
                member.kill()


@pytest.fixture
def data_dir(request: pytest.FixtureRequest) -> Path:
    return run_directory() / "launched" / "".join(c if c.isalnum() else "_" for c in request.node.name)


def _count_of_kept(owner_url: str, insert: int) -> int:
    url = owner_url.replace("postgresql+psycopg", "postgresql", 1)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [insert])
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_everything_in_time(data_dir: Path, number: signal.Signals) -> None:
    with _launched(data_dir) as launched:
        assert len(launched.family) > 7
        began = time.monotonic()
        launched.process.send_signal(number)
        assert launched.process.wait(STOP_SECONDS) == 0
        assert time.monotonic() - began < STOP_SECONDS
        assert launched.survivors(0.1) == []


def test_kill_9_of_the_launcher_leaves_no_process_and_no_damage(data_dir: Path) -> None:
    with _launched(data_dir) as launched:
        assert _count_of_kept(launched.owner_url, 1) == 1
        launched.process.kill()
        assert launched.survivors() == []
    with _launched(data_dir) as again:
        assert _count_of_kept(again.owner_url, 2) == 2


def test_death_of_the_parent_stops_everything_in_time(data_dir: Path) -> None:
    with _launched(data_dir, under_shell=True) as launched:
        assert launched.launcher.ppid() == launched.process.pid
        launched.process.kill()
        assert launched.survivors() == []


def test_plain_user_runs_everything(data_dir: Path) -> None:
    user = make_plain_user(data_dir)
    with _launched(user.clone / ".commerce", user=user) as launched:
        assert launched.users() == {user.uid}
        assert _count_of_kept(launched.owner_url, 1) == 1
        launched.process.kill()
        assert launched.survivors() == []


def test_clone_that_only_its_owner_may_enter(data_dir: Path) -> None:
    closed = data_dir / "closed"
    closed.mkdir(parents=True, mode=0o700)
    # Longer than the path of a socket may be.
    root = closed / ("deep" * 30) / ".commerce"
    root.mkdir(parents=True)
    python = linked_python(closed / "python")
    layout = DataDir(root)
    for round_number in (1, 2):
        with _launched(root, python=python) as launched:
            assert _count_of_kept(launched.owner_url, round_number) == round_number
            launched.process.send_signal(signal.SIGTERM)
            launched.process.wait(STOP_SECONDS)
    outside = layout.postgres.resolve()
    assert bool(list(outside.glob("programs-*"))) is (os.geteuid() == 0)
    assert outside.exists()
    assert layout.postgres.is_symlink() is (os.geteuid() == 0)
    layout.remove()
    assert not root.exists()
    assert not outside.exists()

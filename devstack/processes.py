"""Child processes: tied to this one, logged line by line, stopped for sure."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from devstack.accounts import Account
from devstack.errors import MissingProgramError, StackError
from devstack.logs import LogSink

_TETHER = Path(__file__).with_name("tether.py")
_STALE_WAIT_SECONDS = 6.0
_LAST_GRACE_SECONDS = 0.7


@dataclass(frozen=True)
class Command:
    """A program to run as a child."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = Path("/")
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    # What the kernel sends when this process dies, and what `stop` sends when patience ends.
    death_signal: signal.Signals = signal.SIGKILL
    stop_grace_seconds: float = 2.5

    def tethered(self) -> list[str]:
        """The command line that ties the program to this process."""
        uid, gid = (self.account.uid, self.account.gid) if self.account else (-1, -1)
        ids = [os.getpid(), int(self.death_signal), uid, gid]
        return [sys.executable, "-I", "-S", str(_TETHER), *map(str, ids), *self.argv]


def find_program(name: str, beside: Path = Path(sys.executable).parent) -> str:
    """The path of a program of this environment, else of the system."""
    candidate = beside / name
    if candidate.exists():
        return str(candidate)
    if found := shutil.which(name):
        return found
    raise MissingProgramError(f"the program {name!r} is missing; make the environment again (make env)")


class ChildProcess:
    """One running child. Make it with `start`."""

    def __init__(
        self, command: Command, process: asyncio.subprocess.Process, log: LogSink, pid_file: Path | None
    ) -> None:
        self.command = command
        self._process = process
        self._log = log
        self._pid_file = pid_file
        self._reader = asyncio.create_task(self._read_lines())

    @classmethod
    async def start(cls, command: Command, log: LogSink, run_dir: Path | None = None) -> "ChildProcess":
        """Start the program; with `run_dir`, leave a pid file there for whoever cleans up after a crash."""
        process = await asyncio.create_subprocess_exec(
            *command.tethered(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(command.env),
            cwd=command.cwd,
            # Ctrl-C on the terminal reaches the launcher alone, which then stops the parts in order.
            start_new_session=True,
        )
        pid_file = None
        if run_dir is not None:
            pid_file = run_dir / f"{command.name}.pid"
            _write_pid_file(pid_file, process.pid)
        return cls(command, process, log, pid_file)

    @property
    def pid(self) -> int:
        """The process id; it stays valid until the end was waited for."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for its end and for its last words."""
        code = await self._process.wait()
        # A grandchild may hold the pipe open, so the end of the output is not waited for without limit.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._reader), 0.5)
        if self._pid_file is not None:
            self._pid_file.unlink(missing_ok=True)
        return code

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def stop(self, *, at_once: bool = False) -> int:
        """Ask it to end, then make it; returns when it is gone."""
        if self.exit_code is None:
            self.send(self.command.death_signal if at_once else self.command.stop_signal)
            # A stopped process takes no signal but SIGKILL.
            self.send(signal.SIGCONT)
        grace = self.command.stop_grace_seconds
        for escalation in (self.command.death_signal, signal.SIGKILL):
            try:
                return await asyncio.wait_for(asyncio.shield(self.wait()), grace)
            except TimeoutError:
                self._log.note(f"{self.command.name} does not stop; sending {escalation.name}")
                if escalation is signal.SIGKILL:
                    # With all that it has started: the child leads a session of its own.
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(self.pid, signal.SIGKILL)
                self.send(escalation)
                grace = _LAST_GRACE_SECONDS
        return await self.wait()

    async def _read_lines(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        rest = b""
        while chunk := await stream.read(65_536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)
        if rest:
            self._take(rest)

    def _take(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            self._log.line(self.command.name, text)


async def run_to_end(command: Command, log: LogSink, timeout_seconds: float = 60.0) -> int:
    """Run a program that ends by itself; returns its exit code."""
    child = await ChildProcess.start(command, log)
    try:
        return await asyncio.wait_for(asyncio.shield(child.wait()), timeout_seconds)
    except TimeoutError:
        raise StackError(f"{command.name} did not end within {timeout_seconds:.0f} s") from None
    finally:
        if child.exit_code is None:
            await child.stop(at_once=True)


def explain_exit(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code}"


def missing_library(lines: list[str]) -> str | None:
    """The shared library that a program said it misses, if it said so."""
    for line in lines:
        if "error while loading shared libraries: " in line:
            return line.split("error while loading shared libraries: ", 1)[1].split(":", 1)[0]
    return None


def offspring_of(pid: int) -> list[psutil.Process]:
    """All living descendants of a process."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


async def wait_until_gone(processes: list[psutil.Process]) -> None:
    """Wait for the end of processes that are not our children, but not for ever."""
    deadline = time.monotonic() + _STALE_WAIT_SECONDS
    while any(map(_lives, processes)) and time.monotonic() < deadline:  # noqa: ASYNC110 - as they are
        await asyncio.sleep(0.02)


def _lives(process: psutil.Process) -> bool:
    try:
        # Not every init of a container buries the dead.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _write_pid_file(path: Path, pid: int) -> None:
    try:
        created = psutil.Process(pid).create_time()
    except psutil.Error:
        return  # It has already ended; its exit will be reported.
    path.write_text(json.dumps({"pid": pid, "created": created}), encoding="utf-8")


def end_leftovers(run_dir: Path) -> list[str]:
    """End what a crashed launcher may have left behind; returns the names of the parts that still ran."""
    ended = []
    for path in sorted(run_dir.glob("*.pid")):
        if (process := _leftover(path)) is not None:
            ended.append(path.stem)
            _end(process)
        path.unlink(missing_ok=True)
    return ended


def _leftover(path: Path) -> psutil.Process | None:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        process = psutil.Process(state["pid"])
        # The same number may belong to another process by now.
        same = abs(process.create_time() - state["created"]) < 1.0
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    return process if same and _lives(process) else None


def _end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):
        # The kernel has already told it to end; PostgreSQL may need a moment to do so cleanly.
        try:
            process.wait(_STALE_WAIT_SECONDS if process.name() == "postgres" else 0.5)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_STALE_WAIT_SECONDS)

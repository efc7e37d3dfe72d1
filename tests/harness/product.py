"""A running stack for tests: real processes, driven from synchronous and asynchronous tests alike."""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from devstack.credentials import Credentials
from devstack.environment import StackUrls
from devstack.errors import StackError
from devstack.logs import LogSink
from devstack.settings import StackSettings
from devstack.supervisor import Stack

T = TypeVar("T")
_CALL_SECONDS = 90.0


class RunningStack:
    """A stack in a thread of its own, so that its logs flow whatever the test's own loop does.

    `kill` and `restart` are for asynchronous tests, `kill_blocking` and `restart_blocking` for the others.
    """

    def __init__(self, settings: StackSettings, parts: frozenset[str] | None = None) -> None:
        self.settings = settings
        self._loop = asyncio.new_event_loop()
        # It must live as long as its children: the kernel ends them with the thread that forked them.
        self._thread = threading.Thread(target=self._loop.run_forever, name="stack", daemon=True)
        self._thread.start()
        self._stack = self._do(self._make(parts))

    async def _make(self, parts: frozenset[str] | None) -> Stack:
        return Stack(self.settings, parts=parts, log=LogSink())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_SECONDS)

    async def _do_meanwhile(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start all parts; StackError with the failing part's last words."""
        try:
            self._do(self._stack.start())
        except BaseException:
            self._end_thread()
            raise

    def stop(self) -> None:
        """Stop all parts; nothing happens the second time."""
        if self._loop.is_closed():
            return
        self._do(self._stack.stop())
        self._end_thread()

    def _end_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill a part; it stays down until `restart`. SIGSTOP and SIGCONT pause it and let it go on."""
        await self._do_meanwhile(self._stack.kill(part, number))

    async def restart(self, part: str) -> None:
        """Start a part (again) and wait until it is ready."""
        await self._do_meanwhile(self._stack.restart(part))

    def kill_blocking(self, part: str, number: signal.Signals = signal.SIGKILL) -> None:
        """`kill` for a synchronous test."""
        self._do(self._stack.kill(part, number))

    def restart_blocking(self, part: str) -> None:
        """`restart` for a synchronous test."""
        self._do(self._stack.restart(part))

    def wait_for_failure(self, timeout_seconds: float = 10.0) -> StackError | None:
        """What stopped the stack from going on; None when nothing did in time."""

        async def wait() -> None:
            async with asyncio.timeout(timeout_seconds):
                await self._stack.run_until_stopped()

        try:
            self._do(wait())
        except StackError as error:
            return error
        except TimeoutError:
            pass
        return None

    def pid(self, part: str) -> int:
        """The process id of a part."""
        return self._stack.pid(part)

    def is_running(self, part: str) -> bool:
        """Whether the process of a part lives."""
        return self._stack.is_running(part)

    def log_of(self, part: str) -> str:
        """All that a part has printed."""
        path = self._stack.layout.logs / f"{part}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def urls(self) -> StackUrls:
        """Addresses of all parts."""
        return self._stack.urls

    @property
    def env(self) -> dict[str, str]:
        """The environment of the product's processes."""
        return self._stack.env

    @property
    def credentials(self) -> Credentials:
        """The stack's secrets."""
        return self._stack.credentials

    @property
    def data_dir(self) -> Path:
        """The stack's data directory."""
        return self.settings.data_dir

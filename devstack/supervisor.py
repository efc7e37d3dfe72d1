"""Starts the parts in order of health, watches them, stops them."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from config import Settings
from devstack.accounts import account_for_postgres
from devstack.credentials import Credentials
from devstack.environment import StackUrls, product_environment, servers_of, urls_of
from devstack.errors import MissingProgramError, StackError
from devstack.logs import LogSink
from devstack.parts import ALL_PARTS, Job, PartsBuilder, Service
from devstack.paths import DataDir
from devstack.ports import require_free
from devstack.postgres import Postgres
from devstack.processes import (
    ChildProcess,
    end_leftovers,
    explain_exit,
    missing_library,
    offspring_of,
    wait_until_gone,
)
from devstack.settings import StackSettings

Progress = Callable[[str, float], None]

_READY_SECONDS = 60.0
_POLL_SECONDS = 0.03
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
# A part that ran this long before it crashed begins again with the shortest pause.
_HEALTHY_SECONDS = 15.0
_TRANSIENT_TRIES = 25
# Ports of each part, by their names in `Ports`.
_PORTS_OF = {
    "postgres": ("postgres",),
    "temporal": ("temporal", "temporal_ui"),
    "stripe": ("stripe_standin",),
    "lms": ("lms_standin",),
    "payout": ("payout",),
    "gateway": ("gateway",),
}
_LAST = ("postgres", "temporal")


class Stack:
    """One embedded stack: an async context manager, or `start` and `stop`."""

    def __init__(
        self, settings: StackSettings, *, parts: frozenset[str] | None = None, log: LogSink | None = None
    ) -> None:
        chosen = ALL_PARTS if parts is None else parts
        if unknown := chosen - ALL_PARTS:
            raise ValueError(f"unknown parts: {sorted(unknown)}")
        if settings.external is not None:
            chosen -= {"postgres", "temporal"}
        self.settings = settings
        self.log = log or LogSink()
        self.layout = DataDir(settings.data_dir)
        self.env: dict[str, str] = {}
        self.urls: StackUrls
        self.credentials: Credentials
        self._chosen = chosen
        self._services: dict[str, Service] = {}
        self._jobs: dict[str, Job] = {}
        self._ready: dict[str, asyncio.Event] = {}
        self._children: dict[str, ChildProcess] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._started_at: dict[str, float] = {}
        self._crashes: dict[str, int] = {}
        self._starting: list[asyncio.Task[None]] = []
        self._end = asyncio.Event()
        self._failure: StackError | None = None
        self._stopping = False
        self._held = contextlib.ExitStack()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self, on_progress: Progress | None = None) -> None:
        """Start all parts, each as soon as what it needs is ready; on failure nothing stays behind."""
        try:
            self._set_up()
            await self._start_parts(on_progress or (lambda name, seconds: None))
        except BaseException:
            await self.stop()
            raise

    def _set_up(self) -> None:
        self.layout.create()
        self._held.enter_context(self.layout.locked())
        self.log.open(self.layout.logs)
        if leftovers := end_leftovers(self.layout.run):
            self.log.note(f"ended what an earlier run left behind: {', '.join(leftovers)}")
        self.credentials = Credentials.load_or_generate(self.layout.credentials)
        postgres = self._postgres() if self.settings.external is None else None
        servers = servers_of(self.settings, postgres)
        self.urls = urls_of(self.settings, servers)
        self.env = product_environment(self.settings, self.credentials, servers, self.urls)
        self._write_product_settings()
        build = PartsBuilder(self.settings, self.layout, self.credentials, self.urls, self.env, self.log)
        services = [*build.standins(), *build.product()]
        if postgres is not None:
            services += [build.postgres(postgres), build.temporal()]
        self._services = {service.name: service for service in services if service.name in self._chosen}
        self._jobs = {job.name: job for job in build.jobs() if job.name in self._chosen}
        self._ready = {name: asyncio.Event() for name in (*self._services, *self._jobs)}
        names = [port for part in self._services for port in _PORTS_OF.get(part, ())]
        require_free({name: getattr(self.settings.ports, name) for name in names})

    def _write_product_settings(self) -> None:
        names = {name.upper() for name in Settings.model_fields}
        lines = [f"{name}='{value}'\n" for name, value in sorted(self.env.items()) if name in names]
        self.layout.product_settings.touch(mode=0o600)
        self.layout.product_settings.write_text("".join(lines), encoding="utf-8")

    def _postgres(self) -> Postgres:
        account = account_for_postgres(self.layout.postgres)
        return Postgres(
            home=self.layout.postgres_home(account),
            port=self.settings.ports.postgres,
            passwords=self.credentials.database,
            account=account,
            durable=self.settings.durable,
        )

    async def _start_parts(self, on_progress: Progress) -> None:
        parts: list[Service | Job] = [*self._services.values(), *self._jobs.values()]
        tasks = [asyncio.create_task(self._start_part(part, on_progress)) for part in parts]
        self._starting = tasks
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            if self._failure is not None:
                raise self._failure
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start_part(self, part: Service | Job, on_progress: Progress) -> None:
        for need in part.needs:
            if need in self._ready:
                await self._ready[need].wait()
        began = time.monotonic()
        if isinstance(part, Service):
            await self._bring_up(part)
            self._watch(part)
        else:
            await self._run_job(part)
        self._ready[part.name].set()
        on_progress(part.name, time.monotonic() - began)

    async def _run_job(self, job: Job) -> None:
        try:
            await job.run()
        except Exception as error:
            raise StackError(f"{job.name} failed: {type(error).__name__}: {error}") from error

    async def _bring_up(self, service: Service) -> None:
        """Start a part and wait until it is ready."""
        self.log.hush(service.name, on=service.critical)
        for _ in range(_TRANSIENT_TRIES):
            if service.prepare is not None:
                await service.prepare()
            child = await ChildProcess.start(service.command, self.log, self.layout.run)
            self._children[service.name] = child
            self._started_at[service.name] = time.monotonic()
            if await self._becomes_ready(service, child):
                break
            if service.transient is None or not self._said(service.name, service.transient):
                raise self._did_not_start(service, child)
            await asyncio.sleep(0.2)
        else:
            raise self._did_not_start(service, child)
        if service.bootstrap is not None:
            await service.bootstrap()
        self.log.hush(service.name, on=False)

    async def _becomes_ready(self, service: Service, child: ChildProcess) -> bool:
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if child.exit_code is not None:
                await child.wait()
                return False
            if await service.is_ready():
                return True
            await asyncio.sleep(_POLL_SECONDS)
        await child.stop(at_once=True)
        self.log.line(service.name, f"was not ready after {_READY_SECONDS:.0f} s")
        return False

    def _said(self, name: str, words: str) -> bool:
        return any(words in line for line in self.log.recent(name))

    def _did_not_start(self, service: Service, child: ChildProcess) -> StackError:
        lines = self.log.recent(service.name)
        if library := missing_library(lines):
            return MissingProgramError(
                f"{service.name} needs the library {library}, which this system lacks; install it"
            )
        said = "".join(f"\n  {line}" for line in lines)
        how = explain_exit(child.exit_code) if child.exit_code is not None else "still running"
        return StackError(
            f"{service.name} did not start ({how}); its last words:{said or ' none'}"
            f"\nthe whole log: {self.layout.logs / service.name}.log"
        )

    def _watch(self, service: Service) -> None:
        self._watchers[service.name] = asyncio.create_task(self._keep_up(service))

    async def _keep_up(self, service: Service) -> None:
        """Wait for the end of a part, which nobody asked for, and deal with it."""
        while True:
            code = await self._children[service.name].wait()
            reason = f"{service.name} ended by itself ({explain_exit(code)})"
            if service.critical:
                said = "".join(f"\n  {line}" for line in self.log.recent(service.name, 4))
                self._fail(StackError(f"{reason}; the stack can't go on without it. Its last words:{said}"))
                return
            await self._revive(service, reason)

    async def _revive(self, service: Service, reason: str) -> None:
        while True:
            if time.monotonic() - self._started_at[service.name] > _HEALTHY_SECONDS:
                self._crashes[service.name] = 0
            crashes = self._crashes.get(service.name, 0)
            self._crashes[service.name] = crashes + 1
            pause = _BACKOFF_SECONDS[min(crashes, len(_BACKOFF_SECONDS) - 1)]
            self.log.note(f"{reason}; starting it again in {pause} s")
            await asyncio.sleep(pause)
            try:
                await self._bring_up(service)
            except StackError as error:
                reason = str(error)
                continue
            self.log.note(f"{service.name} is back")
            return

    def _fail(self, error: StackError) -> None:
        self._failure = self._failure or error
        self._end.set()
        for task in self._starting:
            task.cancel()

    def request_stop(self) -> None:
        """Let `run_until_stopped` return."""
        self._end.set()

    async def run_until_stopped(self) -> None:
        """Wait until somebody asks for the end; StackError when the stack can't go on."""
        await self._end.wait()
        if self._failure is not None:
            raise self._failure

    def pid(self, part: str) -> int:
        """The process id of a running part."""
        return self._children[part].pid

    def is_running(self, part: str) -> bool:
        """Whether the process of a part lives."""
        return part in self._children and self._children[part].exit_code is None

    async def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a part and wait for its end; it stays down until `restart`."""
        child = self._children[part]
        if number in {signal.SIGSTOP, signal.SIGCONT}:
            child.send(number)
            return
        await self._release(part)
        offspring = offspring_of(child.pid)
        child.send(number)
        await child.wait()
        await wait_until_gone(offspring)

    async def restart(self, part: str) -> None:
        """Start a part again, after stopping it when it still runs."""
        await self._release(part)
        await self._children[part].stop()
        service = self._services[part]
        await self._bring_up(service)
        self._watch(service)

    async def _release(self, part: str) -> None:
        """No longer watch a part: what happens to it now is wanted."""
        if watcher := self._watchers.pop(part, None):
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)

    async def stop(self) -> None:
        """Stop everything: first what serves, then Temporal and PostgreSQL. Can be called again."""
        if self._stopping:
            return
        self._stopping = True
        self._end.set()
        for part in list(self._watchers):
            await self._release(part)
        for name in _LAST:
            self.log.hush(name, on=True)
        for first in (True, False):
            stage = [child for name, child in self._children.items() if (name not in _LAST) is first]
            await asyncio.gather(*(child.stop() for child in stage))
        self._held.close()
        self.log.close()

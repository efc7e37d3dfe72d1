"""The parts of the stack: what runs, what it needs first, and when it is ready."""

import asyncio
import importlib
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from devstack.credentials import Credentials
from devstack.environment import StackUrls, uses_real_lms, uses_real_stripe
from devstack.logs import LogSink
from devstack.loopback import ask
from devstack.paths import DataDir
from devstack.ports import LOOPBACK, free_ports
from devstack.postgres import Postgres
from devstack.processes import Command
from devstack.settings import StackSettings
from devstack.temporal import Temporal

ALL_PARTS = frozenset(
    {"postgres", "temporal", "migrations", "seed", "stripe", "lms", "payout", "gateway", "worker"}
)
_WORKER_GRACE_SECONDS = 3.5


@dataclass(frozen=True)
class Service:
    """A part that keeps running."""

    name: str
    command: Command
    is_ready: Callable[[], Awaitable[bool]]
    needs: tuple[str, ...] = ()
    # The stack can't go on without it, and its data must be looked after: it is not simply started again.
    critical: bool = False
    prepare: Callable[[], Awaitable[None]] | None = None
    bootstrap: Callable[[], Awaitable[None]] | None = None
    # Words in its output that mean: try again in a moment.
    transient: str | None = None


@dataclass(frozen=True)
class Job:
    """A part that runs once at the start."""

    name: str
    run: Callable[[], Awaitable[None]]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class PartsBuilder:
    """Builds the parts of one stack."""

    settings: StackSettings
    layout: DataDir
    credentials: Credentials
    urls: StackUrls
    env: Mapping[str, str]
    log: LogSink

    def postgres(self, postgres: Postgres) -> Service:
        """The database server."""

        async def prepare() -> None:
            await postgres.prepare(self.log)

        return Service(
            "postgres",
            postgres.command(),
            postgres.is_ready,
            critical=True,
            prepare=prepare,
            bootstrap=postgres.bootstrap,
            # After a kill -9 the last of its processes may live for a moment longer.
            transient="still in use",
        )

    def temporal(self) -> Service:
        """The Temporal dev server."""
        ports = self.settings.ports
        server = Temporal(
            self.layout.temporal,
            ports.temporal,
            free_ports(1)[0],
            ports.temporal_ui,
            codec_url=f"{self.urls.gateway}/codec",
        )
        return Service(
            "temporal", server.command(), server.is_ready, critical=True, bootstrap=server.bootstrap
        )

    def jobs(self) -> list[Job]:
        """Migrations, then the seed."""
        return [
            Job("migrations", self._migrate, needs=("postgres",)),
            Job("seed", self._seed, needs=("migrations",)),
        ]

    async def _migrate(self) -> None:
        def migrate() -> None:
            importlib.import_module("migrations").upgrade(self.urls.owner_url)

        await asyncio.to_thread(migrate)

    async def _seed(self) -> None:
        def seed() -> None:
            # In a loop of its own: a seed that computes must not keep the logs of the others waiting.
            seeding = importlib.import_module("devstack.seed").seed(
                self.urls.database_url,
                payout_url=self.urls.payout,
                payout_secret=self.credentials.payout_receiver_secret,
                secrets_key=self.env["SECRETS_KEY"],
            )
            asyncio.run(seeding)

        await asyncio.to_thread(seed)

    def standins(self) -> list[Service]:
        """Stand-ins of what the environment doesn't name for real."""
        ports, credentials = self.settings.ports, self.credentials
        found = []
        if not uses_real_stripe(self.settings.environment):
            signing = ("--webhook-secret", credentials.stripe_webhook_secret)
            found.append(self._standin("stripe", "stripe_standin", ports.stripe_standin, *signing))
        if not uses_real_lms(self.settings.environment):
            signing = ("--webhook-secret", credentials.lms_webhook_secret)
            # One word: a token may begin with a dash.
            arguments = (*signing, f"--token={credentials.lms_token}")
            found.append(self._standin("lms", "lms_standin", ports.lms_standin, *arguments))
        secret = self.env["PAYOUT_WEBHOOK_SECRET"].split(",")[0].strip()
        checking = ("--secret", credentials.payout_receiver_secret)
        found.append(
            self._standin("payout", "payout_receiver", ports.payout, *checking, "--webhook-secret", secret)
        )
        return found

    def _standin(self, name: str, module: str, port: int, *arguments: str) -> Service:
        argv = (
            *(sys.executable, "-m", f"devstack.{module}", "--port", str(port)),
            *("--data-dir", str(self.layout.standin(name))),
            *("--webhook-url", f"{self.urls.gateway}/v1/webhooks/{name}"),
            *arguments,
        )

        async def ready() -> bool:
            return (await ask(port, "/healthz"))[0] == 200

        return Service(name, self._product_command(name, argv), ready)

    def product(self) -> list[Service]:
        """Gateway and worker."""
        port, ready_file = self.settings.ports.gateway, self.layout.run / "worker.ready"
        uvicorn = (
            *(sys.executable, "-m", "uvicorn", "api.main:create_app", "--factory"),
            *("--host", LOOPBACK, "--port", str(port), "--timeout-graceful-shutdown", "2", "--no-use-colors"),
            # A client that keeps a connection for less never finds it just closed.
            *("--timeout-keep-alive", "75"),
        )
        worker = (sys.executable, str(self.settings.project / "worker.py"))
        needs = ("migrations", "temporal")

        async def gateway_ready() -> bool:
            # Not /readyz: that also speaks for the LMS and the processor, which tests take down.
            return (await ask(port, "/healthz"))[0] == 200

        async def forget_ready_file() -> None:
            ready_file.unlink(missing_ok=True)

        async def worker_ready() -> bool:
            return ready_file.exists()

        return [
            Service("gateway", self._product_command("gateway", uvicorn), gateway_ready, needs),
            Service(
                "worker",
                self._product_command("worker", worker, {"WORKER_READY_FILE": str(ready_file)}),
                worker_ready,
                needs,
                prepare=forget_ready_file,
            ),
        ]

    def _product_command(
        self, name: str, argv: tuple[str, ...], extra: Mapping[str, str] | None = None
    ) -> Command:
        return Command(
            name=name,
            argv=self.settings.commands.get(name, argv),
            env={**self.env, **(extra or {})},
            cwd=self._working_dir(),
            stop_grace_seconds=_WORKER_GRACE_SECONDS,
        )

    def _working_dir(self) -> Path:
        return self.settings.working_dir or self.settings.project

"""PostgreSQL from the wheel as our own child process."""

import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from devstack.accounts import Account
from devstack.binaries import postgres_programs
from devstack.credentials import DatabasePasswords
from devstack.errors import MissingProgramError, StackError
from devstack.logs import LogSink
from devstack.ports import LOOPBACK
from devstack.processes import Command, missing_library, run_to_end

DATABASE = "commerce"
OWNER_ROLE = "commerce_owner"
APP_ROLE = "commerce_app"
SUPERUSER = "postgres"

# The line of `postmaster.pid` that holds the server's state, as pg_ctl reads it.
_STATUS_LINE = 7

# For tests only: all of this may be lost in a crash of the machine, its passwords guard nothing, so that a
# connection, of which tests open thousands, need not cost ten milliseconds of hashing, and its databases are
# dropped before they want cleaning.
_NOT_DURABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "scram_iterations": "1",
    "autovacuum": "off",
}


@dataclass(frozen=True)
class Postgres:
    """How one database server is made, started and reached."""

    home: Path
    port: int
    passwords: DatabasePasswords
    account: Account | None = None
    durable: bool = True
    max_connections: int = 200

    @property
    def data(self) -> Path:
        """The directory of the database cluster."""
        return self.home / "data"

    def url(self, role: str, database: str = DATABASE) -> str:
        """The address of a database for SQLAlchemy."""
        return f"postgresql+psycopg://{role}:{self.passwords.of(role)}@{LOOPBACK}:{self.port}/{database}"

    def conninfo(self, role: str = SUPERUSER, database: str = "postgres") -> str:
        """The address of a database for psycopg."""
        return self.url(role, database).replace("postgresql+psycopg", "postgresql", 1)

    def command(self) -> Command:
        """The server."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            # TCP alone: the path of a socket may be at most 107 bytes long, and a clone may lie deep.
            "unix_socket_directories": "",
            "max_connections": str(self.max_connections),
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "",
            "log_checkpoints": "off",
            "jit": "off",
        } | ({} if self.durable else _NOT_DURABLE)
        arguments = [item for name, value in settings.items() for item in ("-c", f"{name}={value}")]
        return Command(
            name="postgres",
            argv=(
                str(postgres_programs(self.account, self.home) / "postgres"),
                "-D",
                str(self.data),
                *arguments,
            ),
            env=_environment(),
            cwd=self.home,
            account=self.account,
            stop_signal=signal.SIGINT,  # "Fast": ends sessions, writes a checkpoint.
            death_signal=signal.SIGQUIT,  # "Immediate": ends now and recovers at the next start.
            stop_grace_seconds=3.0,
        )

    async def prepare(self, log: LogSink) -> None:
        """Make the cluster when there is none, and clear away what a crash left."""
        if not (self.data / "PG_VERSION").exists():
            await self._create(log)
        elif not (self.data / "global" / "pg_control").exists():
            raise StackError(
                f"the database in {self.data} is damaged (files are missing); `make clean` starts afresh"
            )
        self._drop_stale_pid_file()

    async def _create(self, log: LogSink) -> None:
        password_file = self.home / "initdb-password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.passwords.superuser, encoding="utf-8")
        if self.account is not None:
            os.chown(password_file, self.account.uid, self.account.gid)
        quiet_log = LogSink()
        program = str(postgres_programs(self.account, self.home) / "initdb")
        sync = () if self.durable else ("--no-sync", "-c", "scram_iterations=1")
        options = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        auth = (f"--username={SUPERUSER}", "--auth=scram-sha-256", f"--pwfile={password_file}")
        # An unfinished one from a killed launcher must not count as a database: it gets its name at the end.
        unfinished = self.home / "unfinished"
        command = Command(
            name="initdb",
            argv=(program, "-D", str(unfinished), *auth, *options, "--no-instructions", *sync),
            env=_environment(),
            cwd=self.home,
            account=self.account,
        )
        if unfinished.exists():
            shutil.rmtree(unfinished)
        code = await run_to_end(command, quiet_log)
        password_file.unlink(missing_ok=True)
        if code != 0:
            raise self._initdb_failed(quiet_log.recent("initdb", 20))
        unfinished.rename(self.data)
        log.line("postgres", f"made a new database cluster in {self.data}", quiet=True)

    def _initdb_failed(self, lines: list[str]) -> StackError:
        if library := missing_library(lines):
            return MissingProgramError(
                f"PostgreSQL needs the library {library}, which this system lacks;"
                f" install the package that holds it (for libz.so.1: zlib1g or zlib)"
            )
        return StackError("PostgreSQL's initdb failed:\n" + "\n".join(f"  {line}" for line in lines))

    def _drop_stale_pid_file(self) -> None:
        """Remove the lock file of a server that is gone.

        PostgreSQL does so itself unless the process id was given to another process meanwhile,
        as happens after a crash of the machine; then it would refuse to start.
        """
        path = self.data / "postmaster.pid"
        try:
            pid = int(path.read_text(encoding="utf-8").split("\n", 1)[0])
            process = psutil.Process(pid)
            serving = process.name() == "postgres" and str(self.data) in process.cmdline()
        except (OSError, ValueError, psutil.Error):
            serving = False
        if serving:
            raise StackError(f"a PostgreSQL server (pid {pid}) already runs on {self.data}; stop it first")
        path.unlink(missing_ok=True)

    async def is_ready(self) -> bool:
        """Whether it takes connections."""
        if not self._says_ready():
            return False
        try:
            async with await psycopg.AsyncConnection.connect(self.conninfo(), connect_timeout=2):
                return True
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise StackError(
                    f"the database in {self.data} does not take the stored password;"
                    " credentials.json was changed or lost, `make clean` starts afresh"
                ) from None
            return False

    def _says_ready(self) -> bool:
        # Asked first, because each connection that comes too early leaves a FATAL line in the log.
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"

    async def bootstrap(self) -> None:
        """Make roles and database where they are missing."""
        async with await psycopg.AsyncConnection.connect(self.conninfo(), autocommit=True) as connection:
            for role in (OWNER_ROLE, APP_ROLE):
                found = await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
                if await found.fetchone() is None:
                    create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
                    await connection.execute(create.format(sql.Identifier(role), self.passwords.of(role)))
            found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if await found.fetchone() is None:
                for statement in creation(DATABASE):
                    await connection.execute(statement)


def creation(name: str, template: str = "template0") -> list[sql.Composed]:
    """Statements that make a database which the owner role owns and the application role may only enter."""
    database, owner, app = sql.Identifier(name), sql.Identifier(OWNER_ROLE), sql.Identifier(APP_ROLE)
    # As files: the other way writes all of it to the log first.
    create = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY file_copy")
    return [
        create.format(database, owner, sql.Identifier(template)),
        sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database),
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, app),
    ]


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"LC_ALL": "C"}

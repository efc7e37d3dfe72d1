"""What all commands share: where they print, settings, and what becomes of errors."""

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import CommerceError

if TYPE_CHECKING:
    from config import LmsSettings, Settings
    from models.database import Session

T = TypeVar("T")


# Wider than any table: what is read by no terminal is not cut.
_NO_BOUND = 10_000


def new_console() -> Console:
    """Standard output; what goes into a file or a pipe has no width, so its lines are not wrapped."""
    return Console(soft_wrap=not sys.stdout.isatty())


console = new_console()

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


def table_of(id_column: str, *columns: str) -> Table:
    """An empty table for `show`. Ids are pasted into other commands: they are never cut or wrapped."""
    table = Table()
    table.add_column(id_column, no_wrap=True)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def show(table: Table, where: Console = console) -> None:
    """Print it: as wide as it needs to be where there is no terminal, and wider than one for the ids."""
    needed = where.measure(table, options=where.options.update(max_width=_NO_BOUND))
    fitting = needed.maximum if where.soft_wrap else min(needed.maximum, where.width)
    table.width = max(fitting, needed.minimum)
    where.print(table, crop=False, soft_wrap=False)


def _of_embedded_stack() -> Path:
    return Path(os.environ.get("COMMERCE_DATA_DIR", ".commerce")) / "run" / "product.env"


def _refused(error: ValidationError) -> typer.Exit:
    sys.stderr.write(f"commerce: settings are missing or wrong: {problems(error)}\n")
    sys.stderr.write("Set them (docs/operations.md), or run this beside `make demo` or `make dev`.\n")
    return typer.Exit(1)


def lms_settings() -> "LmsSettings":
    """Those of the LMS alone, from the environment or `.env`; where none are, the embedded stack's."""
    from config import LmsSettings

    embedded = _of_embedded_stack()
    try:
        return LmsSettings()
    except ValidationError as error:
        given = any(name.startswith("LMS_") and value for name, value in os.environ.items())
        if given or not embedded.exists() or problems(error) != "LMS_BASE_URL":
            raise _refused(error) from error
    try:
        return LmsSettings(_env_file=embedded)
    except ValidationError as error:
        raise _refused(error) from error


def product_settings() -> "Settings":
    """Settings from the environment, or those of the embedded stack of this directory."""
    from config import Settings

    embedded = _of_embedded_stack()
    try:
        if "DATABASE_URL" not in os.environ and embedded.exists():
            return Settings(_env_file=embedded)
        return Settings()
    except ValidationError as error:
        raise _refused(error) from error


def done(work: Coroutine[Any, Any, T]) -> T:
    """The result of the work; a clear message and exit code 1 when a system that it needs is away."""
    try:
        return asyncio.run(work)
    except CommerceError as error:
        sys.stderr.write(f"commerce: {error.detail or error.code}\n")
    except SQLAlchemyError as error:
        sys.stderr.write(f"commerce: the database at DATABASE_URL: {str(error).splitlines()[0]}\n")
    except RuntimeError as error:
        if "connect" not in str(error):
            raise
        sys.stderr.write(f"commerce: Temporal at TEMPORAL_ADDRESS can't be reached: {error}\n")
    raise typer.Exit(1)


def problems(error: ValidationError) -> str:
    """What is wrong with the settings, without their values."""
    return "; ".join(
        ".".join(map(str, problem["loc"])).upper() or problem["msg"].removeprefix("Value error, ")
        for problem in error.errors()
    )


def in_database(work: "Callable[[Session], Awaitable[T]]") -> T:
    """Do it in one transaction, as the application."""
    from models.database import Database

    async def run(url: str) -> T:
        database = Database(url, pool_size=1)
        try:
            async with database.transaction() as session:
                return await work(session)
        finally:
            await database.aclose()

    return done(run(product_settings().database_url.get_secret_value()))


async def logged(
    session: "Session", action: str, *subjects: str, request: dict[str, Any], reason: str | None = None
) -> None:
    """Who runs a command has the powers of an operator, so it is logged as theirs are."""
    from models.queries import audit

    done = audit.Action("command", getpass.getuser(), action, subjects, request=request, reason=reason)
    await audit.add(session, done)

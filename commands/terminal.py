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
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import CommerceError

if TYPE_CHECKING:
    from config import Settings
    from models.database import Session

T = TypeVar("T")


console = Console()

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


def product_settings() -> "Settings":
    """Settings from the environment, or those of the embedded stack of this directory."""
    from config import Settings

    embedded = Path(os.environ.get("COMMERCE_DATA_DIR", ".commerce")) / "run" / "product.env"
    try:
        if "DATABASE_URL" not in os.environ and embedded.exists():
            return Settings(_env_file=embedded)
        return Settings()
    except ValidationError as error:
        sys.stderr.write(f"commerce: settings are missing or wrong: {problems(error)}\n")
        sys.stderr.write("Set them (docs/operations.md), or run this beside `make demo` or `make dev`.\n")
        raise typer.Exit(1) from error


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

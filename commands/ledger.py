"""The ledger, for an accountant's own tools."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console

from commands.terminal import done, product_settings

app = typer.Typer(no_args_is_help=True, help="The ledger.")


class LedgerFormat(StrEnum):
    """What an export is written for."""

    CSV = "csv"
    BEANCOUNT = "beancount"
    LEDGER = "ledger"


@app.command("export")
def ledger_export(
    since: Annotated[
        datetime | None, typer.Option("--from", help="UTC; from the start when left out.")
    ] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="UTC, excluded; to the end.")] = None,
    form: Annotated[LedgerFormat, typer.Option("--format")] = LedgerFormat.CSV,
    output: Annotated[Path | None, typer.Option(help="A file, instead of standard output.")] = None,
) -> None:
    """Write journal entries, by effective time, for an accountant's own tools."""
    from api.ledger_export import export_ledger
    from integrations.journal_export import ExportFormat
    from models.database import Database

    async def write(target: TextIO, progress: Callable[[int], None]) -> None:
        database = Database(product_settings().database_url.get_secret_value(), pool_size=1)
        first, last = (None if at is None else at.replace(tzinfo=at.tzinfo or UTC) for at in (since, until))
        size = 0
        try:
            async for piece in export_ledger(database, ExportFormat(form.value), since=first, until=last):
                target.write(piece)
                size += len(piece)
                progress(size)
        finally:
            await database.aclose()

    with Console(stderr=True).status("exporting") as status, ExitStack() as files:
        target = (
            sys.stdout
            if output is None
            else files.enter_context(output.open("w", encoding="utf-8", newline=""))
        )
        done(write(target, lambda size: status.update(f"exporting, {size // 1000} kB")))

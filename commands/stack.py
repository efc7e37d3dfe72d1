"""The embedded stack: started, sold on, tried, removed. The other commands do without the devstack."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from commands.terminal import console, done, product_settings


def dev(reload: Annotated[bool, typer.Option(help="Restart gateway and worker on changes.")] = False) -> None:
    """Start the embedded stack and serve until Ctrl-C."""
    from devstack.commands import run_dev

    raise typer.Exit(asyncio.run(run_dev(reload=reload)))


def demo(once: Annotated[bool, typer.Option(help="End after the story.")] = False) -> None:
    """Start the embedded stack, sell courses end to end, then keep serving."""
    from devstack.commands import run_demo

    raise typer.Exit(asyncio.run(run_demo(once=once)))


def clean() -> None:
    """Remove the embedded stack's data."""
    from devstack.commands import remove_data

    remove_data()


def seed() -> None:
    """Fill the catalogue with the demo's items (development only)."""
    from devstack.seed import seed as seed_catalogue

    settings = product_settings()
    if settings.commerce_env == "production":
        console.print("[red]seed is for development; COMMERCE_ENV is production[/red]")
        raise typer.Exit(1)
    done(seed_catalogue(settings.database_url.get_secret_value()))


def chaos(
    rounds: Annotated[int, typer.Option(help="Purchases, each with a crash in it.")] = 50,
    seed: Annotated[int | None, typer.Option(help="Run the same crashes again.")] = None,
) -> None:
    """Kill parts of an embedded stack of its own during purchases, then ask the oracle."""
    from devstack.chaos import run_chaos

    raise typer.Exit(asyncio.run(run_chaos(rounds=rounds, seed=seed)))


def bench(
    seconds: Annotated[float, typer.Option(help="How long each load lasts.")] = 10,
    write: Annotated[Path | None, typer.Option(help="Write the figures into this file.")] = None,
) -> None:
    """Measure checkout and fulfilment on an embedded stack of its own."""
    from devstack.bench import run_bench

    raise typer.Exit(asyncio.run(run_bench(seconds=seconds, write=write)))

"""Outbound events, sent again."""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from commands.terminal import JsonOption, console, done, in_database, logged, product_settings
from domain.errors import CommerceError

app = typer.Typer(no_args_is_help=True, help="Outbound events.")


@app.command("replay")
def replay_events(
    endpoint: Annotated[str, typer.Option(help="The webhook endpoint's id.")],
    since: Annotated[datetime, typer.Option(help="UTC, as in 2026-11-23T06:00:00.")],
    only_undelivered: Annotated[bool, typer.Option(help="Leave out what was taken already.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send an endpoint all events since a moment again, each stream in its order."""
    from commands.live_system import replay_with

    settings = product_settings()
    asked = {"since": since.isoformat(), "only_undelivered": only_undelivered}
    with console.status("sending again") as status:
        try:
            in_database(lambda session: logged(session, "events replay", str(UUID(endpoint)), request=asked))
            events = done(
                replay_with(
                    settings,
                    str(UUID(endpoint)),
                    since.replace(tzinfo=since.tzinfo or UTC),
                    only_undelivered=only_undelivered,
                    progress=lambda done: status.update(f"{done} events are on their way"),
                )
            )
        except (CommerceError, ValueError) as error:
            sys.stderr.write(f"commerce: {error}\n")
            raise typer.Exit(1) from error
    if as_json:
        sys.stdout.write(json.dumps({"endpoint_id": endpoint, "events": events}) + "\n")
    else:
        console.print(f"{events} events are on their way to {endpoint} again.")

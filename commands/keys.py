"""API keys of machines."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from commands.terminal import JsonOption, console, in_database, logged, show, table_of
from domain.errors import CommerceError
from domain.scopes import parse_scopes

if TYPE_CHECKING:
    from models.database import Session
    from models.queries.api_keys import ApiKeyRow


app = typer.Typer(no_args_is_help=True, help="API keys of machines.")


@app.command("create")
def create_api_key(
    name: Annotated[str, typer.Option(help="Whose key it is.")],
    scopes: Annotated[str, typer.Option(help="What it may do: `webhooks:read,webhooks:write`.")],
    days: Annotated[int | None, typer.Option(min=1, help="End it after so many days.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is shown now and never again."""
    from api.tokens import new_api_key
    from models.queries import api_keys

    try:
        wanted = parse_scopes(scopes)
    except CommerceError as error:
        sys.stderr.write(f"commerce: {error}\n")
        raise typer.Exit(1) from error
    key, key_hash, hint = new_api_key()
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)

    async def keep(session: "Session") -> "ApiKeyRow":
        row = await api_keys.insert(
            session, name=name, hint=hint, key_hash=key_hash, scopes=wanted, expires_at=expires_at
        )
        await logged(session, "apikey create", row.id, request={"name": name, "scopes": list(wanted)})
        return row

    row = in_database(keep)
    if as_json:
        sys.stdout.write(json.dumps({"id": row.id, "key": key, "scopes": list(row.scopes)}) + "\n")
        return
    console.print(f"Key {row.id} of {name} for {', '.join(row.scopes)}. Keep it now, it is not shown again:")
    sys.stdout.write(key + "\n")


@app.command("list")
def list_api_keys(as_json: JsonOption = False) -> None:
    """All keys: whose, for what, last used when."""
    from models.queries import api_keys

    rows = in_database(api_keys.listed)
    if as_json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows], default=str) + "\n")
        return
    table = table_of("id", "name", "key", "scopes", "last used", "ends")
    for row in rows:
        ends = f"revoked {row.revoked_at:%F %T}" if row.revoked_at else row.expires_at
        used = f"{row.last_used_at:%F %T}" if row.last_used_at else "never"
        table.add_row(row.id, row.name, f"{row.hint}...", " ".join(row.scopes), used, str(ends or ""))
    show(table)


@app.command("revoke")
def revoke_api_key(key_id: Annotated[str, typer.Argument(help="The key's id, as `list` shows it.")]) -> None:
    """End a key at once."""
    from models.queries import api_keys

    async def end(session: "Session") -> bool:
        ended = await api_keys.revoke(session, str(UUID(key_id)))
        if ended:
            await logged(session, "apikey revoke", str(UUID(key_id)), request={})
        return ended

    try:
        found = in_database(end)
    except ValueError:
        found = False
    if not found:
        sys.stderr.write(f"commerce: there is no key {key_id}\n")
        raise typer.Exit(1)
    console.print(f"Key {key_id} is no longer good.")

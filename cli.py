"""The `commerce` command (composition root)."""

import asyncio
import getpass
import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, TypeVar
from uuid import UUID

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import CommerceError, NotFound
from domain.scopes import parse_scopes

if TYPE_CHECKING:
    from activities.seals import Anchor
    from config import Settings
    from models.database import Session
    from models.queries.api_keys import ApiKeyRow
    from models.queries.people import UserRow

T = TypeVar("T")

app = typer.Typer(
    # A pretty traceback shows the values of variables, secrets among them.
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    help="Run and check Commerce.",
)
console = Console()

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


def _settings() -> "Settings":
    """Settings from the environment, or those of the embedded stack of this directory."""
    from config import Settings  # noqa: PLC0415

    embedded = Path(os.environ.get("COMMERCE_DATA_DIR", ".commerce")) / "run" / "product.env"
    try:
        if "DATABASE_URL" not in os.environ and embedded.exists():
            return Settings(_env_file=embedded)
        return Settings()
    except ValidationError as error:
        sys.stderr.write(f"commerce: settings are missing or wrong: {_problems(error)}\n")
        sys.stderr.write("Set them (docs/operations.md), or run this beside `make demo` or `make dev`.\n")
        raise typer.Exit(1) from error


def _done(work: Coroutine[Any, Any, T]) -> T:
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


def _problems(error: ValidationError) -> str:
    """What is wrong with the settings, without their values."""
    return "; ".join(
        ".".join(map(str, problem["loc"])).upper() or problem["msg"].removeprefix("Value error, ")
        for problem in error.errors()
    )


lms_app = typer.Typer(no_args_is_help=True, help="The LMS.")
app.add_typer(lms_app, name="lms")


@lms_app.command("check")
def lms_check() -> None:
    """Say whether the LMS can be reached and takes our token; needs only the LMS_* settings."""
    from config import LmsSettings  # noqa: PLC0415
    from integrations.http import make_http_client  # noqa: PLC0415
    from integrations.lms import make_lms  # noqa: PLC0415

    async def check(settings: LmsSettings) -> bool:
        async with make_http_client() as http:
            found = await make_lms(settings.lms_access, http).check()
            hint = "" if found.setting is None else f" (look at {found.setting})"
            console.print(f"{found.address}: {found.detail}{hint}", markup=False, soft_wrap=True)
            for what in found.not_checked:
                console.print(f"not checked: {what}", markup=False, soft_wrap=True)
            return found.ok

    try:
        settings = LmsSettings()
        good = _done(check(settings))
    except ValidationError as error:
        sys.stderr.write(f"commerce: settings are missing or wrong: {_problems(error)}\n")
        raise typer.Exit(1) from error
    raise typer.Exit(0 if good else 1)


@app.command()
def dev(reload: Annotated[bool, typer.Option(help="Restart gateway and worker on changes.")] = False) -> None:
    """Start the embedded stack and serve until Ctrl-C."""
    from devstack.commands import run_dev  # noqa: PLC0415 - the product commands do without the devstack

    raise typer.Exit(asyncio.run(run_dev(reload=reload)))


@app.command()
def demo(once: Annotated[bool, typer.Option(help="End after the story.")] = False) -> None:
    """Start the embedded stack, sell courses end to end, then keep serving."""
    from devstack.commands import run_demo  # noqa: PLC0415

    raise typer.Exit(asyncio.run(run_demo(once=once)))


@app.command()
def clean() -> None:
    """Remove the embedded stack's data."""
    from devstack.commands import remove_data  # noqa: PLC0415

    remove_data()


@app.command()
def api(host: str = "127.0.0.1", port: int = 8000) -> None:
    """Run the gateway alone, from the environment."""
    import uvicorn  # noqa: PLC0415

    uvicorn.run("api.main:create_app", factory=True, host=host, port=port, timeout_keep_alive=75)


@app.command()
def codec(
    gateway: Annotated[str, typer.Option(envvar="PUBLIC_URL", help="The gateway's address.")],
    username: Annotated[str, typer.Option(prompt=True, help="An operator, as the LMS knows them.")],
    ui: Annotated[
        list[str] | None, typer.Option(help="Where the Temporal UI's pages come from; may be repeated.")
    ] = None,
    host: str = "127.0.0.1",
    port: int = 8234,
) -> None:
    """Open histories for a Temporal UI without a sign-in: sign in here, and name this as its codec server."""
    import uvicorn  # noqa: PLC0415

    from api.codec_relay import OperatorSession, make_codec_relay  # noqa: PLC0415
    from integrations.http import make_http_client  # noqa: PLC0415

    origins = tuple(ui or ("http://localhost:8233", "http://127.0.0.1:8233"))
    password = typer.prompt("Password", hide_input=True)

    async def serve() -> None:
        async with make_http_client() as http:
            session = OperatorSession(http, gateway)
            await session.sign_in(username, password)
            console.print(f"Payloads are opened at http://localhost:{port} for {' and '.join(origins)}.")
            relay = make_codec_relay(session, origins)
            config = uvicorn.Config(relay, host=host, port=port, log_level="warning", lifespan="off")
            await uvicorn.Server(config).serve()

    _done(serve())


@app.command()
def worker() -> None:
    """Run the worker alone, from the environment."""
    import worker as product_worker  # noqa: PLC0415

    asyncio.run(product_worker.main())


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema, as its owner."""
    from config import OwnerSettings  # noqa: PLC0415
    from migrations import upgrade  # noqa: PLC0415

    upgrade(OwnerSettings().database_owner_url.get_secret_value())
    console.print("The database is up to date.")


@app.command()
def seed() -> None:
    """Fill the catalogue with the demo's items (development only)."""
    from devstack.seed import seed as seed_catalogue  # noqa: PLC0415

    settings = _settings()
    if settings.commerce_env == "production":
        console.print("[red]seed is for development; COMMERCE_ENV is production[/red]")
        raise typer.Exit(1)
    _done(seed_catalogue(settings.database_url.get_secret_value()))


@app.command()
def verify(
    as_json: JsonOption = False,
    anchor: Annotated[
        str | None, typer.Option(help="BLOCK:HASH of an earlier run, which the ledger's chain must hold.")
    ] = None,
) -> None:
    """Check the invariants on the live database against the processor, the LMS and Temporal."""
    from activities.verification import NOT_CHECKED_YET  # noqa: PLC0415
    from worker import verify_with  # noqa: PLC0415

    settings = _settings()
    remembered = None if anchor is None else _anchor(anchor)
    with console.status("checking") as status:
        report = _done(
            verify_with(settings, lambda name: status.update(f"checking {name}"), anchor=remembered)
        )
    if as_json:
        sys.stdout.write(json.dumps(report.to_dict()) + "\n")
        raise typer.Exit(0 if report.clean else 1)
    for finding in report.findings:
        good = finding.checked and not finding.violations
        console.print(f"{'[green]ok [/]' if good else '[red]OFF[/]'} {finding.name}: {finding.meaning}")
        for violation in finding.violations:
            console.print(f"      {violation}", markup=False, soft_wrap=True)
    for name, why in NOT_CHECKED_YET.items():
        console.print(f"[yellow]--[/]  {name}: not checked yet: {why}")
    console.print(f"The ledger's head: {report.ledger_head}", soft_wrap=True)
    raise typer.Exit(0 if report.clean else 1)


def _anchor(given: str) -> "Anchor":
    from activities.seals import Anchor  # noqa: PLC0415

    block, _, digest = given.partition(":")
    if not block.isdecimal() or len(digest) != 64:
        raise typer.BadParameter("give BLOCK:HASH, as verify prints the ledger's head", param_hint="--anchor")
    return Anchor(int(block), digest)


def _in_database(work: "Callable[[Session], Awaitable[T]]") -> T:
    """Do it in one transaction, as the application."""
    from models.database import Database  # noqa: PLC0415

    async def run(url: str) -> T:
        database = Database(url, pool_size=1)
        try:
            async with database.transaction() as session:
                return await work(session)
        finally:
            await database.aclose()

    return _done(run(_settings().database_url.get_secret_value()))


async def _log(
    session: "Session", action: str, *subjects: str, request: dict[str, Any], reason: str | None = None
) -> None:
    """Who runs a command has the powers of an operator, so it is logged as theirs are."""
    from models.queries import audit  # noqa: PLC0415

    done = audit.Action("command", getpass.getuser(), action, subjects, request=request, reason=reason)
    await audit.add(session, done)


apikey_app = typer.Typer(no_args_is_help=True, help="API keys of machines.")
app.add_typer(apikey_app, name="apikey")


@apikey_app.command("create")
def create_api_key(
    name: Annotated[str, typer.Option(help="Whose key it is.")],
    scopes: Annotated[str, typer.Option(help="What it may do: `webhooks:read,webhooks:write`.")],
    days: Annotated[int | None, typer.Option(min=1, help="End it after so many days.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is shown now and never again."""
    from api.tokens import new_api_key  # noqa: PLC0415
    from models.queries import api_keys  # noqa: PLC0415

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
        await _log(session, "apikey create", row.id, request={"name": name, "scopes": list(wanted)})
        return row

    row = _in_database(keep)
    if as_json:
        sys.stdout.write(json.dumps({"id": row.id, "key": key, "scopes": list(row.scopes)}) + "\n")
        return
    console.print(f"Key {row.id} of {name} for {', '.join(row.scopes)}. Keep it now, it is not shown again:")
    sys.stdout.write(key + "\n")


@apikey_app.command("list")
def list_api_keys(as_json: JsonOption = False) -> None:
    """All keys: whose, for what, last used when."""
    from models.queries import api_keys  # noqa: PLC0415

    rows = _in_database(api_keys.listed)
    if as_json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows], default=str) + "\n")
        return
    table = Table("id", "name", "key", "scopes", "last used", "ends")
    for row in rows:
        ends = f"revoked {row.revoked_at:%F %T}" if row.revoked_at else row.expires_at
        used = f"{row.last_used_at:%F %T}" if row.last_used_at else "never"
        table.add_row(row.id, row.name, f"{row.hint}...", " ".join(row.scopes), used, str(ends or ""))
    console.print(table)


@apikey_app.command("revoke")
def revoke_api_key(key_id: Annotated[str, typer.Argument(help="The key's id, as `list` shows it.")]) -> None:
    """End a key at once."""
    from models.queries import api_keys  # noqa: PLC0415

    async def end(session: "Session") -> bool:
        ended = await api_keys.revoke(session, str(UUID(key_id)))
        if ended:
            await _log(session, "apikey revoke", str(UUID(key_id)), request={})
        return ended

    try:
        found = _in_database(end)
    except ValueError:
        found = False
    if not found:
        sys.stderr.write(f"commerce: there is no key {key_id}\n")
        raise typer.Exit(1)
    console.print(f"Key {key_id} is no longer good.")


role_app = typer.Typer(no_args_is_help=True, help="Roles of persons, beside those that the LMS says.")
app.add_typer(role_app, name="role")


class GivenRole(StrEnum):
    """What can be given: everything else is the LMS's, or a machine's."""

    INSTRUCTOR = "instructor"
    OPERATOR = "operator"


LmsUserOption = Annotated[str, typer.Option(help="Whose; the LMS's id, as `role list --email` shows it.")]
ReasonOption = Annotated[str, typer.Option(help="Why; it stands in the audit log.")]


@role_app.command("give")
def give_role(role: GivenRole, lms_user_id: LmsUserOption, reason: ReasonOption) -> None:
    """Give somebody a role: so the first operator comes to be. It stays whatever the LMS says."""
    from models.queries import people  # noqa: PLC0415

    _change_role("role give", people.give_role, role, lms_user_id, reason)
    console.print(f"User {lms_user_id} of the LMS is {role} from the next access token on (log in again).")


@role_app.command("take")
def take_role(role: GivenRole, lms_user_id: LmsUserOption, reason: ReasonOption) -> None:
    """Take a role that was given. Access tokens keep it until they end."""
    from models.queries import people  # noqa: PLC0415

    _change_role("role take", people.take_role, role, lms_user_id, reason)
    console.print(f"User {lms_user_id} of the LMS was given the role {role} no longer.")


def _change_role(
    action: str,
    change: "Callable[[Session, str, str], Awaitable[UserRow | None]]",
    role: GivenRole,
    lms_user_id: str,
    reason: str,
) -> None:
    from models.queries import people  # noqa: PLC0415

    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")

    async def write(session: "Session") -> None:
        user = await people.by_lms_id(session, lms_user_id)
        if user is None:
            raise NotFound(
                f"nobody with the LMS's id {lms_user_id} was here yet: log in once, then repeat this"
            )
        await change(session, user.id, role.value)
        await _log(session, action, user.id, role.value, request={}, reason=reason)

    _in_database(write)


@role_app.command("list")
def list_roles(
    email: Annotated[str | None, typer.Option(help="Whoever has this address, whatever their roles.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Who is more than a learner, by the LMS or because the role was given."""
    from models.queries import people  # noqa: PLC0415

    rows = _in_database(
        people.with_roles if email is None else lambda session: people.by_email(session, email)
    )
    if as_json:
        shown = [
            {
                "user_id": row.id,
                "lms_user_id": row.lms_user_id,
                "email": row.email,
                "full_name": row.full_name,
            }
            | {"from_lms": row.lms_roles, "given": row.given_roles}
            for row in rows
        ]
        sys.stdout.write(json.dumps(shown) + "\n")
        return
    table = Table("LMS's id", "name", "email", "from the LMS", "given")
    for row in rows:
        roles = " ".join(row.lms_roles), " ".join(row.given_roles)
        table.add_row(row.lms_user_id, row.full_name, row.email or "", *roles)
    console.print(table)


events_app = typer.Typer(no_args_is_help=True, help="Outbound events.")
app.add_typer(events_app, name="events")


@events_app.command("replay")
def replay_events(
    endpoint: Annotated[str, typer.Option(help="The webhook endpoint's id.")],
    since: Annotated[datetime, typer.Option(help="UTC, as in 2026-11-23T06:00:00.")],
    only_undelivered: Annotated[bool, typer.Option(help="Leave out what was taken already.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send an endpoint all events since a moment again, each stream in its order."""
    from worker import replay_with  # noqa: PLC0415

    settings = _settings()
    asked = {"since": since.isoformat(), "only_undelivered": only_undelivered}
    with console.status("sending again") as status:
        try:
            _in_database(lambda session: _log(session, "events replay", str(UUID(endpoint)), request=asked))
            events = _done(
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


ledger_app = typer.Typer(no_args_is_help=True, help="The ledger.")
app.add_typer(ledger_app, name="ledger")


class LedgerFormat(StrEnum):
    """What an export is written for."""

    CSV = "csv"
    BEANCOUNT = "beancount"
    LEDGER = "ledger"


@ledger_app.command("export")
def ledger_export(
    since: Annotated[
        datetime | None, typer.Option("--from", help="UTC; from the start when left out.")
    ] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="UTC, excluded; to the end.")] = None,
    form: Annotated[LedgerFormat, typer.Option("--format")] = LedgerFormat.CSV,
    output: Annotated[Path | None, typer.Option(help="A file, instead of standard output.")] = None,
) -> None:
    """Write journal entries, by effective time, for an accountant's own tools."""
    from api.ledger_export import export_ledger  # noqa: PLC0415
    from integrations.journal_export import ExportFormat  # noqa: PLC0415
    from models.database import Database  # noqa: PLC0415

    async def write(target: TextIO, progress: Callable[[int], None]) -> None:
        database = Database(_settings().database_url.get_secret_value(), pool_size=1)
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
        _done(write(target, lambda size: status.update(f"exporting, {size // 1000} kB")))


@app.command()
def reconcile(
    since: Annotated[
        datetime | None, typer.Option("--from", help="Begin of the period; else where the last run ended.")
    ] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="Its end, excluded; else now.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the processor's balance transactions of a period with the books; times are UTC.

    What only a lost message explains is repaired. Exit code 1 while any difference is open.
    """
    from worker import reconcile_with  # noqa: PLC0415

    settings = _settings()
    period = {
        "since": None if since is None else since.replace(tzinfo=UTC),
        "until": None if until is None else until.replace(tzinfo=UTC),
    }
    with console.status("comparing") as status:
        report, still_open = _done(reconcile_with(settings, **period, progress=status.update))
    if as_json:
        found = asdict(report) | {"differences": [asdict(one) for one in still_open]}
        sys.stdout.write(json.dumps(found, default=str) + "\n")
        raise typer.Exit(1 if still_open else 0)
    console.print(f"{report.since} to {report.until}: {report.summary}", soft_wrap=True)
    for category, number in report.by_category.items():
        console.print(f"  {number:>6}  {category}")
    for one in still_open:
        console.print(
            f"[red]{one.kind}[/] {one.detail}: processor {one.expected}, books {one.found} "
            f"(minor units of {one.currency}); difference {one.id}",
            soft_wrap=True,
        )
    raise typer.Exit(1 if still_open else 0)


@app.command()
def recover() -> None:
    """Start what is missing: a workflow for every row that is not at its end."""
    from worker import recover_with  # noqa: PLC0415

    found, all_done = _done(recover_with(_settings()))
    console.print(found)
    raise typer.Exit(0 if all_done else 1)


@app.command()
def chaos(
    rounds: Annotated[int, typer.Option(help="Purchases, each with a crash in it.")] = 50,
    seed: Annotated[int | None, typer.Option(help="Run the same crashes again.")] = None,
) -> None:
    """Kill parts of an embedded stack of its own during purchases, then ask the oracle."""
    from devstack.chaos import run_chaos  # noqa: PLC0415

    raise typer.Exit(asyncio.run(run_chaos(rounds=rounds, seed=seed)))


@app.command()
def bench(
    seconds: Annotated[float, typer.Option(help="How long each load lasts.")] = 10,
    write: Annotated[Path | None, typer.Option(help="Write the figures into this file.")] = None,
) -> None:
    """Measure checkout and fulfilment on an embedded stack of its own."""
    from devstack.bench import run_bench  # noqa: PLC0415

    raise typer.Exit(asyncio.run(run_bench(seconds=seconds, write=write)))


if __name__ == "__main__":
    app()

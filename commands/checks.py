"""Whether all is as it should be: the oracle, the processor's books, the LMS, missing workflows."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from commands.terminal import JsonOption, console, done, lms_settings, product_settings

if TYPE_CHECKING:
    from activities.seals import Anchor
    from config import LmsSettings


def verify(
    as_json: JsonOption = False,
    anchor: Annotated[
        str | None, typer.Option(help="BLOCK:HASH of an earlier run, which the ledger's chain must hold.")
    ] = None,
) -> None:
    """Check the invariants on the live database against the processor, the LMS and Temporal."""
    from activities.verification import NOT_CHECKED_YET
    from commands.live_system import verify_with

    settings = product_settings()
    remembered = None if anchor is None else _anchor(anchor)
    with console.status("checking") as status:
        report = done(
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
    from activities.seals import Anchor

    block, _, digest = given.partition(":")
    if not block.isdecimal() or len(digest) != 64:
        raise typer.BadParameter("give BLOCK:HASH, as verify prints the ledger's head", param_hint="--anchor")
    return Anchor(int(block), digest)


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
    from commands.live_system import reconcile_with
    from domain.money import as_read

    settings = product_settings()
    period = {
        "since": None if since is None else since.replace(tzinfo=UTC),
        "until": None if until is None else until.replace(tzinfo=UTC),
    }
    with console.status("comparing") as status:
        report, still_open = done(reconcile_with(settings, **period, progress=status.update))
    if as_json:
        found = asdict(report) | {"differences": [asdict(one) for one in still_open]}
        sys.stdout.write(json.dumps(found, default=str) + "\n")
        raise typer.Exit(1 if still_open else 0)
    console.print(f"{report.since} to {report.until}: {report.summary}", soft_wrap=True)
    for category, number in report.by_category.items():
        console.print(f"  {number:>6}  {category}")
    for one in still_open:
        console.print(
            f"[red]{one.kind}[/] {one.detail}: processor {as_read(one.expected, one.currency)}, "
            f"books {as_read(one.found, one.currency)}; difference {one.id}",
            soft_wrap=True,
        )
    raise typer.Exit(1 if still_open else 0)


def recover() -> None:
    """Start what is missing: a workflow for every row that is not at its end."""
    from commands.live_system import recover_with

    found, all_done = done(recover_with(product_settings()))
    console.print(found)
    raise typer.Exit(0 if all_done else 1)


def lms_check() -> None:
    """Say whether the LMS can be reached and takes our token; needs only the LMS_* settings."""
    from integrations.http import make_http_client
    from integrations.lms import make_lms

    async def check(settings: "LmsSettings") -> bool:
        async with make_http_client() as http:
            found = await make_lms(settings.lms_access, http).check()
            hint = "" if found.setting is None else f" (look at {found.setting})"
            console.print(f"{found.address}: {found.detail}{hint}", markup=False, soft_wrap=True)
            for what in found.not_checked:
                console.print(f"not checked: {what}", markup=False, soft_wrap=True)
            return found.ok

    raise typer.Exit(0 if done(check(lms_settings())) else 1)

"""What `commerce dev`, `demo` and `clean` do."""

import sys
from dataclasses import replace

from rich.console import Console

from commands.terminal import new_console
from config import Settings
from devstack.demo import Addresses, tell
from devstack.logs import LogSink
from devstack.paths import DataDir
from devstack.shopper import ApiProblem
from devstack.stack import Stack, StackError, StackSettings, run_dev, serve
from devstack.temporal import NAMESPACE

__all__ = ["remove_data", "run_demo", "run_dev"]

# The story shows a release; nobody wants to wait 30 days for it.
_DEMO_HOLD_DAYS = "0.00003"


async def run_demo(*, once: bool) -> int:
    """Start the stack, tell the story, then serve (or end); 1 when a step was off."""
    console = new_console()
    log = LogSink()
    failed = False

    async def story(stack: Stack) -> None:
        nonlocal failed
        for service in ("gateway", "worker"):
            log.hush(service, on=True)
        try:
            await tell(
                Addresses(
                    stack.urls.gateway,
                    stack.urls.stripe,
                    stack.urls.lms,
                    stack.urls.payout,
                    stack.urls.temporal_ui,
                ),
                settings.data_dir / "receipts",
                namespace=NAMESPACE,
                verify=lambda: _verify(stack, console),
                console=console,
            )
        except (AssertionError, ApiProblem, TimeoutError) as error:
            failed = True
            console.print(f"\n[bold red]The story broke off:[/] {error}", soft_wrap=True)
            for part in ("gateway", "worker"):
                for line in log.recent(part, 15):
                    console.print(f"  {part}: {line}", style="dim", markup=False, soft_wrap=True)
            if once:
                return
        console.print("\n[dim]Serving until Ctrl-C.[/dim]" if not once else "")

    try:
        settings = StackSettings.from_environment()
    except StackError as error:
        sys.stderr.write(f"commerce: {error}\n")
        return 1
    shortened = {"EARNINGS_HOLD_DAYS": _DEMO_HOLD_DAYS} | dict(settings.environment)
    settings = replace(settings, environment=shortened)

    def progress(part: str, seconds: float) -> None:
        console.print(f"[dim]{part} ready after {seconds:.1f} s[/dim]", highlight=False)

    console.print("[bold]Starting PostgreSQL, Temporal, the stand-ins, gateway and worker[/bold]")
    code = await serve(settings, log=log, story=story, keep_serving=not once, on_progress=progress)
    return 1 if failed else code


async def _verify(stack: Stack, console: Console) -> bool:
    from commands.live_system import verify_with  # noqa: PLC0415 - takes a second; the stack starts meanwhile

    report = await verify_with(Settings.model_validate(_as_fields(stack.env)))
    for finding in report.findings:
        mark = "[green]ok[/]" if finding.checked and not finding.violations else "[red]off[/]"
        console.print(f"     {mark:<12} {finding.meaning}", highlight=False)
        for violation in finding.violations:
            console.print(f"         {violation}", style="red", markup=False, soft_wrap=True)
    return report.clean


def _as_fields(environment: dict[str, str]) -> dict[str, str]:
    fields = set(Settings.model_fields)
    return {name.lower(): value for name, value in environment.items() if name.lower() in fields}


def remove_data() -> None:
    """Remove the embedded stack's data directory and what it links to."""
    try:
        settings = StackSettings.from_environment()
    except StackError as error:
        sys.stderr.write(f"commerce: {error}\n")
        return
    DataDir(settings.data_dir).remove()

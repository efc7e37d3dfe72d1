"""The `commerce` command (composition root)."""

import typer

from commands import checks, events, keys, ledger, roles, services, stack

app = typer.Typer(
    # A pretty traceback shows the values of variables, secrets among them.
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    help="Run and check Commerce.",
)
for command in (
    *(stack.dev, stack.demo, stack.clean, services.api, services.codec, services.worker, services.migrate),
    *(stack.seed, checks.verify, checks.reconcile, checks.recover, stack.chaos, stack.bench),
):
    app.command()(command)

lms = typer.Typer(no_args_is_help=True, help="The LMS.")
lms.command("check")(checks.lms_check)
app.add_typer(lms, name="lms")
app.add_typer(keys.app, name="apikey")
app.add_typer(roles.app, name="role")
app.add_typer(events.app, name="events")
app.add_typer(ledger.app, name="ledger")

if __name__ == "__main__":
    app()

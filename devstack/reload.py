"""Restarts gateway and worker when the product's code changes."""

from watchfiles import PythonFilter, awatch

from devstack.errors import StackError
from devstack.supervisor import Stack

_WATCHED = (
    "domain",
    "models",
    "integrations",
    "activities",
    "workflows",
    "api",
    "worker.py",
    "config.py",
)
_RESTARTED = ("gateway", "worker")


async def reload_on_change(stack: Stack) -> None:
    """Watch until cancelled."""
    project = stack.settings.project
    paths = [path for name in _WATCHED if (path := project / name).exists()]
    async for changes in awatch(*paths, watch_filter=PythonFilter(), debounce=300):
        names = sorted({path.removeprefix(f"{project}/") for _, path in changes})
        stack.log.note(f"{', '.join(names[:3])}{' ...' if names[3:] else ''} changed; restarting")
        for part in _RESTARTED:
            try:
                await stack.restart(part)
            except StackError as error:
                stack.log.note(f"{error}\n  waiting for the next change")

"""Runs `commerce verify` against a stack."""

import asyncio

from commands.live_system import verify_with
from config import Settings
from devstack.stack import Stack


def settings_of(stack: Stack) -> Settings:
    """The settings with which the stack's gateway and worker run."""
    fields = set(Settings.model_fields)
    return Settings.model_validate(
        {name.lower(): value for name, value in stack.env.items() if name.lower() in fields}
    )


async def assert_clean(stack: Stack, *, seconds: float = 20) -> None:
    """Every invariant holds; what is still on its way gets a while to arrive."""
    settings = settings_of(stack)
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        report = await verify_with(settings)
        if report.clean:
            return
        if asyncio.get_running_loop().time() > deadline:
            broken = [f"{f.name}: {f.violations}" for f in report.findings if f.violations or not f.checked]
            raise AssertionError("the oracle found: " + "; ".join(broken))
        await asyncio.sleep(0.5)

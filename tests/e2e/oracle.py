"""Runs `commerce verify` against a stack."""

import asyncio

from cli import verify_with
from config import Settings
from devstack.stack import Stack


async def assert_clean(stack: Stack, *, seconds: float = 20) -> None:
    """Every invariant holds; what is still on its way gets a while to arrive."""
    fields = set(Settings.model_fields)
    values = {name.lower(): value for name, value in stack.env.items() if name.lower() in fields}
    settings = Settings.model_validate(values)
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        report = await verify_with(settings)
        if report.clean:
            return
        if asyncio.get_running_loop().time() > deadline:
            broken = [f"{f.name}: {f.violations}" for f in report.findings if f.violations or not f.checked]
            raise AssertionError("the oracle found: " + "; ".join(broken))
        await asyncio.sleep(0.5)

"""`--reload` restarts what the code belongs to."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

from devstack.reload import reload_on_change
from devstack.settings import StackSettings
from devstack.supervisor import Stack


async def test_changed_code_restarts_gateway_and_worker(settings: StackSettings, tmp_path: Path) -> None:
    module = tmp_path / "domain" / "rules.py"
    module.parent.mkdir()
    module.write_text("ANSWER = 1\n")
    changed = replace(settings, project=tmp_path)
    async with Stack(changed, parts=frozenset({"gateway", "worker", "stripe"})) as stack:
        before = {part: stack.pid(part) for part in ("gateway", "worker", "stripe")}
        reloader = asyncio.create_task(reload_on_change(stack))
        await asyncio.sleep(0.5)
        module.write_text("ANSWER = 2\n")
        async with asyncio.timeout(10):
            while stack.pid("worker") == before["worker"] or not stack.is_running("worker"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        reloader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reloader
        assert stack.pid("gateway") != before["gateway"]
        assert stack.pid("stripe") == before["stripe"]

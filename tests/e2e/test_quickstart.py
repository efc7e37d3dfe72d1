"""docs/quickstart.md, done as it is written: a sale with curl, and a receiver of its events."""

import asyncio
import os
import re
import sys
from pathlib import Path

from devstack.ports import free_ports
from devstack.shopper import wait_for
from tests.e2e.conftest import Shop

PAGE = (Path(__file__).parents[2] / "docs" / "quickstart.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.S | re.M)


async def run_shell(script: str, where: Path, **more: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-eu", "-c", script),
        cwd=where,
        env={**os.environ, **more},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, printed.decode()
    return printed.decode()


async def test_what_the_page_says_works(shop: Shop, tmp_path: Path) -> None:
    setup, *steps, endpoint = blocks("sh")
    (port,) = free_ports(1)
    addresses = {"BASE": shop.gateway, "STRIPE": shop.stack.urls.stripe, "PORT": str(port)}
    secret = (await run_shell(setup + endpoint, tmp_path, **addresses)).splitlines()[-1]
    (code,) = blocks("python")
    assert code.count("\n") < 16
    (tmp_path / "receiver.py").write_text(code)
    receiver = await asyncio.create_subprocess_exec(
        *(sys.executable, "receiver.py"),
        cwd=tmp_path,
        env={**os.environ, "SECRET": secret, "PORT": str(port)},
        stdout=(tmp_path / "events").open("wb"),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        printed = await run_shell(setup + "".join(steps), tmp_path, **addresses)
        assert "order fulfilled" in printed
        assert "/courses/python-101" in printed
        assert "cart_empty" in printed
        assert (tmp_path / "receipt.pdf").read_bytes().startswith(b"%PDF")

        async def events() -> str:
            return (tmp_path / "events").read_text()

        seen = await wait_for(events, lambda text: "order.fulfilled" in text, what="the events")
        assert "order.paid" in seen
    finally:
        receiver.terminate()
        await receiver.wait()
        operator = await shop.operator()
        made = await operator.call("GET", "/v1/webhook-endpoints?limit=100")
        for row in made["data"]:
            if row["description"] == "quickstart":
                await operator.call("DELETE", f"/v1/webhook-endpoints/{row['id']}")

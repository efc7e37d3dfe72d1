"""docs/quickstart.md, done as it is written: a sale with curl, and a receiver of its events."""

import asyncio
import os
import re
import sys
import time
import uuid
from pathlib import Path

import httpx

from devstack.ports import free_ports
from devstack.shopper import wait_for
from tests.e2e.conftest import Shop

PAGE = (Path(__file__).parents[2] / "docs" / "quickstart.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.S | re.M)


class Terminal:
    """One shell, into which block after block is pasted."""

    def __init__(self, process: asyncio.subprocess.Process, printed: Path) -> None:
        self._process = process
        self._printed = printed

    @classmethod
    async def opened(cls, where: Path, **more: str) -> "Terminal":
        printed = where / "printed"
        process = await asyncio.create_subprocess_exec(
            *("bash", "-eu"),
            cwd=where,
            env={**os.environ, **more},
            stdin=asyncio.subprocess.PIPE,
            stdout=printed.open("wb"),
            stderr=asyncio.subprocess.STDOUT,
        )
        return cls(process, printed)

    async def paste(self, block: str) -> str:
        """Run it to its end; all that was printed so far."""
        assert self._process.stdin is not None
        done = f"done {uuid.uuid4()}"
        self._process.stdin.write(f"{block}\necho '{done}'\n".encode())
        await self._process.stdin.drain()

        async def printed() -> str:
            return self._printed.read_text()

        return await wait_for(
            printed, lambda text: done in text or self._process.returncode is not None, what=block
        )

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def test_what_the_page_says_works(shop: Shop, tmp_path: Path) -> None:
    *sale, endpoint, again, redeliver, refund = blocks("sh")
    (code,) = blocks("python")
    assert len(list(filter(None, code.splitlines()))) < 15
    (tmp_path / "receiver.py").write_text(code)
    (port,) = free_ports(1)
    terminal = await Terminal.opened(
        tmp_path, BASE=shop.gateway, STRIPE=shop.stack.urls.stripe, PORT=str(port)
    )
    receiver: asyncio.subprocess.Process | None = None
    try:
        for block in sale:
            printed = await terminal.paste(block)
        assert "order fulfilled" in printed
        assert "/courses/python-101" in printed
        assert "cart_empty" in printed
        (receipt,) = re.findall(r"^receipt (/.+/receipt\.pdf)$", printed, re.M)
        assert Path(receipt).read_bytes().startswith(b"%PDF")
        assert re.search(r"^http.*/v1/orders/.*/receipt\.pdf$", printed, re.M), "the dashboard"
        assert list(tmp_path.glob("*.pdf")) == [], "nothing is left in the directory of the project"
        printed = await terminal.paste(endpoint)
        (command,) = re.findall(r"^SECRET=.*receiver\.py$", printed, re.M)
        receiver = await asyncio.create_subprocess_exec(
            *("sh", "-c", f"export {command.replace('.venv/bin/python', f'; exec {sys.executable}')}"),
            cwd=tmp_path,
            stdout=(tmp_path / "events").open("wb"),
            stderr=asyncio.subprocess.DEVNULL,
        )
        await terminal.paste(again)

        async def events() -> str:
            return (tmp_path / "events").read_text()

        seen = await wait_for(events, lambda text: "order.fulfilled" in text, what="the events")
        assert "order.paid" in seen
        kind = (await terminal.paste(redeliver)).splitlines()[-2]
        assert kind in ("order.paid", "order.fulfilled")
        await wait_for(events, lambda text: text.count(f"{kind} ") >= 2, what=f"{kind} once more")
        assert "order refunded" in await terminal.paste(refund)
        await wait_for(events, lambda text: "order.refunded" in text, what="the refund's event")
        async with httpx.AsyncClient() as forger:
            for signature in ("", "v1,Zm9yZ2Vk", "nonsense"):
                headers = {
                    "webhook-id": "1",
                    "webhook-timestamp": str(int(time.time())),
                    "webhook-signature": signature,
                }
                answer = await forger.post(f"http://127.0.0.1:{port}/", headers=headers, content=b"{}")
                assert answer.status_code == 400
    finally:
        await terminal.close()
        if receiver is not None:
            receiver.terminate()
            await receiver.wait()
        operator = await shop.operator()
        made = await operator.call("GET", "/v1/webhook-endpoints?limit=100")
        for row in made["data"]:
            if row["description"] == "quickstart":
                await operator.call("DELETE", f"/v1/webhook-endpoints/{row['id']}")

"""`make bench`: checkouts and orders, next to a bare workflow in the same run; inbound events."""

import asyncio
import platform
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from commands.terminal import new_console
from devstack.bare_workflow import LOCAL_STEPS, REMOTE_STEPS, BareWorkflow, nothing
from devstack.inbound_load import send_events
from devstack.logs import LogSink
from devstack.shopper import US_ADDRESS, ApiProblem, Shopper
from devstack.stack import Stack, StackSettings
from devstack.stripe_standin.control import StripeControl

QUEUE = "bench"
CALLERS = (1, 20)
EVENTS_PER_SECOND = 50
# The processor repeats what is not acknowledged soon; p99 at that rate.
ACKNOWLEDGED_WITHIN_MS = 250
_INBOUND = f"inbound event acknowledged, {EVENTS_PER_SECOND} a second"


@dataclass(frozen=True)
class Figures:
    """One row of the table."""

    what: str
    callers: int
    p50_ms: float
    p99_ms: float
    per_second: float

    def row(self) -> str:
        """As a line of a Markdown table."""
        latencies = f"{self.p50_ms:.0f} | {self.p99_ms:.0f}"
        return f"| {self.what} | {self.callers} | {latencies} | {self.per_second:.1f} |"


async def _load(what: str, callers: int, seconds: float, once: Callable[[int], Awaitable[float]]) -> Figures:
    """Run `once` in a closed loop of `callers`; it returns what it measured, in seconds."""
    ends = time.monotonic() + seconds
    taken: list[float] = []

    async def caller(number: int) -> None:
        while time.monotonic() < ends:
            taken.append(await once(number))

    began = time.monotonic()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    elapsed = time.monotonic() - began
    taken.sort()
    p99 = taken[min(len(taken) - 1, int(len(taken) * 0.99))]
    return Figures(what, callers, statistics.median(taken) * 1000, p99 * 1000, len(taken) / elapsed)


async def _shoppers(stack: Stack, count: int) -> list[Shopper]:
    run = uuid.uuid4().hex[:8]
    return [
        await Shopper(stack.urls.gateway).register(f"bench.{run}.{n}@example.com", "Bench Buyer")
        for n in range(count)
    ]


async def _checkout(shopper: Shopper) -> dict[str, Any]:
    """As a front end does it: told to come back, it repeats with its key, and the wait counts."""
    answer = await shopper.insist("POST", "/v1/checkout", {"billing_address": US_ADDRESS})
    if answer.status_code != 201:
        raise ApiProblem(answer)
    found: dict[str, Any] = answer.json()
    return found


async def _measure_checkout(stack: Stack, callers: int, seconds: float) -> Figures:
    shoppers = await _shoppers(stack, callers)

    async def once(number: int) -> float:
        shopper = shoppers[number]
        await shopper.add("python-101")
        began = time.monotonic()
        answer = await _checkout(shopper)
        taken = time.monotonic() - began
        await shopper.call("POST", f"/v1/orders/{answer['order']['id']}/cancel", {})
        cart = await shopper.call("GET", "/v1/cart")
        for line in cart["lines"]:
            await shopper.call("DELETE", f"/v1/cart/items/{line['id']}")
        return taken

    return await _load("checkout request", callers, seconds, once)


async def _measure_orders(stack: Stack, callers: int, seconds: float) -> Figures:
    async with StripeControl(stack.urls.stripe) as stripe:
        run = uuid.uuid4().hex[:8]
        bought = 0

        async def once(number: int) -> float:
            nonlocal bought
            bought += 1
            shopper = await Shopper(stack.urls.gateway).register(
                f"order.{run}.{number}.{bought}@example.com", "Bench Buyer"
            )
            async with shopper:
                await shopper.add("python-101")
                began = time.monotonic()
                answer = await _checkout(shopper)
                await stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
                await shopper.wait_for_status(answer["order"]["id"], "fulfilled", seconds=60)
                return time.monotonic() - began

        return await _load("order, checkout to fulfilled", callers, seconds, once)


async def _measure_bare(stack: Stack, callers: int, seconds: float) -> Figures:
    client = await Client.connect(stack.urls.temporal)
    async with Worker(client, task_queue=QUEUE, workflows=[BareWorkflow], activities=[nothing]):

        async def once(_: int) -> float:
            began = time.monotonic()
            await client.execute_workflow(BareWorkflow.run, id=f"bare/{uuid.uuid4()}", task_queue=QUEUE)
            return time.monotonic() - began

        return await _load("bare workflow, as many empty steps", callers, seconds, once)


async def _measure_inbound(stack: Stack, seconds: float) -> Figures:
    """Not a closed loop: the processor sends when things happen, and does not wait for us."""
    (shopper,) = await _shoppers(stack, 1)
    await shopper.add("python-101")
    order_id = (await shopper.checkout())["order"]["id"]
    found = await send_events(
        stack.urls.gateway,
        stack.env["STRIPE_WEBHOOK_SECRET"].split(",")[0],
        per_second=EVENTS_PER_SECOND,
        seconds=seconds,
        order_ids=[order_id],
    )
    if found.refused:
        raise RuntimeError(f"{found.refused} events were not acknowledged")
    return Figures(_INBOUND, 1, found.median * 1000, found.p99 * 1000, len(found.seconds) / seconds)


def missed_bars(rows: Sequence[Figures]) -> list[str]:
    """What is slower than it has to be."""
    return [
        f"{figures.what}: p99 is {figures.p99_ms:.0f} ms, and has to be below {ACKNOWLEDGED_WITHIN_MS}"
        for figures in rows
        if figures.what == _INBOUND and figures.p99_ms >= ACKNOWLEDGED_WITHIN_MS
    ]


async def run_bench(*, seconds: float, write: Path | None) -> int:
    """Measure on an embedded stack of its own; prints (and writes) a Markdown table. 1 when something is
    slower than it has to be, else 0."""
    console = new_console()
    rows: list[Figures] = []
    with tempfile.TemporaryDirectory(prefix="commerce-bench-") as folder:
        settings = StackSettings.isolated(Path(folder) / "data", environment={"COMMERCE_ENV": "development"})
        console.print("starting a stack of its own ...")
        async with Stack(settings, log=LogSink()) as stack:
            rows.append(await _measure_inbound(stack, seconds))
            console.print(rows[-1].row(), highlight=False)
            for callers in CALLERS:
                for measure in (_measure_checkout, _measure_orders, _measure_bare):
                    figures = await measure(stack, callers, seconds)
                    rows.append(figures)
                    console.print(figures.row(), highlight=False)
    table = "\n".join(
        [
            "| | concurrent callers | p50 ms | p99 ms | per second |",
            "|---|---|---|---|---|",
            *(figures.row() for figures in rows),
        ]
    )
    if write is not None:
        write.write_text(
            "# Benchmarks\n\nMade by `make bench` (embedded stack, everything on one machine: load, gateway, "
            f"worker, PostgreSQL, Temporal, stand-ins). Python {platform.python_version()}, "
            f"{seconds:.0f} s a row. The bare workflow has {REMOTE_STEPS} empty activities and {LOCAL_STEPS} "
            "empty local ones, as many steps as a paid order of one course; compare the rows of one run, "
            f"not runs.\n\n{table}\n",
            encoding="utf-8",
        )
    missed = missed_bars(rows)
    for bar in missed:
        console.print(f"[red]{bar}[/red]")
    return 1 if missed else 0

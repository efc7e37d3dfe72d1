"""`make chaos`: purchases and refunds while parts are killed at random moments; then the oracle decides."""

import asyncio
import random
import tempfile
import time
import uuid
from pathlib import Path

import httpx
from rich.console import Console

from commands.live_system import verify_with
from commands.terminal import new_console
from config import Settings
from devstack.logs import LogSink
from devstack.shopper import ApiProblem, Shopper
from devstack.stack import Stack, StackSettings
from devstack.stripe_standin.control import StripeControl

PARTS = ("worker", "gateway", "postgres", "temporal", "stripe", "lms")
# A killed part is started again after a moment; a double crash kills a second one meanwhile.
_DOUBLE_CRASHES = 0.2
_RETRIES = 120
_SETTLE_SECONDS = 60


async def _until_it_works(
    shopper: Shopper, method: str, path: str, body: object, key: str
) -> dict[str, object]:
    """What a patient front end does: the same key, until there is an answer."""
    for _ in range(_RETRIES):
        try:
            answer: dict[str, object] = await shopper.call(method, path, body, key=key)
        except ApiProblem as problem:
            if problem.status not in (409, 500, 503) or problem.code in ("cart_empty", "already_owned"):
                raise
        except httpx.HTTPError:
            pass
        else:
            return answer
        await asyncio.sleep(0.3)
    raise TimeoutError(f"{method} {path} never answered")


async def _crash(stack: Stack, dice: random.Random) -> str:
    await asyncio.sleep(dice.uniform(0, 0.6))
    victims = [dice.choice(PARTS)]
    if dice.random() < _DOUBLE_CRASHES:
        victims.append(dice.choice([part for part in PARTS if part not in victims]))
    for victim in victims:
        await stack.kill(victim)
    for victim in victims:
        await stack.restart(victim)
    return " and ".join(victims)


async def _purchase(stack: Stack, stripe: StripeControl, number: int, run: str) -> None:
    body = {
        "email": f"chaos.{run}.{number}@example.com",
        "password": "commerce-demo",
        "full_name": "Chaos Buyer",
    }
    async with Shopper(stack.urls.gateway) as shopper:
        session = await _until_it_works(shopper, "POST", "/v1/auth/register", body, str(uuid.uuid4()))
        shopper.token = str(session["access_token"])
        item = await _until_it_works(shopper, "GET", "/v1/catalog/items/python-101", None, "")
        line = {"item_id": item["id"], "quantity": 1}
        await _until_it_works(shopper, "POST", "/v1/cart/items", line, str(uuid.uuid4()))
        address = {"billing_address": {"country": "US", "state": "NY"}}
        answer = await _until_it_works(shopper, "POST", "/v1/checkout", address, str(uuid.uuid4()))
        order, payment = answer["order"], answer["payment"]
        assert isinstance(order, dict)
        assert isinstance(payment, dict)
        for _ in range(_RETRIES):
            try:
                await stripe.confirm(payment["payment_intent_id"], "pm_card_visa")
                break
            except httpx.HTTPError:
                await asyncio.sleep(0.3)
        for _ in range(_RETRIES):
            found = await _until_it_works(shopper, "GET", f"/v1/orders/{order['id']}", None, "")
            if found["status"] == "fulfilled":
                return
            await asyncio.sleep(0.5)
        raise TimeoutError(f"order {order['number']} is {found['status']}")


async def run_chaos(*, rounds: int, seed: int | None) -> int:
    """Run `rounds` purchases, each with a crash in it; 1 when an order or an invariant is off."""
    console = new_console()
    seed = random.SystemRandom().randrange(10**9) if seed is None else seed
    dice = random.Random(seed)
    run = uuid.uuid4().hex[:8]
    console.print(f"seed {seed} (run it again with --seed {seed})")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="commerce-chaos-") as folder:
        settings = StackSettings.isolated(Path(folder) / "data", environment={"COMMERCE_ENV": "development"})
        async with Stack(settings, log=LogSink()) as stack, StripeControl(stack.urls.stripe) as stripe:
            for number in range(1, rounds + 1):
                began = time.monotonic()
                crash = asyncio.create_task(_crash(stack, dice))
                try:
                    await _purchase(stack, stripe, number, run)
                    outcome = "fulfilled"
                except (ApiProblem, TimeoutError) as error:
                    failed += 1
                    outcome = f"FAILED: {error}"
                victims = await crash
                console.print(
                    f"{number:>4}/{rounds}  killed {victims:<22} {outcome}  {time.monotonic() - began:.1f} s"
                )
            return 1 if failed or not await _clean(stack, console) else 0


async def _clean(stack: Stack, console: Console) -> bool:
    fields = set(Settings.model_fields)
    values = {name.lower(): value for name, value in stack.env.items() if name.lower() in fields}
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        report = await verify_with(Settings.model_validate(values))
        broken = [finding for finding in report.findings if finding.violations or not finding.checked]
        if not broken or time.monotonic() > deadline:
            break
        await asyncio.sleep(2)
    for finding in broken:
        console.print(f"[red]{finding.name}[/red]: {finding.violations}", soft_wrap=True)
    console.print(
        "[green]every invariant holds[/green]" if not broken else "[red]the oracle found trouble[/red]"
    )
    return not broken

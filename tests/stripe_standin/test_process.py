"""The process: quick to start, quick to end, nothing lost by kill -9."""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import stripe

from devstack.stripe_standin.control import StripeControl
from devstack.stripe_standin.endpoints import CONFIGURED_ID
from tests.stripe_standin.conftest import Api
from tests.stripe_standin.process import Receiver, Standin, eventually


@asynccontextmanager
async def client_of(standin: Standin) -> AsyncIterator[Api]:
    found = Api(standin.url)
    yield found
    found.check_all()
    await found.http.close_async()  # type: ignore[no-untyped-call]


async def test_kill_minus_9_loses_nothing_that_was_answered(own_standin: Standin, receiver: Receiver) -> None:
    own_standin.start()
    async with client_of(own_standin) as api, StripeControl(own_standin.url) as control:
        await control.pause_deliveries()
        await control.advance_clock(1000)
        paid = await api.pay(await api.intent(key="k1"))
        refund = await api.v1.refunds.create_async(
            {"payment_intent": paid.id, "amount": 5}, {"idempotency_key": "k2"}
        )
        waiting = await api.paid(method="pm_card_threeDSecure2Required")
        own_standin.kill()
        own_standin.start()
        again = await api.v1.payment_intents.retrieve_async(paid.id)
        assert again.to_dict() == paid.to_dict()
        assert (await api.intent(key="k1")).id == paid.id
        assert api.last.headers["idempotent-replayed"] == "true"
        repeated = await api.v1.refunds.create_async(
            {"payment_intent": paid.id, "amount": 5}, {"idempotency_key": "k2"}
        )
        assert repeated.id == refund.id
        assert await control.effects("k1") == {"k1": 1}
        assert await control.now() > time.time() + 900
        assert receiver.about(paid.id) == []
        await control.resume_deliveries()
        await receiver.wait_for(paid.id, "payment_intent.succeeded")
        assert (await control.finish_three_d_secure(waiting.id))["status"] == "succeeded"


async def test_deliveries_and_tasks_go_on_after_a_kill(own_standin: Standin, receiver: Receiver) -> None:
    own_standin.start()
    receiver.status = 500
    try:
        async with client_of(own_standin) as api:
            intent = await api.paid(method="pm_card_createDispute")
            await failed_once(own_standin, "payment_intent.succeeded")
            own_standin.kill()
            # What came before the kill was refused; only what comes after it counts.
            receiver.received.clear()
            receiver.status = 200
            own_standin.start()
            await receiver.wait_for(intent.id, "payment_intent.succeeded")
            charge = str(intent.latest_charge)
            await eventually(
                lambda: any(one.event["type"] == "charge.dispute.created" for one in receiver.about(charge))
            )
    finally:
        receiver.status = 200


async def failed_once(standin: Standin, event_type: str) -> None:
    """Wait until a delivery was tried in vain, and that is written down."""
    async with StripeControl(standin.url) as control:
        for _ in range(200):
            tried = await control.deliveries(state="pending")
            if any(one.type == event_type and one.attempts > 0 for one in tried):
                return
            await asyncio.sleep(0.02)
    raise AssertionError(f"no attempt to deliver {event_type}")


async def test_the_cut_answer_of_a_killed_server_is_found_by_its_key(own_standin: Standin) -> None:
    own_standin.start()
    async with client_of(own_standin) as api, StripeControl(own_standin.url) as control:
        await control.fault("POST", "/v1/payment_intents", "timeout", seconds=30)
        lost = asyncio.create_task(api.intent(key="lost"))
        for _ in range(100):
            if await control.effects("lost"):
                break
            await asyncio.sleep(0.02)
        own_standin.kill()
        with pytest.raises(stripe.APIConnectionError):
            await lost
        own_standin.start()
        await api.intent(key="lost")
        assert api.last.headers["idempotent-replayed"] == "true"


async def test_the_configured_endpoint_stays_one(own_standin: Standin) -> None:
    own_standin.start()
    own_standin.stop()
    own_standin.webhook_url = "http://127.0.0.1:9/moved"
    own_standin.start()
    async with client_of(own_standin) as api:
        endpoints = (await api.v1.webhook_endpoints.list_async()).data
        assert [(one.id, one.url) for one in endpoints] == [(CONFIGURED_ID, "http://127.0.0.1:9/moved")]


async def test_reset_forgets_all_but_the_configured_endpoint(own_standin: Standin) -> None:
    own_standin.start()
    async with client_of(own_standin) as api, StripeControl(own_standin.url) as control:
        await api.paid()
        await control.fault("GET", "/v1/charges", "429", count=None)
        await control.chaos(drop=["*"])
        await control.reset()
        assert await control.faults() == []
        assert (await api.v1.charges.list_async()).data == []
        assert (await api.v1.events.list_async()).data == []
        assert [one.id for one in (await api.v1.webhook_endpoints.list_async()).data] == [CONFIGURED_ID]
        assert (await api.paid()).status == "succeeded"


async def test_it_starts_and_ends_quickly_even_with_a_request_under_way(own_standin: Standin) -> None:
    # A second of work would be seen in minutes of tests; the bounds leave room for a busy machine.
    assert own_standin.start() < 15
    async with client_of(own_standin) as api, StripeControl(own_standin.url) as control:
        await control.fault("GET", "/v1/charges", "latency", seconds=30)
        hanging = asyncio.create_task(api.v1.charges.list_async())
        await asyncio.sleep(0.1)
        seconds = await asyncio.to_thread(own_standin.stop)
        assert seconds < 5
        with pytest.raises(stripe.StripeError):
            await hanging
        api.http.seen.clear()


async def test_it_answers_quickly(api: Api) -> None:
    await api.paid()
    seconds = []
    for _ in range(30):
        began = time.perf_counter()
        await api.intent()
        seconds.append(time.perf_counter() - began)
    # 5 ms on a quiet machine, the SDK's own time aside.
    assert statistics.median(seconds) < 0.15


def test_it_listens_on_loopback_only(standin: Standin) -> None:
    found = subprocess.run(["/bin/sh", "-c", "hostname -I"], capture_output=True, text=True, check=False)
    for address in found.stdout.split():
        if ":" in address or address.startswith("127."):
            continue
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://{address}:{standin.port}/healthz", trust_env=False, timeout=2)


def test_the_command_line_explains_itself() -> None:
    argv = [sys.executable, "-m", "devstack.stripe_standin"]
    helped = subprocess.run([*argv, "--help"], capture_output=True, text=True, check=True)
    assert "--webhook-secret" in helped.stdout
    half = subprocess.run(
        [*argv, "--data-dir", "x", "--webhook-url", "http://a"], capture_output=True, check=False
    )
    assert half.returncode == 2

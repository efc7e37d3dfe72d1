"""While Temporal does not answer, events are stored, and what waits for it in a gateway is bounded."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest

from api.dispatches import Dispatches
from api.main import create_app
from config import Settings
from devstack.stripe_standin.deliveries import sign
from tests.api.conftest import SECRET

EVENTS = 300
# Twelve are being sent, a hundred wait.
AT_MOST = 112


@pytest.fixture
async def silence() -> AsyncIterator[str]:
    """The address of a Temporal that takes connections and says nothing."""
    writers: list[asyncio.StreamWriter] = []

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for writer in writers:
        writer.close()
    server.close()


async def send_event(http: httpx.AsyncClient) -> int:
    """The answer's status, when all that the gateway does about the event is done."""
    subject = {"id": f"ch_{uuid.uuid4().hex}", "balance_transaction": f"txn_{uuid.uuid4().hex}"}
    event = {"id": f"evt_{uuid.uuid4().hex}", "type": "charge.succeeded", "data": {"object": subject}}
    payload = json.dumps(event)
    headers = {"Stripe-Signature": sign(payload, [SECRET], int(time.time()))}
    return (await http.post("/v1/webhooks/stripe", content=payload, headers=headers)).status_code


async def test_a_bounded_number_waits_for_temporal(environment: dict[str, str], silence: str) -> None:
    values = {name.lower(): value for name, value in environment.items()}
    app = create_app(Settings.model_validate(values | {"temporal_address": silence}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http,
    ):
        sent = [asyncio.create_task(send_event(http)) for _ in range(EVENTS)]
        done, waiting = await asyncio.wait(sent, timeout=2)
        end = time.monotonic() + 60
        while len(waiting) > AT_MOST and time.monotonic() < end:
            done, waiting = await asyncio.wait(sent, timeout=0.2)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        url = environment["DATABASE_URL"].replace("+psycopg", "", 1)
        async with await psycopg.AsyncConnection.connect(url) as connection:
            rows = await (await connection.execute("SELECT count(*) FROM inbound_event")).fetchall()
    assert 0 < len(waiting) <= AT_MOST
    assert rows == [(EVENTS,)], "all are stored"
    assert {task.result() for task in done} == {200}


async def test_what_somebody_else_has_sent_meanwhile_is_not_sent_again() -> None:
    dispatches, answer, sent = Dispatches(), asyncio.Event(), list[str]()

    async def event(name: str, *, dispatched: bool) -> None:
        async def send() -> None:
            sent.append(name)
            await answer.wait()

        async def is_dispatched() -> bool:
            return dispatched

        await dispatches.run(name, send, is_dispatched)

    at_once = [asyncio.create_task(event("at once", dispatched=False)) for _ in range(12)]
    await asyncio.sleep(0)
    later = [asyncio.create_task(event(f"later {one}", dispatched=one == 1)) for one in (1, 2)]
    await asyncio.sleep(0)
    assert sent == ["at once"] * 12
    answer.set()
    await asyncio.gather(*at_once, *later)
    assert sent[12:] == ["later 2"]

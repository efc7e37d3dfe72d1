"""Histories of the running product can't be read without the keys; the UI's codec server opens them."""

import asyncio
import base64
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads
from temporalio.client import Client

from api.codec_relay import OperatorSession, make_codec_relay
from devstack.paths import PROJECT
from devstack.ports import free_ports
from devstack.processes import find_program
from devstack.shopper import wait_for
from domain.errors import Forbidden, Unauthenticated, Unavailable
from tests.e2e.conftest import Shop

UI = "http://localhost:8233"


@pytest.fixture(scope="module")
async def input_of_an_order(shop: Shop) -> tuple[str, Payloads]:
    """The id of an order, and its workflow's arguments as Temporal keeps them."""
    learner = await shop.learner()
    order = await shop.buy(learner)
    client = await Client.connect(
        shop.stack.env["TEMPORAL_ADDRESS"], namespace=shop.stack.env["TEMPORAL_NAMESPACE"]
    )
    history = await client.get_workflow_handle(order["workflow_id"]).fetch_history()
    kept = history.to_json()
    assert "json/plain" not in kept
    assert order["payments"][0]["id"] not in kept
    return order["id"], history.events[0].workflow_execution_started_event_attributes.input


async def ask(shop: Shop, payloads: Payloads, **headers: str) -> httpx.Response:
    body = json_format.MessageToJson(payloads)
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.post(f"{shop.gateway}/codec/decode", content=body, headers=headers)


async def test_an_operator_reads_a_history_through_the_codec(
    shop: Shop, input_of_an_order: tuple[str, Payloads]
) -> None:
    order_id, kept = input_of_an_order
    assert order_id.encode() not in kept.SerializeToString()
    operator = await shop.operator()
    answer = await ask(
        shop, kept, authorization=f"Bearer {operator.token}", origin=shop.stack.urls.temporal_ui
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == shop.stack.urls.temporal_ui
    opened = json_format.Parse(answer.content, Payloads())
    assert order_id.encode() in opened.payloads[0].data


async def test_another_site_is_not_allowed_to_read_the_answer(
    shop: Shop, input_of_an_order: tuple[str, Payloads]
) -> None:
    operator = await shop.operator()
    answer = await ask(
        shop,
        input_of_an_order[1],
        authorization=f"Bearer {operator.token}",
        origin="https://elsewhere.example",
    )
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"payloads": 1}'])
async def test_what_is_no_payload_is_refused(shop: Shop, body: bytes) -> None:
    operator = await shop.operator()
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(
            f"{shop.gateway}/codec/decode",
            content=body,
            headers={"authorization": f"Bearer {operator.token}"},
        )
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"


async def test_who_is_no_operator_reads_nothing(shop: Shop, input_of_an_order: tuple[str, Payloads]) -> None:
    learner = await shop.learner()
    assert (await ask(shop, input_of_an_order[1])).status_code == 401
    answer = await ask(shop, input_of_an_order[1], authorization=f"Bearer {learner.token}")
    assert answer.status_code == 403


# --- the relay, for UIs without a sign-in --------------------------------------------------------------


@asynccontextmanager
async def relay(session: OperatorSession) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the relay's own pages."""
    transport = httpx.ASGITransport(make_codec_relay(session, [UI]))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8234") as client:
        yield client


async def test_the_relay_opens_what_its_operator_may(
    shop: Shop, input_of_an_order: tuple[str, Payloads]
) -> None:
    order_id, kept = input_of_an_order
    body = json_format.MessageToJson(kept)
    async with httpx.AsyncClient(trust_env=False) as http:
        session = OperatorSession(http, shop.gateway + "/")
        await session.sign_in("operator@example.com", "commerce-demo")
        async with relay(session) as page:
            answer = await page.post("/decode?preserveStorageRefs=true", content=body, headers={"Origin": UI})
            assert answer.headers["Access-Control-Allow-Origin"] == UI
            opened = json_format.Parse(answer.content, Payloads())
            assert order_id.encode() in opened.payloads[0].data
            sealed = await page.post("/encode", content=json_format.MessageToJson(opened))
            assert order_id not in sealed.text
            # A page that a name server leads here is of another origin.
            refused = await page.post("/decode", content=body, headers={"Origin": "http://evil.example:8234"})
            assert refused.status_code == 403
            assert order_id not in refused.text
            # Many requests of one page at the end of a token: it is renewed once, or its family would end.
            session._access_token = "ended"
            answers = await asyncio.gather(*(page.post("/decode", content=body) for _ in range(8)))
            assert {answer.status_code for answer in answers} == {200}


async def test_the_relay_says_when_its_session_has_ended(shop: Shop) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        session = OperatorSession(http, shop.gateway)
        await session.sign_in("operator@example.com", "commerce-demo")
        await http.post(f"{shop.gateway}/v1/auth/logout", json={"refresh_token": session._refresh_token})
        session._access_token = "ended"
        async with relay(session) as page:
            answer = await page.post("/decode", json={"payloads": []})
    assert answer.status_code == 401
    assert "start this again" in answer.json()["detail"]


async def test_the_relay_serves_operators_only(shop: Shop) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        session = OperatorSession(http, shop.gateway)
        with pytest.raises(Forbidden):
            await session.sign_in("learner@example.com", "commerce-demo")
        with pytest.raises(Unauthenticated):
            await session.sign_in("operator@example.com", "wrong")
        with pytest.raises(Unavailable):
            await OperatorSession(http, "http://127.0.0.1:9").sign_in("operator@example.com", "commerce-demo")


async def shown(shop: Shop, order_id: str, *codec: str) -> str:
    """What Temporal's own command shows of an order's history."""
    process = await asyncio.create_subprocess_exec(
        *(find_program("temporal"), "workflow", "show", "--workflow-id", f"order/{order_id}"),
        *("--address", shop.stack.env["TEMPORAL_ADDRESS"]),
        *("--namespace", shop.stack.env["TEMPORAL_NAMESPACE"], "--output", "json", *codec),
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    return printed.decode()


async def test_temporals_command_shows_opened_histories(
    shop: Shop, input_of_an_order: tuple[str, Payloads]
) -> None:
    order_id = input_of_an_order[0]
    opened = base64.b64encode(f'{{"order_id":"{order_id}"}}'.encode()).decode()
    assert opened not in await shown(shop, order_id)
    operator = await shop.operator()
    own = ("--codec-endpoint", f"{shop.gateway}/codec", "--codec-auth", f"Bearer {operator.token}")
    assert opened in await shown(shop, order_id, *own)
    (port,) = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "cli.py", "codec", "--gateway", shop.gateway),
        *("--username", "operator@example.com", "--port", str(port)),
        cwd=PROJECT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # else it asks the terminal of who runs the tests
    )
    try:
        assert process.stdin is not None
        process.stdin.write(b"commerce-demo\n")
        await process.stdin.drain()
        endpoint = f"http://localhost:{port}"

        async def is_there() -> bool:
            try:
                async with httpx.AsyncClient(trust_env=False) as http:
                    return (await http.get(f"{endpoint}/decode")).status_code == 405
            except httpx.ConnectError:
                return False

        assert await wait_for(is_there, bool, what="the relay")
        assert opened in await shown(shop, order_id, "--codec-endpoint", endpoint)
    finally:
        process.terminate()
        await process.wait()

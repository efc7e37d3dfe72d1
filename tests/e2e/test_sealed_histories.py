"""Histories of the running product can't be read without the keys; the UI's codec server opens them."""

import httpx
import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads
from temporalio.client import Client

from tests.e2e.conftest import Shop


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

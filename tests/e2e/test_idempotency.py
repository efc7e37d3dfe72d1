"""One key, one effect: replays, storms, reuse, and a gateway that dies between effect and answer."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from devstack.shopper import US_ADDRESS, Shopper, wait_for
from domain import ids
from domain.messages import REFUND, RefundInput
from tests.api.storms import IN_USE, status_and_code, storm
from tests.e2e.conftest import Shop

KEYS = 100
CALLERS = 32


async def test_a_replay_is_the_same_answer_byte_for_byte(shop: Shop) -> None:
    learner = await shop.learner()
    await learner.add("python-101")
    key = str(uuid.uuid4())
    body = {"billing_address": US_ADDRESS}
    first = await learner.send("POST", "/v1/checkout", body, key=key)
    again = await learner.send("POST", "/v1/checkout", body, key=f'"{key}"')
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_a_refusal_is_replayed_too(shop: Shop) -> None:
    learner = await shop.learner()
    key = str(uuid.uuid4())
    first = await learner.send("POST", "/v1/checkout", {"billing_address": US_ADDRESS}, key=key)
    assert (first.status_code, first.json()["code"]) == (409, "cart_empty")
    await learner.add("python-101")
    again = await learner.send("POST", "/v1/checkout", {"billing_address": US_ADDRESS}, key=key)
    assert again.status_code == 409
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_another_body_under_the_same_key_is_refused(shop: Shop) -> None:
    learner = await shop.learner()
    await learner.add("python-101")
    key = str(uuid.uuid4())
    await learner.send("POST", "/v1/checkout", {"billing_address": US_ADDRESS}, key=key)
    other = await learner.send("POST", "/v1/checkout", {"billing_address": {"country": "DE"}}, key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    elsewhere = await learner.send("PUT", "/v1/cart/promo", {"code": "X"}, key=key)
    assert elsewhere.json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_missing_or_overlong_key_is_refused(shop: Shop, key: str) -> None:
    learner = await shop.learner()
    item = await learner.item("python-101")
    headers = {"Authorization": f"Bearer {learner.token}", "Idempotency-Key": key}
    answer = await learner._http.post(
        f"{shop.gateway}/v1/cart/items", json={"item_id": item["id"], "quantity": 1}, headers=headers
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")


async def test_a_shape_error_releases_the_key(shop: Shop) -> None:
    learner = await shop.learner()
    await learner.add("python-101")
    key = str(uuid.uuid4())
    bad = await learner.send("POST", "/v1/checkout", {"billing_address": {"country": "nowhere"}}, key=key)
    assert bad.status_code == 422
    assert bad.json()["errors"]
    mended = await learner.send("POST", "/v1/checkout", {"billing_address": US_ADDRESS}, key=key)
    assert mended.status_code == 201


async def test_keys_belong_to_their_caller(shop: Shop) -> None:
    first, second = await shop.learner(), await shop.learner()
    item = await first.item("python-101")
    body = {"item_id": item["id"], "quantity": 1}
    key = str(uuid.uuid4())
    one = await first.send("POST", "/v1/cart/items", body, key=key)
    two = await second.send("POST", "/v1/cart/items", body, key=key)
    assert one.json()["id"] != two.json()["id"]


async def forget_the_answer(shop: Shop, key: str) -> None:
    """As when the gateway was killed before it stored one."""
    statement = "UPDATE idempotency_record SET status_code = NULL, response_sealed = NULL WHERE key = %s"
    forgotten = await shop.query(f"{statement} RETURNING key", key)
    assert len(forgotten) == 1


async def test_a_repeat_gets_its_answer_also_when_the_workflow_has_ended(shop: Shop) -> None:
    """Done or refused: what the first try began is what its key says."""
    operator, learner = await shop.operator(), await shop.learner()
    await learner.add("python-101")
    bought, back, too_much = (str(uuid.uuid4()) for _ in range(3))
    address = {"billing_address": US_ADDRESS}
    answer = await learner.call("POST", "/v1/checkout", address, key=bought)
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    order = await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    await until_closed(shop, ids.order_workflow_id(order["id"]))
    await forget_the_answer(shop, bought)
    again = await learner.send("POST", "/v1/checkout", address, key=bought)
    assert (again.status_code, again.json()["order"]["id"]) == (201, order["id"])

    path = f"/v1/orders/{order['id']}/refunds"
    whole, more = {"reason": "all of it"}, {"amount": {"amount": 10**6, "currency": "USD"}, "reason": "more"}
    refused = await operator.send("POST", path, more, key=too_much)
    assert status_and_code(refused) == (409, "refund_exceeds_paid")
    refund = (await operator.call("POST", path, whole, key=back))["refund"]
    await learner.wait_for_status(order["id"], "refunded")
    await until_closed(shop, ids.refund_workflow_id(refund["id"]))
    for key in (back, too_much):
        await forget_the_answer(shop, key)
    again = await operator.send("POST", path, whole, key=back)
    assert (again.status_code, again.json()["refund"]["id"]) == (202, refund["id"])
    again = await operator.send("POST", path, more, key=too_much)
    assert status_and_code(again) == (409, "refund_exceeds_paid")

    # As the recovery begins it: nobody asked this run for an answer.
    client, workflow_id = await temporal_of(shop), ids.refund_workflow_id(refund["id"])
    await client.start_workflow(
        REFUND, RefundInput(refund["id"]), id=workflow_id, task_queue=shop.stack.env["TEMPORAL_TASK_QUEUE"]
    )
    await until_closed(shop, workflow_id)
    await forget_the_answer(shop, back)
    again = await operator.send("POST", path, whole, key=back)
    assert (again.status_code, again.json()["refund"]["id"]) == (202, refund["id"])


async def temporal_of(shop: Shop) -> Client:
    """Without the keys of its payloads."""
    return await Client.connect(shop.stack.urls.temporal, namespace=shop.stack.env["TEMPORAL_NAMESPACE"])


async def until_closed(shop: Shop, workflow_id: str) -> None:
    """Wait for the end of a workflow."""
    handle = (await temporal_of(shop)).get_workflow_handle(workflow_id)
    await wait_for(handle.describe, lambda found: found.status is not WorkflowExecutionStatus.RUNNING)


async def test_a_storm_of_checkouts_makes_one_order_and_one_charge(shop: Shop) -> None:
    """3 carts x 32 callers through HTTP and workflows: each gets the one order, or is told to wait."""
    for _ in range(3):
        learner = await shop.learner()
        await learner.add("python-101")
        key = str(uuid.uuid4())

        async def call(who: Shopper = learner, name: str = key) -> httpx.Response:
            return await who.send("POST", "/v1/checkout", {"billing_address": US_ADDRESS}, key=name)

        answers = await asyncio.gather(*(call() for _ in range(CALLERS)))
        assert {status_and_code(answer) for answer in answers} <= {(201, ""), IN_USE}
        assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
        orders = (await learner.call("GET", "/v1/orders"))["data"]
        assert len(orders) == 1
        assert len(orders[0]["payments"]) == 1


async def test_a_storm_of_keys_has_one_effect_each(shop: Shop) -> None:
    """100 keys x 32 callers on a database write that nothing else makes one."""
    operator = await shop.operator()

    async def send(body: dict[str, Any], key: str) -> httpx.Response:
        return await operator.send("POST", "/v1/webhook-endpoints", body, key=key)

    async def count(description: str) -> int:
        statement = "SELECT count(*) AS n FROM webhook_endpoint WHERE description = %s"
        return int((await shop.query(statement, description))[0]["n"])

    assert await storm(send, count, keys=KEYS, callers=CALLERS) == set()
    await shop.query(
        "UPDATE webhook_endpoint SET active = false, disabled_at = now(), disabled_by = 'operator', "
        "disabled_reason = 'deleted', deleted_at = now() WHERE description LIKE 'storm %%' RETURNING id"
    )


async def test_a_storm_in_which_the_gateway_is_killed_has_one_effect_each(shop: Shop) -> None:
    """8 rotations of a secret and 2 checkouts, 16 callers a key; kill -9 once a few were answered."""
    operator = await shop.operator()
    body = {"url": shop.stack.urls.payout, "event_types": ["dispute.lost"]}
    endpoints = [(await operator.call("POST", "/v1/webhook-endpoints", body))["id"] for _ in range(8)]
    learners = [await shop.learner() for _ in range(2)]
    for learner in learners:
        await learner.add("python-101")
    checkout = {"billing_address": US_ADDRESS}
    writes: list[tuple[Shopper, str, Any, str]] = [
        *((operator, f"/v1/webhook-endpoints/{one}/rotate-secret", None, f"kill-{one}") for one in endpoints),
        *((learner, "/v1/checkout", checkout, f"kill-{learner.user['id']}") for learner in learners),
    ]
    answered, interrupted = asyncio.Semaphore(0), 0

    async def call(write: tuple[Shopper, str, Any, str]) -> bytes:
        """What a front end does: the same key again until there is an answer."""
        nonlocal interrupted
        who, path, sent, key = write
        while True:
            try:
                answer = await who.send("POST", path, sent, key=key)
            except httpx.TransportError:
                interrupted += 1
            else:
                if answer.status_code < 300:
                    answered.release()
                    return answer.content
                assert answer.status_code == 503 or status_and_code(answer) == IN_USE, answer.text
                assert answer.headers["Retry-After"]
            await asyncio.sleep(0.2)

    callers = [asyncio.create_task(call(write)) for _ in range(16) for write in writes]
    for _ in range(5):
        await answered.acquire()
    await shop.stack.kill("gateway")
    await shop.stack.restart("gateway")
    answers = await asyncio.gather(*callers)
    assert interrupted
    for number, write in enumerate(writes):
        assert len(set(answers[number :: len(writes)])) == 1, write[1]
    versions = await shop.query("SELECT version FROM webhook_endpoint WHERE id = ANY(%s::uuid[])", endpoints)
    assert [row["version"] for row in versions] == [2] * len(endpoints)
    for learner in learners:
        (order,) = (await learner.call("GET", "/v1/orders"))["data"]
        assert len(order["payments"]) == 1
        await learner.call("POST", f"/v1/orders/{order['id']}/cancel", {})
    for one in endpoints:
        await operator.call("DELETE", f"/v1/webhook-endpoints/{one}")

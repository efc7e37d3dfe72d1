"""One key, one effect: replays, storms, reuse, and a gateway that dies between effect and answer."""

import asyncio
import uuid
from collections import Counter
from typing import Any

import httpx
import pytest

from devstack.shopper import US_ADDRESS, Shopper
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
    retried = await learner.send("POST", "/v1/checkout", {"billing_address": {"country": "nowhere"}}, key=key)
    assert "Idempotent-Replayed" not in retried.headers


async def test_keys_belong_to_their_caller(shop: Shop) -> None:
    first, second = await shop.learner(), await shop.learner()
    item = await first.item("python-101")
    body = {"item_id": item["id"], "quantity": 1}
    key = str(uuid.uuid4())
    one = await first.send("POST", "/v1/cart/items", body, key=key)
    two = await second.send("POST", "/v1/cart/items", body, key=key)
    assert one.json()["id"] != two.json()["id"]


async def test_a_storm_of_checkouts_makes_one_order_and_one_charge(shop: Shop) -> None:
    """3 carts x 32 callers through HTTP and workflows."""
    for _ in range(3):
        learner = await shop.learner()
        await learner.add("python-101")
        key = str(uuid.uuid4())

        async def call(who: Shopper = learner, name: str = key) -> tuple[int, bytes]:
            answer = await who.send("POST", "/v1/checkout", {"billing_address": US_ADDRESS}, key=name)
            return answer.status_code, answer.content if answer.status_code == 201 else b""

        outcomes = await asyncio.gather(*(call() for _ in range(CALLERS)))
        assert {status for status, _ in outcomes} <= {201, 409}
        assert len({body for status, body in outcomes if status == 201}) == 1
        orders = (await learner.call("GET", "/v1/orders"))["data"]
        assert len(orders) == 1
        assert len(orders[0]["payments"]) == 1


async def test_a_storm_of_keys_has_one_effect_each(shop: Shop) -> None:
    """100 keys x 32 callers on a database write."""
    operator = await shop.operator()
    run = uuid.uuid4().hex[:8]

    async def call(number: int) -> int:
        body = {"code": f"STORM{run}{number}".upper(), "kind": "percent", "percent_bp": 100}
        answer = await operator.send("POST", "/v1/promotions", body, key=f"storm-{run}-{number}")
        return answer.status_code

    gate = asyncio.Semaphore(64)

    async def gated(number: int) -> int:
        async with gate:
            return await call(number)

    statuses = Counter(await asyncio.gather(*(gated(n % KEYS) for n in range(KEYS * CALLERS))))
    assert set(statuses) <= {201, 409}
    assert statuses[201] >= KEYS
    made = await shop.query("SELECT count(*) AS n FROM promotion WHERE code LIKE %s", f"STORM{run}%".upper())
    assert made[0]["n"] == KEYS


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
                assert answer.status_code in (409, 503), answer.text
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

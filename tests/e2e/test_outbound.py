"""Outbound events as an operator handles them: rotate, switch off and on, redeliver, replay, read the log."""

import asyncio
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from commands.live_system import replay_with
from devstack.shopper import Shopper, wait_for
from tests.e2e.conftest import Shop
from tests.e2e.oracle import settings_of
from tests.lms.processes import Recorded, Recorder


@pytest.fixture
def receiver() -> Iterator[Recorder]:
    """Somebody's receiver."""
    recorder = Recorder()
    yield recorder
    recorder.close()


async def free_order(shop: Shop) -> dict[str, Any]:
    """A purchase of which one event of the tests' type comes."""
    learner = await shop.learner()
    await learner.add("python-101")
    await learner.promo("FREE100")
    answer: dict[str, Any] = (await learner.checkout())["order"]
    return answer


async def arrived(receiver: Recorder, count: int) -> list[Recorded]:
    async def look() -> list[Recorded]:
        return receiver.requests

    await wait_for(look, lambda found: len(found) >= count, what=f"{count} requests")
    await asyncio.sleep(0.2)
    assert len(receiver.requests) == count
    return receiver.requests


async def make_endpoint(operator: Shopper, receiver: Recorder) -> dict[str, Any]:
    body = {"url": receiver.url, "event_types": ["order.paid"], "description": "of a test"}
    made: dict[str, Any] = await operator.call("POST", "/v1/webhook-endpoints", body)
    return made


def verifies(secret: str, request: Recorded) -> bool:
    try:
        Webhook(secret).verify(request.body, request.headers)
    except WebhookVerificationError:
        return False
    return True


async def test_while_a_secret_rotates_receivers_may_know_either(shop: Shop, receiver: Recorder) -> None:
    operator = await shop.operator()
    endpoint = await make_endpoint(operator, receiver)
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    try:
        second = await operator.call("POST", f"{path}/rotate-secret")
        await free_order(shop)
        (request,) = await arrived(receiver, 1)
        assert len(request.headers["webhook-signature"].split(" ")) == 2
        assert verifies(endpoint["secret"], request)
        assert verifies(second["secret"], request)

        third = await operator.call("POST", f"{path}/rotate-secret", {"overlap_hours": 0})
        await free_order(shop)
        request = (await arrived(receiver, 2))[1]
        assert len(request.headers["webhook-signature"].split(" ")) == 1
        assert [verifies(made["secret"], request) for made in (endpoint, second, third)] == [
            False,
            False,
            True,
        ]
    finally:
        await operator.call("DELETE", path)


async def test_what_was_missed_is_sent_again(shop: Shop, receiver: Recorder) -> None:
    operator = await shop.operator()
    endpoint = await make_endpoint(operator, receiver)
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    since = datetime.now(UTC)
    try:
        # One event again, under its old id.
        await free_order(shop)
        (first,) = await arrived(receiver, 1)
        (delivery,) = (await operator.call("GET", f"{path}/deliveries"))["data"]
        redelivery = f"/v1/webhook-deliveries/{delivery['id']}/redeliver"
        answer = await operator.send("POST", redelivery)
        assert (answer.status_code, answer.json()["status"]) == (202, "pending")
        second = (await arrived(receiver, 2))[1]
        assert (second.body, second.headers["webhook-id"]) == (first.body, first.headers["webhook-id"])
        log = await operator.call("GET", f"/v1/webhook-deliveries/{delivery['id']}")
        assert [(one["attempt"], one["outcome"]) for one in log["log"]] == [(1, "delivered")] * 2
        assert log["log"][0]["request"]["body"] == first.body.decode()
        assert log["log"][0]["response"]["status_code"] == 200

        # Off: nothing comes, nothing can be asked for. On again: what was missed comes by the replay.
        await operator.call("PATCH", path, {"active": False})
        off = await operator.send("POST", redelivery)
        assert (off.status_code, off.json()["code"]) == (409, "endpoint_disabled")
        body = {"since": since.isoformat(), "only_undelivered": True}
        off = await operator.send("POST", f"{path}/replay", body)
        assert (off.status_code, off.json()["code"]) == (409, "endpoint_disabled")
        await free_order(shop)
        await operator.call("PATCH", path, {"active": True})
        await arrived(receiver, 2)
        key = str(uuid.uuid4())
        replay = await operator.call("POST", f"{path}/replay", body, key=key)
        assert replay["events"] == 1
        assert replay["workflow_id"] == f"replay/{replay['id']}"
        await arrived(receiver, 3)
        assert await operator.call("POST", f"{path}/replay", body, key=key) == replay
        await arrived(receiver, 3)

        # `commerce events replay` sends everything.
        settings = settings_of(shop.stack)
        assert await replay_with(settings, endpoint["id"], since, only_undelivered=False) == 2
        requests = await arrived(receiver, 5)
        assert len({request.headers["webhook-id"] for request in requests}) == 2
    finally:
        await operator.call("DELETE", path)
    gone = await operator.send("PATCH", path, {"active": True})
    assert (gone.status_code, gone.json()["code"]) == (409, "endpoint_disabled")


async def test_an_endpoint_that_is_mended_gets_what_waits_at_once(shop: Shop, receiver: Recorder) -> None:
    operator = await shop.operator()
    endpoint = await make_endpoint(operator, receiver)
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    try:
        receiver.statuses = [503] * 2
        await free_order(shop)
        await wait_for(
            lambda: operator.call("GET", f"{path}/deliveries?status=pending"),
            lambda found: bool(found["data"]) and found["data"][0]["attempts"] == 2,
            what="the second attempt",
        )
        # The next attempt is due in five minutes, unless the operator mends the address.
        await operator.call("PATCH", path, {"url": f"{receiver.url}/mended"})
        requests = await arrived(receiver, 3)
        assert requests[2].path.endswith("/mended")
    finally:
        await operator.call("DELETE", path)

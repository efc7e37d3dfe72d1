"""Faults on request: before the effect, after it, instead of an answer."""

import time
import uuid

import pytest
import stripe

from devstack.stripe_standin.control import StripeControl
from tests.stripe_standin.conftest import Api
from tests.stripe_standin.process import Standin

INTENTS = "/v1/payment_intents"


async def test_a_connection_cut_after_the_effect_leaves_one_intent(api: Api, control: StripeControl) -> None:
    key = f"cut-{uuid.uuid4()}"
    await control.fault("POST", INTENTS, "cut_after", count=2)
    for _ in range(2):
        with pytest.raises(stripe.APIConnectionError):
            await api.intent(key=key)
    found = await api.intent(key=key)
    assert api.last.headers["idempotent-replayed"] == "true"
    assert await control.effects(key) == {key: 1}
    assert await api.events_about(found.id) == ["payment_intent.created"]


async def test_a_500_after_the_effect_is_replayed_and_the_effect_is_there(
    api: Api, control: StripeControl
) -> None:
    key, order = f"500-{uuid.uuid4()}", uuid.uuid4().hex
    await control.fault("POST", INTENTS, "500_after")
    for _ in range(2):
        with pytest.raises(stripe.APIError) as caught:
            await api.intent(key=key, metadata={"order_id": order})
        assert caught.value.http_status == 500
    newest = (await api.v1.payment_intents.list_async({"limit": 10})).data
    assert len([one for one in newest if one.metadata.to_dict() == {"order_id": order}]) == 1


async def test_a_500_of_the_edge_is_not_kept(api: Api, control: StripeControl) -> None:
    key = f"edge-{uuid.uuid4()}"
    await control.fault("POST", INTENTS, "500_after", kept=False, status=503)
    with pytest.raises(stripe.APIError) as caught:
        await api.intent(key=key)
    assert caught.value.http_status == 503
    await api.intent(key=key)
    assert await control.effects(key) == {key: 1}


async def test_a_500_before_the_effect_can_be_kept_too(api: Api, control: StripeControl) -> None:
    key = f"before-{uuid.uuid4()}"
    await control.fault("POST", INTENTS, "500_before", kept=True)
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            await api.intent(key=key)
    assert await control.effects(key) == {}


async def test_429_and_lock_timeout_say_whether_to_retry(api: Api, control: StripeControl) -> None:
    await control.fault("POST", INTENTS, "429")
    with pytest.raises(stripe.RateLimitError) as caught:
        await api.intent()
    assert caught.value.error is not None
    assert caught.value.error.code == "rate_limit"
    assert "stripe-should-retry" not in api.last.headers
    await control.fault("POST", INTENTS, "lock_timeout")
    with pytest.raises(stripe.RateLimitError):
        await api.intent()
    assert api.last.headers["stripe-should-retry"] == "true"


async def test_latency_and_a_timeout(api: Api, control: StripeControl) -> None:
    await control.fault("GET", INTENTS, "latency", seconds=0.3)
    began = time.monotonic()
    await api.v1.payment_intents.list_async()
    assert 0.3 <= time.monotonic() - began < 5
    key = f"timeout-{uuid.uuid4()}"
    await control.fault("POST", INTENTS, "timeout", seconds=0.1)
    with pytest.raises(stripe.APIConnectionError):
        await api.intent(key=key)
    assert await control.effects(key) == {key: 1}


async def test_faults_match_by_path_and_count(api: Api, control: StripeControl) -> None:
    await control.fault("POST", f"{INTENTS}/*/confirm", "429", count=1, skip=1)
    first, second = await api.intent(), await api.intent()
    await api.pay(first)
    with pytest.raises(stripe.RateLimitError):
        await api.pay(second)
    assert await control.faults() == []
    await api.pay(second)
    await control.fault("*", "/v1/**", "500_before", count=None)
    for _ in range(3):
        with pytest.raises(stripe.APIError):
            await api.v1.charges.list_async()
    await control.clear_faults()
    await api.v1.charges.list_async()


async def test_an_unknown_kind_of_fault_is_refused(control: StripeControl) -> None:
    with pytest.raises(Exception, match="400"):
        await control.fault("POST", INTENTS, "meteor")  # type: ignore[arg-type]


async def test_the_sdks_own_retries_work_against_it(
    api: Api, control: StripeControl, standin: Standin
) -> None:
    client = stripe.StripeClient("sk_test_x", base_addresses={"api": standin.url}, max_network_retries=2)
    await control.fault("POST", "/v1/customers", "500_before")
    made = client.v1.customers.create({"email": "a@example.com"})
    assert made.email == "a@example.com"

"""Signed deliveries, their retries and their disorder, checked with the SDK."""

import asyncio
import json
import time

import pytest
import stripe

from devstack.stripe_standin.control import StripeControl
from devstack.stripe_standin.endpoints import CONFIGURED_ID
from tests.stripe_standin.conftest import Api
from tests.stripe_standin.process import SECRET, Received, Receiver, eventually


def verified(delivery: Received, secret: str = SECRET) -> stripe.Event:
    return stripe.Webhook.construct_event(delivery.payload, delivery.signature, secret)  # type: ignore[no-untyped-call,no-any-return]


async def test_an_event_comes_signed_and_complete(api: Api, receiver: Receiver) -> None:
    intent = await api.intent(key="webhook-key-1")
    request_id = api.last.headers["request-id"]
    event = verified(await receiver.wait_for(intent.id, "payment_intent.created"))
    assert event.api_version == "2026-10-28.endive"
    assert event.request is not None
    assert (event.request.id, event.request.idempotency_key) == (request_id, "webhook-key-1")
    assert (event.pending_webhooks, event.livemode) == (1, False)
    assert event.data.object["id"] == intent.id
    await asyncio.sleep(0.1)
    assert (await api.v1.events.retrieve_async(event.id)).pending_webhooks == 0


async def test_a_wrong_secret_does_not_verify(api: Api, receiver: Receiver) -> None:
    intent = await api.intent()
    delivery = await receiver.wait_for(intent.id, "payment_intent.created")
    with pytest.raises(stripe.SignatureVerificationError):
        verified(delivery, "whsec_other")


async def test_a_delivery_is_repeated_until_it_is_taken(
    api: Api, control: StripeControl, receiver: Receiver
) -> None:
    receiver.failures_left = 2
    intent = await api.intent()
    await eventually(lambda: len(receiver.about(intent.id)) >= 3)
    copies = receiver.about(intent.id)
    assert len({copy.payload for copy in copies}) == 1
    event_id = copies[0].event["id"]
    await asyncio.sleep(0.1)
    (delivery,) = await control.deliveries(event_id)
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 3, 200)


async def test_duplicates_delay_and_wearing_off(api: Api, control: StripeControl, receiver: Receiver) -> None:
    await control.chaos(duplicate=4, delay_seconds=0.3, count=1)
    began = time.time()
    spoilt, healthy = await api.intent(), await api.intent()
    await eventually(lambda: len(receiver.about(spoilt.id)) >= 5)
    assert min(copy.at for copy in receiver.about(spoilt.id)) >= began + 0.3
    assert len(receiver.about(healthy.id)) == 1


async def test_dropped_events_are_in_the_list_and_can_be_sent_after_all(
    api: Api, control: StripeControl, receiver: Receiver
) -> None:
    await control.chaos(drop=["payment_intent.succeeded"])
    intent = await api.paid()
    await receiver.wait_for(str(intent.latest_charge), "charge.succeeded")
    await asyncio.sleep(0.1)
    assert "payment_intent.succeeded" not in receiver.types_about(intent.id)
    assert "payment_intent.succeeded" in await api.events_about(intent.id)
    await control.clear_chaos()
    assert await control.release_dropped() >= 1
    await receiver.wait_for(intent.id, "payment_intent.succeeded")


async def test_a_pause_and_then_the_reverse_order(
    api: Api, control: StripeControl, receiver: Receiver
) -> None:
    await control.pause_deliveries()
    intent = await api.paid()
    await asyncio.sleep(0.1)
    assert receiver.about(intent.id) == []
    await control.chaos(reorder=True)
    receiver.slow_type = b"payment_intent.succeeded"
    try:
        await control.resume_deliveries()
        await receiver.wait_for(intent.id, "payment_intent.created")
    finally:
        receiver.slow_type = None
    assert receiver.types_about(intent.id) == ["payment_intent.succeeded", "payment_intent.created"]


async def test_reordering_without_a_pause(api: Api, control: StripeControl, receiver: Receiver) -> None:
    await control.chaos(reorder=True)
    intent = await api.paid()
    await receiver.wait_for(intent.id, "payment_intent.created")
    assert receiver.types_about(intent.id) == ["payment_intent.succeeded", "payment_intent.created"]


async def test_an_old_secret_signs_on_request(api: Api, control: StripeControl, receiver: Receiver) -> None:
    await control.chaos(old_secret="whsec_old")
    intent = await api.intent()
    delivery = await receiver.wait_for(intent.id, "payment_intent.created")
    assert verified(delivery, "whsec_old").data.object["id"] == intent.id
    with pytest.raises(stripe.SignatureVerificationError):
        verified(delivery)


async def test_a_rolled_secret_signs_beside_the_new_one(
    api: Api, control: StripeControl, receiver: Receiver
) -> None:
    fresh = await control.roll_secret(CONFIGURED_ID)
    try:
        intent = await api.intent()
        delivery = await receiver.wait_for(intent.id, "payment_intent.created")
        assert delivery.signature.count("v1=") == 2
        assert verified(delivery, fresh).id == verified(delivery, SECRET).id
    finally:
        await control.roll_secret(CONFIGURED_ID, SECRET, overlap_seconds=0)


async def test_sending_an_event_again(api: Api, control: StripeControl, receiver: Receiver) -> None:
    intent = await api.intent()
    first = await receiver.wait_for(intent.id, "payment_intent.created")
    assert await control.send_again(first.event["id"]) >= 1
    await eventually(lambda: len(receiver.about(intent.id)) >= 2)
    assert receiver.about(intent.id)[1].payload == first.payload


async def test_endpoints_by_the_api(api: Api, receiver: Receiver) -> None:
    made = await api.v1.webhook_endpoints.create_async(
        {"url": receiver.url, "enabled_events": ["customer.created"]}
    )
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    assert "secret" not in (await api.v1.webhook_endpoints.retrieve_async(made.id)).to_dict()
    customer = await api.v1.customers.create_async({"email": "a@example.com"})
    intent = await api.intent()
    await eventually(lambda: len(receiver.about(customer.id)) >= 2)
    secrets = [SECRET, made.secret]
    good = [secret for secret in secrets for one in receiver.about(customer.id) if _verifies(one, secret)]
    assert sorted(good) == sorted(secrets)
    await eventually(lambda: len(receiver.about(intent.id)) >= 1)
    assert len(receiver.about(intent.id)) == 1
    changed = await api.v1.webhook_endpoints.update_async(made.id, {"disabled": True})
    assert changed.status == "disabled"
    listed = (await api.v1.webhook_endpoints.list_async()).data
    assert {made.id, CONFIGURED_ID} <= {one.id for one in listed}
    assert (await api.v1.webhook_endpoints.delete_async(made.id)).deleted is True
    with pytest.raises(stripe.InvalidRequestError):
        await api.v1.webhook_endpoints.retrieve_async(made.id)


def _verifies(delivery: Received, secret: str) -> bool:
    try:
        verified(delivery, secret)
    except stripe.SignatureVerificationError:
        return False
    return True


async def test_the_body_is_json_as_the_events_list_shows_it(api: Api, receiver: Receiver) -> None:
    intent = await api.intent()
    delivery = await receiver.wait_for(intent.id, "payment_intent.created")
    await api.v1.events.retrieve_async(delivery.event["id"])
    shown = {**api.last.body, "pending_webhooks": 1}
    assert json.loads(delivery.payload) == shown

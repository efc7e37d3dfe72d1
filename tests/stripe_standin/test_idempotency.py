"""Idempotency keys: replay, mismatch, keys in flight, what is kept and for how long."""

import asyncio
import uuid

import pytest
import stripe

from devstack.stripe_standin.control import StripeControl
from tests.stripe_standin.conftest import Api
from tests.stripe_standin.process import Standin


def fresh_key() -> str:
    return f"order/{uuid.uuid4()}/intent/1"


async def outcomes(control: StripeControl, key: str) -> list[str]:
    return [one.outcome for one in await control.requests(idempotency_key=key)]


async def test_the_same_request_is_answered_again_and_done_once(api: Api, control: StripeControl) -> None:
    key = fresh_key()
    first = await api.intent(key=key)
    executed = api.last
    again = await api.intent(key=key)
    assert again.id == first.id
    assert api.last.body == executed.body
    assert api.last.headers["idempotent-replayed"] == "true"
    assert api.last.headers["original-request"] == executed.headers["request-id"]
    assert "idempotent-replayed" not in executed.headers
    assert await outcomes(control, key) == ["executed", "replayed"]
    assert await control.effects(key) == {key: 1}


async def test_a_replay_shows_the_first_answer_not_the_present(api: Api) -> None:
    key = fresh_key()
    first = await api.intent(key=key)
    await api.pay(first)
    assert (await api.intent(key=key)).status == "requires_payment_method"


async def test_other_parameters_or_another_path_are_a_mismatch(api: Api, control: StripeControl) -> None:
    key = fresh_key()
    await api.intent(2000, key=key)
    with pytest.raises(stripe.IdempotencyError) as caught:
        await api.intent(2001, key=key)
    assert caught.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError):
        await api.v1.customers.create_async({"email": "a@example.com"}, {"idempotency_key": key})
    assert await control.effects(key) == {key: 1}


async def test_a_key_in_flight_is_a_conflict_and_nothing_is_kept_of_it(
    api: Api, control: StripeControl
) -> None:
    key = fresh_key()
    await control.fault("POST", "/v1/payment_intents", "latency", seconds=0.4)
    slow = asyncio.create_task(api.intent(key=key))
    await asyncio.sleep(0.15)
    with pytest.raises(stripe.APIError) as caught:
        await api.intent(key=key)
    assert caught.value.http_status == 409
    assert caught.value.error is not None
    assert caught.value.error.code == "idempotency_key_in_use"
    first = await slow
    assert (await api.intent(key=key)).id == first.id


async def test_a_decline_is_replayed_and_a_new_attempt_needs_a_new_key(
    api: Api, control: StripeControl
) -> None:
    intent, key = await api.intent(), fresh_key()
    params = {"payment_method": "pm_card_chargeDeclined"}
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            await api.v1.payment_intents.confirm_async(intent.id, params, {"idempotency_key": key})  # type: ignore[arg-type]
    assert api.last.headers["idempotent-replayed"] == "true"
    charges = (await api.v1.charges.list_async({"payment_intent": intent.id})).data
    assert len(charges) == 1
    assert (await api.pay(intent)).status == "succeeded"


async def test_a_refusal_by_state_is_kept(api: Api) -> None:
    intent, key = await api.paid(), fresh_key()
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError):
            await api.v1.payment_intents.cancel_async(intent.id, {}, {"idempotency_key": key})
    assert api.last.headers["idempotent-replayed"] == "true"


async def test_wrong_parameters_leave_the_key_free(api: Api, control: StripeControl) -> None:
    key = fresh_key()
    with pytest.raises(stripe.InvalidRequestError):
        await api.intent(1, key=key)
    assert (await api.intent(2000, key=key)).amount == 2000
    assert await outcomes(control, key) == ["refused", "executed"]


@pytest.mark.parametrize("kind", ["429", "lock_timeout", "500_before", "cut_before"])
async def test_what_was_not_begun_leaves_the_key_free(api: Api, control: StripeControl, kind: str) -> None:
    key = fresh_key()
    await control.fault("POST", "/v1/payment_intents", kind)  # type: ignore[arg-type]
    with pytest.raises(stripe.StripeError):
        await api.intent(key=key)
    await api.intent(key=key)
    assert await outcomes(control, key) == ["fault", "executed"]


async def test_a_wrong_api_key_leaves_the_key_free(
    api: Api, control: StripeControl, standin: Standin
) -> None:
    key = fresh_key()
    stranger = Api(standin.url, key="sk_live_no")
    with pytest.raises(stripe.AuthenticationError):
        await stranger.intent(key=key)
    stranger.check_all()
    await stranger.http.close_async()  # type: ignore[no-untyped-call]
    await api.intent(key=key)
    assert await outcomes(control, key) == ["refused", "executed"]


async def test_after_a_day_the_same_key_charges_again(api: Api, control: StripeControl) -> None:
    key = fresh_key()
    first = await api.intent(key=key)
    await control.advance_clock(24 * 3600 - 5)
    assert (await api.intent(key=key)).id == first.id
    await control.advance_clock(10)
    assert (await api.intent(key=key)).id != first.id
    assert await control.effects(key) == {key: 2}


async def test_keys_are_short_enough(api: Api) -> None:
    await api.intent(key=fresh_key().ljust(255, "x"))
    with pytest.raises(stripe.InvalidRequestError, match="255"):
        await api.intent(key="x" * 256)


async def test_each_key_is_used_by_one_of_many_at_once(api: Api, control: StripeControl) -> None:
    key = fresh_key()
    answers = await asyncio.gather(*(api.intent(key=key) for _ in range(8)), return_exceptions=True)
    assert len({one.id for one in answers if isinstance(one, stripe.PaymentIntent)}) == 1
    assert await control.effects(key) == {key: 1}

"""The payment intent's state machine, through the official SDK."""

from typing import Any

import httpx
import pytest
import stripe

from devstack.stripe_standin.control import StripeControl
from tests.stripe_standin.conftest import Api
from tests.stripe_standin.process import Standin


async def test_a_card_pays_and_the_fee_is_taken(api: Api) -> None:
    intent = await api.intent(1099, metadata={"order_id": "o-1"}, description="A course")
    assert intent.status == "requires_payment_method"
    assert intent.client_secret is not None
    assert intent.client_secret.startswith(f"{intent.id}_secret_")
    paid = await api.pay(intent, expand=["latest_charge.balance_transaction"])
    assert (paid.status, paid.amount_received) == ("succeeded", 1099)
    charge: Any = paid.latest_charge
    movement = charge.balance_transaction
    # 2.9 % of 10.99 is 0.31871: half up 0.32, and 0.30.
    assert (movement.fee, movement.net, movement.currency) == (62, 1037, "usd")
    assert movement.reporting_category == "charge"
    assert charge.metadata.to_dict() == {"order_id": "o-1"}
    assert await api.events_about(intent.id) == ["payment_intent.created", "payment_intent.succeeded"]
    assert await api.events_about(charge.id) == ["charge.succeeded"]


@pytest.mark.parametrize(
    ("amount", "fee"),
    [(1000, 59), (500, 45), (1500, 74), (50, 31), (1034, 60), (1035, 60), (99_999_999, 2_900_030)],
)
async def test_the_fee_is_rounded_half_up(api: Api, amount: int, fee: int) -> None:
    paid = await api.pay(await api.intent(amount), expand=["latest_charge.balance_transaction"])
    assert paid.latest_charge.balance_transaction.fee == fee  # type: ignore[union-attr]


async def test_creating_and_confirming_at_once(api: Api) -> None:
    intent = await api.intent(payment_method="pm_card_mastercard", confirm=True)
    assert intent.status == "succeeded"


async def test_a_payment_method_without_confirm_waits_for_confirmation(api: Api) -> None:
    intent = await api.intent(payment_method="pm_card_visa")
    assert intent.status == "requires_confirmation"
    assert (await api.v1.payment_intents.confirm_async(intent.id)).status == "succeeded"


async def test_an_intent_without_a_payment_method_is_not_confirmed(api: Api) -> None:
    intent = await api.intent()
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await api.v1.payment_intents.confirm_async(intent.id)
    assert caught.value.code == "payment_intent_unexpected_state"


async def test_a_declined_intent_takes_another_card(api: Api) -> None:
    intent = await api.intent()
    with pytest.raises(stripe.CardError) as caught:
        await api.pay(intent, "pm_card_chargeDeclined")
    assert caught.value.http_status == 402
    assert caught.value.error is not None
    assert caught.value.error.payment_intent is not None
    assert caught.value.error.payment_intent.id == intent.id
    failed = await api.v1.payment_intents.retrieve_async(intent.id)
    assert (failed.status, failed.payment_method) == ("requires_payment_method", None)
    assert failed.last_payment_error is not None
    assert failed.last_payment_error.decline_code == "generic_decline"
    paid = await api.pay(intent)
    assert (paid.status, paid.last_payment_error) == ("succeeded", None)
    assert await api.events_about(intent.id) == [
        "payment_intent.created",
        "payment_intent.payment_failed",
        "payment_intent.succeeded",
    ]


async def test_three_d_secure_finished_failed_and_left(api: Api, control: StripeControl) -> None:
    intent = await api.intent()
    waiting = await api.pay(intent, "pm_card_threeDSecure2Required")
    assert waiting.status == "requires_action"
    assert waiting.next_action is not None
    assert waiting.next_action.type == "use_stripe_sdk"
    failed = await control.fail_three_d_secure(intent.id)
    assert failed["last_payment_error"]["code"] == "payment_intent_authentication_failure"
    await api.pay(intent, "pm_card_authenticationRequired")
    assert (await control.finish_three_d_secure(intent.id))["status"] == "succeeded"
    left = await api.pay(await api.intent(), "pm_card_threeDSecure2Required")
    assert (await api.v1.payment_intents.cancel_async(left.id)).status == "canceled"
    assert (await api.events_about(intent.id))[1:] == [
        "payment_intent.requires_action",
        "payment_intent.payment_failed",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
    ]


async def test_the_banks_page_leads_back_to_the_shop(api: Api, standin: Standin) -> None:
    intent = await api.intent(
        automatic_payment_methods={"enabled": True}, return_url="https://shop.example/done?a=1"
    )
    waiting = await api.pay(intent, "pm_card_threeDSecure2Required")
    assert waiting.next_action is not None
    assert waiting.next_action.redirect_to_url is not None
    page = str(waiting.next_action.redirect_to_url.url)
    assert page.startswith(standin.url)
    async with httpx.AsyncClient(trust_env=False) as browser:
        shown = await browser.get(page)
        assert "Complete" in shown.text
        assert "$20.00 usd" in shown.text
        form = {"client_secret": intent.client_secret, "passed": "true"}
        answer = await browser.post(f"{standin.url}/3ds/{intent.id}", data=form)
        stranger = await browser.post(f"{standin.url}/3ds/{intent.id}", data=form | {"client_secret": "x"})
    back = answer.headers["location"]
    assert back.startswith("https://shop.example/done?a=1&payment_intent=")
    assert back.endswith("redirect_status=succeeded")
    assert stranger.status_code == 400
    assert (await api.v1.payment_intents.retrieve_async(intent.id)).status == "succeeded"


async def test_an_absent_customer_is_not_challenged_but_declined(api: Api) -> None:
    intent = await api.intent()
    with pytest.raises(stripe.CardError) as caught:
        await api.pay(intent, "pm_card_authenticationRequired", off_session=True)
    assert caught.value.code == "authentication_required"


async def test_a_bank_debit_is_processing_until_the_bank_decides(api: Api, control: StripeControl) -> None:
    intent = await api.paid(method="pm_usBankAccount_processing")
    assert intent.status == "processing"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await api.v1.payment_intents.cancel_async(intent.id)
    assert caught.value.code == "payment_intent_unexpected_state"
    assert (await control.settle(intent.id))["status"] == "succeeded"
    refused = await api.paid(method="pm_usBankAccount_success")
    assert (await control.fail(refused.id))["status"] == "requires_payment_method"
    assert await api.events_about(refused.id) == [
        "payment_intent.created",
        "payment_intent.processing",
        "payment_intent.payment_failed",
    ]


async def test_a_bank_debit_needs_dollars(api: Api) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await api.pay(await api.intent(currency="eur"), "pm_usBankAccount_success")
    assert caught.value.code == "payment_intent_incompatible_payment_method"


async def test_manual_capture_in_part(api: Api) -> None:
    intent = await api.paid(capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 2000)
    captured = await api.v1.payment_intents.capture_async(
        intent.id, {"amount_to_capture": 1500, "expand": ["latest_charge.balance_transaction"]}
    )
    assert (captured.status, captured.amount_received) == ("succeeded", 1500)
    assert captured.latest_charge.balance_transaction.amount == 1500  # type: ignore[union-attr]
    with pytest.raises(stripe.InvalidRequestError):
        await api.v1.payment_intents.capture_async(intent.id)


@pytest.mark.parametrize("method", ["confirm_async", "cancel_async"])
async def test_what_is_over_stays_over(api: Api, method: str) -> None:
    paid = await api.paid()
    canceled = await api.v1.payment_intents.cancel_async(
        (await api.intent()).id, {"cancellation_reason": "abandoned"}
    )
    assert canceled.cancellation_reason == "abandoned"
    for intent in (paid, canceled):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            await getattr(api.v1.payment_intents, method)(intent.id)
        assert caught.value.code == "payment_intent_unexpected_state"
        assert caught.value.error is not None
        assert caught.value.error.payment_intent is not None
        assert caught.value.error.payment_intent.status == intent.status


async def test_update_changes_amount_before_and_metadata_after_payment(api: Api) -> None:
    intent = await api.intent(metadata={"a": "1", "b": "2"})
    changed = await api.v1.payment_intents.update_async(intent.id, {"amount": 3000, "metadata": {"a": ""}})
    assert (changed.amount, changed.metadata.to_dict()) == (3000, {"b": "2"})
    await api.pay(intent)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await api.v1.payment_intents.update_async(intent.id, {"amount": 4000})
    assert caught.value.code == "payment_intent_unexpected_state"
    changed = await api.v1.payment_intents.update_async(
        intent.id, {"metadata": {"c": "3"}, "description": "x"}
    )
    assert (changed.metadata.to_dict(), changed.description) == ({"b": "2", "c": "3"}, "x")


async def test_confirm_needs_a_return_url_when_methods_may_redirect(api: Api) -> None:
    intent = await api.intent(automatic_payment_methods={"enabled": True})
    with pytest.raises(stripe.InvalidRequestError, match="return_url"):
        await api.pay(intent)
    assert (await api.pay(intent, return_url="https://shop.example")).status == "succeeded"
    given_before = await api.intent(
        automatic_payment_methods={"enabled": True}, return_url="https://shop.example"
    )
    assert (await api.pay(given_before)).status == "succeeded"


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        (49, "usd", "amount_too_small"),
        (29, "gbp", "amount_too_small"),
        (49, "jpy", "amount_too_small"),
        (100_000_000, "usd", "amount_too_large"),
        (1005, "kwd", "parameter_invalid_integer"),
        (0, "usd", "parameter_invalid_integer"),
    ],
)
async def test_amounts_that_cannot_be_charged(api: Api, amount: int, currency: str, code: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await api.intent(amount, currency)
    assert (caught.value.code, caught.value.param) == (code, "amount")


@pytest.mark.parametrize(("amount", "currency"), [(50, "usd"), (50, "jpy"), (1010, "kwd"), (5000, "eur")])
async def test_zero_and_three_decimal_currencies_pay(api: Api, amount: int, currency: str) -> None:
    paid = await api.paid(amount, currency=currency)
    movement = (await api.v1.balance_transactions.list_async({"source": str(paid.latest_charge)})).data[0]
    assert (movement.amount, movement.currency) == (amount, currency)
    assert movement.net == movement.amount - movement.fee


async def test_a_browser_confirms_with_the_client_secret_alone(api: Api, standin: Standin) -> None:
    intent = await api.intent(automatic_payment_methods={"enabled": True})
    url = f"{standin.url}/v1/payment_intents/{intent.id}"
    secret = {"client_secret": str(intent.client_secret)}
    async with httpx.AsyncClient(trust_env=False, headers={"authorization": "Bearer pk_test_x"}) as browser:
        assert (await browser.get(url)).json()["error"]["code"] == "parameter_missing"
        assert (await browser.get(url, params={"client_secret": "wrong"})).status_code == 400
        shown = (await browser.get(url, params=secret)).json()
        assert shown["status"] == "requires_payment_method"
        assert "metadata" not in shown
        card = {f"payment_method_data[{name}]": value for name, value in CARD.items()}
        paid = await browser.post(f"{url}/confirm", data=secret | card)
        assert paid.json()["status"] == "succeeded"
        assert paid.headers["access-control-allow-origin"] == "*"
        used = await api.v1.payment_methods.retrieve_async(paid.json()["payment_method"])
        assert used.card is not None
        assert used.card.exp_month == 12
        forbidden = await browser.get(f"{standin.url}/v1/charges")
        assert (forbidden.status_code, forbidden.json()["error"]["code"]) == (403, "secret_key_required")


CARD = {"type": "card", "card][number": "4242424242424242", "card][exp_month": "12", "card][exp_year": "2034"}

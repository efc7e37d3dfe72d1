"""Every named test payment method, and card numbers typed into a form."""

import asyncio
from typing import Any

import pytest
import stripe

from devstack.stripe_standin.cards import METHODS
from devstack.stripe_standin.control import StripeControl
from tests.stripe_standin.conftest import Api
from tests.stripe_standin.process import Receiver

DECLINES = {
    "pm_card_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", "expired_card"),
    "pm_card_chargeDeclinedProcessingError": ("processing_error", "processing_error"),
}
STATUSES = {
    "pm_card_authenticationRequired": "requires_action",
    "pm_card_threeDSecure2Required": "requires_action",
    "pm_usBankAccount_success": "processing",
    "pm_usBankAccount_processing": "processing",
    **dict.fromkeys(("pm_card_visa", "pm_card_mastercard", "pm_card_visa_debit"), "succeeded"),
    **dict.fromkeys(("pm_card_refundFail", "pm_card_pendingRefund"), "succeeded"),
    **dict.fromkeys(("pm_card_createDispute", "pm_card_createDisputeInquiry"), "succeeded"),
}


@pytest.mark.parametrize("name", DECLINES)
async def test_a_bad_card_is_declined_with_its_reason(api: Api, name: str) -> None:
    with pytest.raises(stripe.CardError) as caught:
        await api.paid(method=name)
    assert caught.value.error is not None
    assert (caught.value.code, caught.value.error.decline_code) == DECLINES[name]
    assert caught.value.error.charge is not None
    charge = await api.v1.charges.retrieve_async(caught.value.error.charge)
    assert (charge.status, charge.paid, charge.failure_code) == ("failed", False, DECLINES[name][0])
    assert await api.events_about(charge.id) == ["charge.failed"]


@pytest.mark.parametrize(("name", "status"), STATUSES.items())
async def test_other_methods_end_where_stripe_says(api: Api, name: str, status: str) -> None:
    intent = await api.paid(method=name)
    assert intent.status == status
    used = await api.v1.payment_methods.retrieve_async(str(intent.payment_method))
    assert used.id.startswith("pm_")
    assert used.id not in METHODS


async def test_the_remaining_methods_are_declined_or_pay(api: Api) -> None:
    for name in METHODS.keys() - DECLINES.keys() - STATUSES.keys():
        if METHODS[name].code is None:
            await api.paid(method=name)
        else:
            with pytest.raises(stripe.CardError):
                await api.paid(method=name)


async def test_an_unknown_method_is_refused(api: Api) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await api.paid(method="pm_card_nobody")
    assert (caught.value.code, caught.value.param) == ("resource_missing", "payment_method")


@pytest.mark.parametrize(
    ("number", "status"),
    [
        ("4242 4242 4242 4242", "succeeded"),
        ("4000002500003155", "requires_action"),
        ("4000000000000259", "succeeded"),
    ],
)
async def test_a_card_number_makes_a_method(api: Api, number: str, status: str) -> None:
    card: Any = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    made = await api.v1.payment_methods.create_async({"type": "card", "card": card})
    assert made.card is not None
    assert (made.card.last4, made.card.exp_year) == (number[-4:], 2034)
    assert (await api.pay(await api.intent(), made.id)).status == status


async def test_a_declined_number_and_one_that_is_none(api: Api) -> None:
    card: Any = {"number": "4000000000000002", "exp_month": 12, "exp_year": 2034}
    made = await api.v1.payment_methods.create_async({"type": "card", "card": card})
    with pytest.raises(stripe.CardError):
        await api.pay(await api.intent(), made.id)
    with pytest.raises(stripe.CardError) as caught:
        await api.v1.payment_methods.create_async(
            {"type": "card", "card": card | {"number": "4242424242424241"}}
        )
    assert caught.value.code == "incorrect_number"


async def test_a_dispute_follows_the_capture(api: Api, control: StripeControl, receiver: Receiver) -> None:
    intent = await api.paid(2000, "pm_card_createDispute")
    dispute = await eventually_disputed(api, intent.id)
    assert (dispute.status, dispute.amount, dispute.is_charge_refundable) == ("needs_response", 2000, False)
    movement = dispute.balance_transactions[0]
    assert (movement.amount, movement.fee, movement.reporting_category) == (-2000, 1500, "dispute")
    await receiver.wait_for(dispute.id, "charge.dispute.created")
    await receiver.wait_for(dispute.id, "charge.dispute.funds_withdrawn")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await api.v1.refunds.create_async({"payment_intent": intent.id})
    assert caught.value.code == "charge_disputed"


async def test_an_inquiry_moves_no_money(api: Api, control: StripeControl) -> None:
    intent = await api.paid(method="pm_card_createDisputeInquiry")
    dispute = await eventually_disputed(api, intent.id)
    assert (dispute.status, dispute.balance_transactions) == ("warning_needs_response", [])
    assert (await api.v1.refunds.create_async({"payment_intent": intent.id})).status == "succeeded"


async def eventually_disputed(api: Api, intent_id: str) -> stripe.Dispute:
    """The intent's dispute, soon."""
    for _ in range(1000):
        found = (await api.v1.disputes.list_async({"payment_intent": intent_id})).data
        if found:
            return found[0]
        await asyncio.sleep(0.02)
    raise AssertionError("no dispute")

"""Refunds: whole, in parts, pending, failing, cancelled; and what moves on the balance."""

from typing import Any

import pytest
import stripe

from devstack.stripe_standin.control import StripeControl
from tests.stripe_standin.conftest import Api
from tests.stripe_standin.process import Receiver


async def refunded(api: Api, intent: stripe.PaymentIntent, **more: Any) -> stripe.Refund:
    return await api.v1.refunds.create_async({"payment_intent": intent.id, **more})


async def categories(api: Api, source: str) -> list[tuple[str, int]]:
    found = (await api.v1.balance_transactions.list_async({"source": source})).data
    return [(one.reporting_category, one.amount) for one in reversed(found)]


async def test_refunds_in_parts_until_nothing_is_left(api: Api) -> None:
    intent = await api.paid(2000)
    first = await refunded(api, intent, amount=500, metadata={"order_id": "o", "refund_id": "r"})
    assert (first.status, first.amount) == ("succeeded", 500)
    assert first.metadata is not None
    assert first.metadata.to_dict() == {"order_id": "o", "refund_id": "r"}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await refunded(api, intent, amount=1501)
    assert caught.value.param == "amount"
    assert (await refunded(api, intent)).amount == 1500
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await refunded(api, intent)
    assert caught.value.code == "charge_already_refunded"
    charge = await api.v1.charges.retrieve_async(str(intent.latest_charge))
    assert (charge.amount_refunded, charge.refunded) == (2000, True)
    assert await categories(api, first.id) == [("refund", -500)]
    assert await api.events_about(charge.id) == ["charge.succeeded", "charge.refunded", "charge.refunded"]


async def test_a_refund_that_succeeds_and_fails_later_brings_the_money_back(
    api: Api, control: StripeControl, receiver: Receiver
) -> None:
    intent = await api.paid(2000, "pm_card_refundFail")
    made = await refunded(api, intent)
    assert made.status == "succeeded"
    await receiver.wait_for(made.id, "refund.failed")
    failed = await api.v1.refunds.retrieve_async(made.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert await categories(api, made.id) == [("refund", -2000), ("refund_failure", 2000)]
    assert failed.failure_balance_transaction is not None
    charge = await api.v1.charges.retrieve_async(str(intent.latest_charge))
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    assert await api.events_about(made.id) == ["refund.created", "refund.updated", "refund.failed"]
    assert (await refunded(api, intent, amount=10)).status == "succeeded"


async def test_a_pending_refund_waits_for_the_bank(api: Api, control: StripeControl) -> None:
    intent = await api.paid(method="pm_card_pendingRefund")
    made = await refunded(api, intent, amount=800)
    assert (made.status, made.pending_reason, made.balance_transaction) == ("pending", "processing", None)
    with pytest.raises(stripe.InvalidRequestError):
        await refunded(api, intent, amount=1201)
    assert (await control.settle_refund(made.id))["status"] == "succeeded"
    assert (await control.settle_refund(made.id))["status"] == "succeeded"
    assert await categories(api, made.id) == [("refund", -800)]
    events = (await api.v1.events.list_async({"type": "refund.updated", "limit": 1})).data
    previous = events[0].data.previous_attributes.to_dict()
    assert previous == {"status": "pending", "balance_transaction": None, "pending_reason": "processing"}


async def test_a_pending_refund_that_fails_moved_nothing(api: Api, control: StripeControl) -> None:
    intent = await api.paid(method="pm_card_pendingRefund")
    made = await refunded(api, intent)
    failed = await control.fail_refund(made.id, "declined")
    assert (failed["status"], failed["failure_reason"]) == ("failed", "declined")
    assert await categories(api, made.id) == []


async def test_refunds_from_the_dashboard_come_as_events_without_a_request(
    api: Api, control: StripeControl, receiver: Receiver
) -> None:
    intent = await api.paid()
    made = await control.refund(intent.id, 700, reason="requested_by_customer")
    event = (await receiver.wait_for(made["id"], "refund.created")).event
    assert event["request"] == {"id": None, "idempotency_key": None}
    pending = await control.refund(intent.id, 100, status="pending")
    assert pending["status"] == "pending"
    at_once = await control.refund(intent.id, 100, status="failed")
    assert at_once["status"] == "failed"


async def test_only_a_refund_that_requires_action_is_cancelled(api: Api, control: StripeControl) -> None:
    intent = await api.paid()
    waiting = await control.refund(intent.id, 2000, status="requires_action")
    canceled = await api.v1.refunds.cancel_async(waiting["id"])
    assert canceled.status == "canceled"
    done = await refunded(api, intent)
    with pytest.raises(stripe.InvalidRequestError, match="requires_action"):
        await api.v1.refunds.cancel_async(done.id)


async def test_metadata_of_a_refund_can_change(api: Api) -> None:
    made = await refunded(api, await api.paid())
    changed = await api.v1.refunds.update_async(made.id, {"metadata": {"a": "1"}})
    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"a": "1"}
    assert (await api.events_about(made.id))[-1] == "refund.updated"


async def test_what_was_not_paid_is_not_refunded(api: Api) -> None:
    intent = await api.intent()
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await refunded(api, intent)
    assert caught.value.code == "payment_intent_unexpected_state"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await api.v1.refunds.create_async({"charge": "ch_nobody"})
    assert caught.value.code == "resource_missing"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await api.v1.refunds.create_async({})
    assert caught.value.code == "parameter_missing"


async def test_a_bank_debits_movement_comes_later(
    api: Api, control: StripeControl, receiver: Receiver
) -> None:
    await control.set_timing(bank_balance=0.3)
    try:
        intent = await api.paid(method="pm_usBankAccount_success")
        await control.settle(intent.id)
        charge = await api.v1.charges.retrieve_async(str(intent.latest_charge))
        assert (charge.status, charge.balance_transaction) == ("succeeded", None)
        event = (await receiver.wait_for(charge.id, "charge.updated")).event
    finally:
        await control.set_timing(bank_balance=0.05)
    assert event["data"]["previous_attributes"] == {"balance_transaction": None}
    assert event["data"]["object"]["balance_transaction"].startswith("txn_")


async def test_a_bank_returns_a_debit_that_had_succeeded(api: Api, control: StripeControl) -> None:
    intent = await api.paid(2000, "pm_usBankAccount_success")
    with pytest.raises(RuntimeError, match="400"):
        await control.return_payment(intent.id)
    await control.settle(intent.id)
    returned = await control.return_payment(intent.id)
    charge = await api.v1.charges.retrieve_async(str(intent.latest_charge))
    assert (charge.status, charge.paid, charge.failure_code) == ("failed", False, "debit_not_authorized")
    assert charge.failure_balance_transaction == returned["failure_balance_transaction"]
    assert await categories(api, charge.id) == [("charge", 2000), ("charge_failure", -2000)]
    assert (await api.v1.payment_intents.retrieve_async(intent.id)).status == "succeeded"
    assert (await api.events_about(charge.id))[-2:] == ["charge.updated", "charge.failed"]
    with pytest.raises(stripe.InvalidRequestError):
        await refunded(api, intent)
    with pytest.raises(RuntimeError, match="400"):
        await control.return_payment(intent.id)
    with pytest.raises(RuntimeError, match="400"):
        await control.return_payment((await api.paid()).id)


async def test_cards_can_be_captured_asynchronously_too(
    api: Api, control: StripeControl, receiver: Receiver
) -> None:
    await control.set_timing(card_balance=0.1)
    try:
        intent = await api.paid()
        at_once = await api.v1.charges.retrieve_async(str(intent.latest_charge))
        assert at_once.balance_transaction is None
        await receiver.wait_for(at_once.id, "charge.updated")
        immediate = await api.paid(capture_method="automatic")
        charge = await api.v1.charges.retrieve_async(str(immediate.latest_charge))
        assert charge.balance_transaction is not None
    finally:
        await control.set_timing(card_balance=0.0)

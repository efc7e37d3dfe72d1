"""Disputes: opened by control, answered, decided, with their money."""

import pytest
import stripe

from devstack.stripe_standin.control import StripeControl
from tests.stripe_standin.conftest import Api
from tests.stripe_standin.process import Receiver


async def test_a_won_dispute_brings_the_amount_back_and_not_the_fee(api: Api, control: StripeControl) -> None:
    intent = await api.paid(2000)
    opened = await control.dispute(intent.id, 1500)
    assert (opened["status"], opened["amount"]) == ("needs_response", 1500)
    answered = await api.v1.disputes.update_async(
        opened["id"], {"evidence": {"uncategorized_text": "see receipt"}}
    )
    assert (answered.status, answered.evidence_details.submission_count) == ("under_review", 1)
    won = await control.win_dispute(opened["id"])
    assert won["status"] == "won"
    moved = [(one["reporting_category"], one["amount"], one["net"]) for one in won["balance_transactions"]]
    assert moved == [("dispute", -1500, -3000), ("dispute_reversal", 1500, 1500)]
    assert await api.events_about(opened["id"]) == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]


async def test_evidence_can_be_staged(api: Api, control: StripeControl) -> None:
    opened = await control.dispute((await api.paid()).id)
    staged = await api.v1.disputes.update_async(
        opened["id"], {"evidence": {"receipt": "file_1"}, "submit": False}
    )
    assert (staged.status, staged.evidence_details.has_evidence) == ("needs_response", True)
    assert staged.evidence_details.submission_count == 0
    sent = await api.v1.disputes.update_async(opened["id"], {"submit": True})
    assert sent.status == "under_review"


@pytest.mark.parametrize(("text", "status"), [("winning_evidence", "won"), ("losing_evidence", "lost")])
async def test_test_evidence_decides_by_itself(
    api: Api, control: StripeControl, receiver: Receiver, text: str, status: str
) -> None:
    opened = await control.dispute((await api.paid()).id)
    await api.v1.disputes.update_async(opened["id"], {"evidence": {"uncategorized_text": text}})
    await receiver.wait_for(opened["id"], "charge.dispute.closed")
    assert (await api.v1.disputes.retrieve_async(opened["id"])).status == status


async def test_closing_accepts_the_loss(api: Api, control: StripeControl) -> None:
    opened = await control.dispute((await api.paid()).id)
    assert (await api.v1.disputes.close_async(opened["id"])).status == "lost"
    with pytest.raises(stripe.InvalidRequestError):
        await api.v1.disputes.close_async(opened["id"])
    with pytest.raises(stripe.InvalidRequestError):
        await api.v1.disputes.update_async(opened["id"], {"submit": True})


async def test_an_inquiry_can_become_a_dispute(api: Api, control: StripeControl) -> None:
    inquiry = await control.dispute((await api.paid()).id, inquiry=True)
    assert inquiry["balance_transactions"] == []
    disputed = await control.escalate_inquiry(inquiry["id"])
    assert (disputed["status"], len(disputed["balance_transactions"])) == ("needs_response", 1)
    closed = await control.dispute((await api.paid()).id, inquiry=True)
    assert (await control.lose_dispute(closed["id"]))["status"] == "warning_closed"


async def test_a_dispute_after_a_refund_can_be_larger_than_what_is_left(
    api: Api, control: StripeControl
) -> None:
    intent = await api.paid(2000)
    await api.v1.refunds.create_async({"payment_intent": intent.id, "amount": 1500})
    opened = await control.dispute(intent.id, 2000)
    assert opened["balance_transactions"][0]["amount"] == -2000
    charge = await api.v1.charges.retrieve_async(str(intent.latest_charge))
    assert (charge.disputed, charge.amount_refunded) == (True, 1500)
    assert (await control.lose_dispute(opened["id"]))["status"] == "lost"

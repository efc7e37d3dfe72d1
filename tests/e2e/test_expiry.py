"""The payment window, and money that comes after it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from devstack.lms_standin.control import LmsControl
from devstack.payout_receiver.control import PayoutControl
from devstack.shopper import wait_for
from devstack.stripe_standin.control import StripeControl
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean
from tests.e2e.processor import pay_behind_our_back


@pytest.fixture(scope="module")
async def hasty(make_stack: Any) -> AsyncIterator[Shop]:
    """A shop whose orders expire after two seconds."""
    stack = make_stack(environment={"PAYMENT_WINDOW_MINUTES": "0.034"})
    async with (
        StripeControl(stack.urls.stripe) as stripe,
        LmsControl(stack.urls.lms) as lms,
        PayoutControl(stack.urls.payout) as payout,
    ):
        yield Shop(stack, stripe, lms, payout)


async def test_an_unpaid_order_expires_and_gives_everything_back(hasty: Shop) -> None:
    learner, operator = await hasty.learner(), await hasty.operator()
    slug = await hasty.seat(operator, capacity=1)
    answer = await hasty.place(learner, slug)
    await learner.wait_for_status(answer["order"]["id"], "expired")
    assert (await operator.item(slug))["seats_left"] == 1
    assert len((await learner.call("GET", "/v1/cart"))["lines"]) == 1
    intent = await hasty.stripe.intent(answer["payment"]["payment_intent_id"])
    assert intent["status"] == "canceled"


async def test_success_after_expiry_takes_the_seat_again(hasty: Shop) -> None:
    learner, operator = await hasty.learner(), await hasty.operator()
    slug = await hasty.seat(operator, capacity=1)
    answer = await hasty.place(learner, slug)
    order = await learner.wait_for_status(answer["order"]["id"], "expired")
    await pay_behind_our_back(hasty, order["id"], order["total"]["amount"])
    order = await learner.wait_for_status(order["id"], "fulfilled")
    assert order["amount_paid"] == order["total"]
    assert (await operator.item(slug))["seats_left"] == 0


async def test_success_after_expiry_goes_back_when_the_seat_is_sold(hasty: Shop) -> None:
    late, quick, operator = await hasty.learner(), await hasty.learner(), await hasty.operator()
    slug = await hasty.seat(operator, capacity=1)
    answer = await hasty.place(late, slug)
    order = await late.wait_for_status(answer["order"]["id"], "expired")
    await hasty.buy(quick, slug)
    await pay_behind_our_back(hasty, order["id"], order["total"]["amount"])
    order = await wait_for(
        lambda: late.order(order["id"]),
        lambda o: any(refund["status"] == "succeeded" for refund in o["refunds"]),
        what="the refund",
    )
    assert order["status"] == "expired"
    assert order["entitlements"] == []
    assert (await operator.item(slug))["seats_left"] == 0
    await assert_clean(hasty.stack)

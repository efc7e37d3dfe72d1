"""kill -9 in the middle of a purchase: one charge, one grant, a balanced ledger, whoever dies."""

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from devstack.inbound_load import send_events
from devstack.lms_standin.control import LmsControl
from devstack.payout_receiver.control import PayoutControl
from devstack.shopper import US_ADDRESS, ApiProblem, Shopper, wait_for
from devstack.stack import Stack
from devstack.stripe_standin.control import StripeControl
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean


@pytest.fixture(scope="module")
async def fragile(own_stack: Stack) -> AsyncIterator[Shop]:
    """A stack of its own, down to PostgreSQL and Temporal, whose parts may be killed."""
    async with (
        StripeControl(own_stack.urls.stripe) as stripe,
        LmsControl(own_stack.urls.lms) as lms,
        PayoutControl(own_stack.urls.payout) as payout,
    ):
        yield Shop(own_stack, stripe, lms, payout)


async def kill_and_restart(stack: Stack, part: str) -> None:
    await stack.kill(part)
    await stack.restart(part)


async def checkout_until_it_works(learner: Shopper, key: str) -> dict[str, object]:
    """What a front end does: the same key again until there is an answer."""
    for _ in range(200):
        try:
            return await learner.checkout(key=key)
        except ApiProblem as problem:
            if problem.status not in (409, 500, 503) or problem.code not in (
                "idempotency_key_in_use",
                "unavailable",
                "processor_unavailable",
                "internal",
                "database_unavailable",
            ):
                raise
        except httpx.HTTPError:
            pass
        await asyncio.sleep(0.25)
    raise AssertionError("the checkout never answered")


async def one_charge_one_grant(shop: Shop, learner: Shopper, order_id: str) -> None:
    order = await learner.wait_for_status(order_id, "fulfilled", seconds=60)
    assert len(order["payments"]) == 1
    captured = await shop.query(
        "SELECT count(*) AS n FROM journal_entry WHERE kind = 'payment_captured' AND order_id = %s", order_id
    )
    assert captured[0]["n"] == 1
    changes = [e for e in await shop.lms.log(learner.user["lms_user_id"]) if e.changed]
    assert len(changes) == 1
    await assert_clean(shop.stack)


@pytest.mark.parametrize("part", ["worker", "gateway", "temporal", "postgres"])
async def test_killed_during_checkout(fragile: Shop, part: str) -> None:
    learner = await fragile.learner()
    await learner.add("python-101")
    key = str(uuid.uuid4())
    asking = asyncio.create_task(checkout_until_it_works(learner, key))
    await asyncio.sleep(0.03)
    await kill_and_restart(fragile.stack, part)
    answer = await asking
    await fragile.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")  # type: ignore[index]
    await one_charge_one_grant(fragile, learner, answer["order"]["id"])  # type: ignore[index]


@pytest.mark.parametrize("part", ["worker", "gateway", "temporal", "postgres"])
async def test_killed_while_the_payment_arrives(fragile: Shop, part: str) -> None:
    learner = await fragile.learner()
    answer = await fragile.place(learner)
    await fragile.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    await kill_and_restart(fragile.stack, part)
    await one_charge_one_grant(fragile, learner, answer["order"]["id"])


@pytest.mark.parametrize("part", ["worker", "temporal"])
async def test_killed_while_access_is_granted(fragile: Shop, part: str) -> None:
    learner = await fragile.learner()
    answer = await fragile.place(learner)
    await fragile.lms.fault("grant", "latency", seconds=1.5, count=1)
    await fragile.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    await learner.wait_for_status(answer["order"]["id"], "paid", "fulfilling")
    await kill_and_restart(fragile.stack, part)
    await one_charge_one_grant(fragile, learner, answer["order"]["id"])


@pytest.mark.parametrize("part", ["worker", "temporal"])
async def test_killed_while_a_changed_account_is_asked_for(fragile: Shop, part: str) -> None:
    learner = await fragile.learner()
    await fragile.lms.fault("get_user", "latency", seconds=1.5, user_id=learner.user["lms_user_id"])
    await fragile.lms.rename(learner.user["lms_user_id"], first_name="Anna")

    async def told(condition: str) -> list[dict[str, Any]]:
        return await fragile.query(
            f"SELECT 1 FROM account_change WHERE user_id = %s AND {condition}", learner.user["id"]
        )

    await wait_for(lambda: told("followed < told"), bool, what="the event")
    await kill_and_restart(fragile.stack, part)
    await wait_for(lambda: told("followed = told"), bool, seconds=90, what="what follows")
    events = await fragile.query(
        "SELECT data FROM outbound_event WHERE type = 'person.updated' AND data->>'user_id' = %s",
        learner.user["id"],
    )
    assert [event["data"]["changed"] for event in events] == [["full_name"]]
    await assert_clean(fragile.stack)


async def test_the_answer_of_the_processor_is_lost(fragile: Shop) -> None:
    learner = await fragile.learner()
    await fragile.stripe.fault("POST", "/v1/payment_intents", "cut_after", count=2)
    answer = await fragile.place(learner)
    await fragile.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    await one_charge_one_grant(fragile, learner, answer["order"]["id"])


async def test_the_processor_is_down_at_checkout(fragile: Shop) -> None:
    learner = await fragile.learner()
    await learner.add("python-101")
    key = str(uuid.uuid4())
    await fragile.stack.kill("stripe")
    answer = await learner.send("POST", "/v1/checkout", {"billing_address": US_ADDRESS}, key=key)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    await fragile.stack.restart("stripe")
    found = await checkout_until_it_works(learner, key)
    await fragile.stripe.confirm(found["payment"]["payment_intent_id"], "pm_card_visa")  # type: ignore[index]
    await one_charge_one_grant(fragile, learner, found["order"]["id"])  # type: ignore[index]


async def test_an_event_is_acknowledged_while_temporal_hangs(fragile: Shop) -> None:
    """Once it is safe, its sender is answered; the rest is ours."""
    learner = await fragile.learner()
    answer = await fragile.place(learner)
    order_id, intent_id = answer["order"]["id"], answer["payment"]["payment_intent_id"]
    await fragile.stripe.pause_deliveries()
    await fragile.stripe.confirm(intent_id, "pm_card_visa")
    await fragile.stack.kill("temporal", signal.SIGSTOP)
    try:
        secret = fragile.stack.env["STRIPE_WEBHOOK_SECRET"].split(",")[0]
        found = await send_events(fragile.gateway, secret, per_second=10, seconds=2, order_ids=[order_id])
        assert found.refused == 0
        # Four of the twenty are for a workflow: each would wait for Temporal for 8 s.
        assert found.seconds[-4] < 7.9, "the gateway waited for Temporal"
    finally:
        await fragile.stack.kill("temporal", signal.SIGCONT)
        await fragile.stripe.resume_deliveries()
    await one_charge_one_grant(fragile, learner, order_id)


async def test_the_lms_is_down_when_the_payment_arrives(fragile: Shop) -> None:
    learner = await fragile.learner()
    answer = await fragile.place(learner)
    await fragile.stack.kill("lms")
    await fragile.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    await learner.wait_for_status(answer["order"]["id"], "fulfilling")
    await fragile.stack.restart("lms")
    await one_charge_one_grant(fragile, learner, answer["order"]["id"])

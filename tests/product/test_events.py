"""Events as a receiver gets them are what the document says."""

from typing import Any

from devstack.lms_standin.control import LmsControl
from devstack.payout_receiver.control import PayoutControl, ReceivedEvent
from devstack.shopper import Shopper, wait_for
from devstack.stripe_standin.control import StripeControl
from tests.harness.event_schemas import undocumented
from tests.harness.product import RunningStack

SEEN = {
    *("order.paid", "order.fulfilled", "order.refunded", "order.canceled", "refund.succeeded"),
    *("entitlement.granted", "entitlement.revoked", "earning.accrued", "earning.reversed"),
    "course.completed",
}


async def test_what_a_sale_and_its_refund_tell_is_documented(
    stack: RunningStack, document: dict[str, Any]
) -> None:
    async with (
        StripeControl(stack.urls.stripe) as stripe,
        LmsControl(stack.urls.lms) as lms,
        PayoutControl(stack.urls.payout) as payout,
    ):
        before = len(await payout.events())

        async def since() -> list[ReceivedEvent]:
            return (await payout.events())[before:]

        async def events(*types: str) -> list[ReceivedEvent]:
            return await wait_for(
                since, lambda found: {event.type for event in found} >= set(types), seconds=60
            )

        operator = await Shopper(stack.urls.gateway).login("operator@example.com")
        endpoints = (await operator.call("GET", "/v1/webhook-endpoints"))["data"]
        (endpoint,) = [one for one in endpoints if one["url"].startswith(stack.urls.payout)]
        address = f"/v1/webhook-endpoints/{endpoint['id']}"
        await operator.call("PATCH", address, {"event_types": []})
        learner = await Shopper(stack.urls.gateway).register("events@example.com", "Eve Ents")
        await learner.add("python-101")
        first = (await learner.checkout())["order"]
        await learner.call("POST", f"/v1/orders/{first['id']}/cancel", {})
        answer = await learner.checkout()
        order = answer["order"]
        await stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
        await learner.wait_for_status(order["id"], "fulfilled")
        await lms.complete(learner.user["lms_user_id"], "python-101")
        await events("earning.accrued")
        await operator.refund(order["id"])
        received = await events(*SEEN)
        await operator.call("PATCH", address, {"event_types": endpoint["event_types"]})
    assert [line for event in received for line in undocumented(event.body, document)] == []

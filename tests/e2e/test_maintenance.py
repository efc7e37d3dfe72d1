"""The LMS's maintenance ends early: who paid meanwhile does not wait for the pause to be over."""

from datetime import UTC, datetime, timedelta

from devstack.shopper import wait_for
from tests.e2e.conftest import Shop

PATH = "/v1/lms/maintenance"
WAITING = "SELECT 1 FROM entitlement WHERE user_id = %s AND waits_for = 'lms_maintenance'"


async def test_who_waits_is_granted_as_soon_as_it_is_over(shop: Shop) -> None:
    operator = await shop.operator()
    learners = [await shop.learner() for _ in range(2)]
    until = datetime.now(UTC) + timedelta(hours=1)
    await operator.call("PUT", PATH, {"reason": "upgrade", "until": until.isoformat()})
    try:
        orders = []
        for learner in learners:
            answer = await shop.place(learner)
            await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
            orders.append(answer["order"]["id"])
        for learner in learners:
            await wait_for(
                lambda user=learner.user["id"]: shop.query(WAITING, user),  # type: ignore[misc]
                bool,
                what="a try during the maintenance",
            )
    finally:
        await operator.call("DELETE", PATH)
    for learner, order_id in zip(learners, orders, strict=True):
        order = await learner.wait_for_status(order_id, "fulfilled", seconds=30)
        changes = await shop.lms.log(learner.user["lms_user_id"], order["lines"][0]["lms_course_id"])
        assert [entry.operation for entry in changes if entry.changed] == ["grant"]

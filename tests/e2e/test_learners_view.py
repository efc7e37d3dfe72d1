"""What a learner is told while access is being set up, until it is there."""

from datetime import UTC, datetime, timedelta
from typing import Any

from devstack.shopper import wait_for
from tests.e2e.conftest import Shop


async def test_paid_and_waiting_for_the_lms_is_said_with_the_time_of_the_next_try(shop: Shop) -> None:
    learner = await shop.learner()
    user_id = learner.user["lms_user_id"]
    await shop.lms.fault("grant", "server_error", count=3, user_id=user_id)
    answer = await shop.place(learner)
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")

    async def shown() -> tuple[str, dict[str, Any]]:
        board = await learner.call("GET", "/v1/dashboard")
        (order,) = board["orders"]
        (access,) = board["entitlements"] or [{}]
        assert order["entitlements"] == [access] * bool(access)
        return order["status"], access

    status, waiting = await wait_for(
        shown, lambda found: found[1].get("attempts", 0) > 1 and found[1]["next_try_at"], what="the next try"
    )
    assert (status, waiting["status"], waiting["deep_link"]) == ("fulfilling", "granting", None)
    next_try = datetime.fromisoformat(waiting["next_try_at"])
    assert next_try - datetime.now(UTC) < timedelta(seconds=10)
    assert f"{next_try:%H:%M}" in waiting["reason"]

    status, there = await wait_for(shown, lambda found: found[0] == "fulfilled", what="the access")
    assert (there["status"], there["reason"], there["attempts"]) == ("granted", None, 0)
    assert there["deep_link"].endswith("/python-101")

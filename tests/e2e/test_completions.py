"""Completions that the LMS takes back: what had counted is an operator's to decide, what had not is not."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from devstack.shopper import Shopper, wait_for
from tests.api.test_forged_events import standard_headers
from tests.e2e.conftest import Shop

COURSE = "python-101"
RECOGNIZED = "revenue_recognized"


async def tell(shop: Shop, kind: str, data: dict[str, Any]) -> None:
    body = json.dumps({"id": f"evt_{uuid.uuid4().hex}", "type": kind, "data": data}).encode()
    secret = shop.stack.credentials.lms_webhook_secret
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"{shop.gateway}/v1/webhooks/lms", content=body, headers=standard_headers(body, secret)
        )
    assert answer.status_code == 200, answer.text


async def kinds(shop: Shop, order: dict[str, Any]) -> list[str]:
    """Of the order's entries; the processor's fee comes when it comes."""
    rows = await shop.query(
        "SELECT kind FROM journal_entry WHERE order_id = %s AND kind <> 'processor_fee' ORDER BY id",
        order["id"],
    )
    return [row["kind"] for row in rows]


async def counted(shop: Shop, order: dict[str, Any]) -> list[str]:
    return await wait_for(
        lambda: kinds(shop, order), lambda found: RECOGNIZED in found, what="the recognition"
    )


async def test_what_had_counted_becomes_a_task_and_the_books_stay(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    order = await shop.buy(learner)
    await shop.lms.complete(learner.user["lms_user_id"], COURSE)
    await counted(shop, order)
    books = await wait_for(
        lambda: kinds(shop, order), lambda found: found[-1] == "split_accrued", what="the earning"
    )

    async def tasks() -> list[dict[str, Any]]:
        found = await operator.call("GET", "/v1/tasks?status=open&kind=completion_taken_back&limit=100")
        return [task for task in found["data"] if task["order_id"] == order["id"]]

    event = await shop.lms.take_back(learner.user["lms_user_id"], COURSE)
    assert event is not None
    (task,) = await wait_for(tasks, bool, what="the task")
    assert order["number"] in task["what"]
    await shop.lms.send_again(event)
    assert "completion_taken_back" in {entry["kind"] for entry in await learner.timeline(order["id"])}
    assert await kinds(shop, order) == books

    # The learner completes it after all: told once more, recognized once.
    await shop.lms.complete(learner.user["lms_user_id"], COURSE)

    async def relayed() -> int:
        rows = await shop.query(
            "SELECT 1 FROM outbound_event WHERE type = 'course.completed' AND data->>'lms_user_id' = %s",
            learner.user["lms_user_id"],
        )
        return len(rows)

    await wait_for(relayed, lambda times: times == 2, what="the second relay")
    assert len(await tasks()) == 1
    path = f"/v1/tasks/{task['id']}"
    assert (await learner.send("POST", f"{path}/close", {"note": "mine"})).status_code == 403
    closed = await operator.call("POST", f"{path}/close", {"note": "completed again"})
    assert (closed["status"], closed["note"]) == ("closed", "completed again")
    again = await operator.send("POST", f"{path}/close", {"note": "twice"})
    assert (again.status_code, again.json()["code"]) == (409, "task_closed")
    assert await tasks() == []
    assert (await operator.call("GET", path))["status"] == "closed"


async def complete_early(shop: Shop, learner: Shopper, at: datetime) -> None:
    data = {"user_id": learner.user["lms_user_id"], "course_id": COURSE, "completed_at": at.isoformat()}
    await tell(shop, "course.completed", data)


async def test_what_was_taken_back_before_it_counted_never_does(shop: Shop) -> None:
    """In any order of the two events; a completion of afterwards counts."""
    now = datetime.now(UTC)
    for events in (("course.completed", "revoked"), ("revoked", "course.completed")):
        learner = await shop.learner()
        user = {"user_id": learner.user["lms_user_id"], "course_id": COURSE}
        for event in events:
            if event == "revoked":
                revoked = {**user, "revoked_at": (now - timedelta(hours=1)).isoformat()}
                await tell(shop, "course.completion_revoked", revoked)
            else:
                await complete_early(shop, learner, now - timedelta(hours=2))
        order = await shop.buy(learner)
        assert await kinds(shop, order) == ["payment_captured"]
        rows = await shop.query(
            "SELECT relayed_at FROM completion WHERE lms_user_id = %s", learner.user["lms_user_id"]
        )
        assert [row["relayed_at"] for row in rows] == [None]
        await complete_early(shop, learner, now - timedelta(minutes=1))
        await counted(shop, order)


async def test_a_completion_of_before_the_purchase_counts_with_the_grant(shop: Shop) -> None:
    learner = await shop.learner()
    await complete_early(shop, learner, datetime.now(UTC) - timedelta(hours=1))
    order = await shop.place(learner)
    assert await kinds(shop, order["order"]) == []
    await shop.stripe.confirm(order["payment"]["payment_intent_id"], "pm_card_visa")
    await learner.wait_for_status(order["order"]["id"], "fulfilled")
    await counted(shop, order["order"])


async def test_completions_of_strangers_and_of_other_courses_are_kept_and_harm_nothing(shop: Shop) -> None:
    learner = await shop.learner()
    stranger = f"s-{uuid.uuid4().hex}"
    await tell(shop, "course.completed", {"user_id": stranger, "course_id": COURSE})
    other = {"user_id": learner.user["lms_user_id"], "course_id": "no-course-of-ours"}
    await tell(shop, "course.completed", other)
    await tell(shop, "course.completion_revoked", {"user_id": stranger, "course_id": COURSE})
    rows = await shop.query(
        "SELECT lms_course_id, taken_back_at IS NULL AS stands FROM completion WHERE lms_user_id = ANY(%s) "
        "ORDER BY 1",
        [stranger, learner.user["lms_user_id"]],
    )
    assert [(row["lms_course_id"], row["stands"]) for row in rows] == [
        ("no-course-of-ours", True),
        (COURSE, False),
    ]

"""All that is held of a person, for them and for operators who say why."""

from devstack.shopper import Shopper, wait_for
from tests.e2e.conftest import Shop


async def test_a_person_gets_all_that_is_held_of_them_and_nobody_elses(shop: Shop) -> None:
    learner, other, operator = await shop.learner(), await shop.learner(), await shop.operator()
    placed = await shop.place(learner)
    intent = placed["payment"]["payment_intent_id"]
    await shop.stripe.confirm(intent, "pm_card_chargeDeclined")
    await shop.stripe.confirm(intent, "pm_card_visa")
    order = await learner.wait_for_status(placed["order"]["id"], "fulfilled")
    await shop.buy(other)
    await shop.lms.complete(learner.user["lms_user_id"], "python-101")
    refund = await operator.refund(order["id"], reason="a reason of the learner")
    await learner.wait_for_status(order["id"], "refunded")

    async def exported() -> dict:  # type: ignore[type-arg]
        return dict(await learner.call("GET", "/v1/me/export"))

    found = await wait_for(exported, lambda e: bool(e["completions"]), what="the completion")
    assert found["person"]["email"] == learner.user["email"]
    (held,) = found["orders"]
    assert (held["id"], held["amount_paid"], held["billing_address"]["country"]) == (
        order["id"],
        order["amount_paid"]["amount"],
        "US",
    )
    assert held["lines"][0]["completed_at"]
    assert "order_paid" in {event["kind"] for event in held["timeline"]}
    assert [one["payment_intent_id"] for one in found["payments"]] == [
        order["payments"][0]["payment_intent_id"]
    ]
    assert [(one["id"], one["reason"]) for one in found["refunds"]] == [
        (refund["id"], "a reason of the learner")
    ]
    assert [one["course"] for one in found["entitlements"]] == ["python-101"]
    assert {one["kind"] for one in found["documents"]} == {"receipt", "credit_note"}
    assert len(found["sign_ins"]) == 1
    assert found["earnings"] == []
    (account,) = found["accounts"]
    assert (account["id"], account["email"]) == (learner.user["id"], learner.user["email"])
    assert account["username"]
    assert {one["kind"] for one in found["asked_for"]} == {"checkout"}
    assert {"order.paid", "entitlement.granted"} <= {one["type"] for one in found["events_sent"]}
    assert {"payment_intent.succeeded", "course.completed"} <= {
        one["type"] for one in found["events_received"]
    }
    assert ("create_refund", "a reason of the learner") in {
        (one["action"], one["reason"]) for one in found["actions_about"]
    }
    assert found["actions_of"] == []
    text = str(found)
    assert operator.user["id"] not in text
    assert other.user["email"] not in text
    assert other.user["id"] not in text


async def test_credit_tasks_questions_and_requests_are_in_it(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    credit = {"user_id": learner.user["id"], "amount": {"amount": 100_000, "currency": "USD"}}
    await operator.call("POST", "/v1/store-credit/grants", credit | {"reason": "a prize"})
    await learner.add("python-101")
    order = (await learner.checkout(use_store_credit=True))["order"]
    await learner.wait_for_status(order["id"], "fulfilled")
    await shop.query(
        "INSERT INTO operator_task (task_key, kind, user_id, what) "
        "VALUES (%s, 'merged_payee', %s, 'look at it') RETURNING id",
        f"export {learner.user['id']}",
        learner.user["id"],
    )
    await shop.query(
        "INSERT INTO resolution (line_id, lms_course_id, cause, reason, state) "
        "VALUES (%s, 'python-101', 'lms_refused', 'the course is full', 'withdrawn') RETURNING id",
        order["lines"][0]["id"],
    )
    found = await learner.call("GET", "/v1/me/export")
    (balance,) = found["store_credit_balances"]
    assert balance["balance"] == 100_000 - order["total"]["amount"]
    assert [one["amount"] for one in found["store_credit_entries"]] == [100_000, -order["total"]["amount"]]
    assert [one["what"] for one in found["tasks"]] == ["look at it"]
    assert [one["reason"] for one in found["questions"]] == ["the course is full"]
    assert found["erasures"] == found["merges"] == []
    await learner.call("POST", "/v1/me/erasure")
    (asked,) = (await learner.call("GET", "/v1/me/export"))["erasures"]
    assert asked["source"] == "person"


async def test_an_operator_says_why_and_the_audit_log_keeps_it(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    path = f"/v1/users/{learner.user['id']}/export"
    assert (await learner.send("POST", path, {"reason": "mine"})).status_code == 403
    assert (await operator.send("POST", path, {})).status_code == 422
    found = await operator.call("POST", path, {"reason": "asked by letter"})
    assert found["person"]["email"] == learner.user["email"]
    (entry,) = (await operator.call("GET", f"/v1/audit?object_id={learner.user['id']}"))["data"]
    assert (entry["action"], entry["reason"]) == ("export_person", "asked by letter")
    unknown = await operator.send(
        "POST", "/v1/users/00000000-0000-7000-8000-000000000000/export", {"reason": "x"}
    )
    assert unknown.status_code == 404


async def test_an_instructor_gets_what_they_earned(shop: Shop) -> None:
    learner = await shop.learner()
    await shop.buy(learner)
    await shop.lms.complete(learner.user["lms_user_id"], "python-101")
    instructor = await Shopper(shop.gateway).login("instructor@example.com")

    async def earned() -> set[str]:
        found = await instructor.call("GET", "/v1/me/export")
        return {one["course_id"] for one in found["earnings"] if one["accrued"] > 0}

    await wait_for(earned, lambda courses: "python-101" in courses, what="the earning")

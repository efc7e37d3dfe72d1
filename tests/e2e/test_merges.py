"""Two accounts that the LMS makes one: what was bought with either is the survivor's, once."""

import uuid
from typing import Any

import pytest

from devstack.shopper import ApiProblem, Shopper, wait_for
from models.database import Database
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean
from tests.e2e.test_completions import counted, tell
from tests.e2e.test_erasure import KEPT_BY_LAW, holding

COURSE = "python-101"


async def merged(shop: Shop, ended: Shopper, into: Shopper | str) -> str:
    """Have the LMS merge, and wait until all was moved; the event's id."""
    survivor = into if isinstance(into, str) else into.user["lms_user_id"]
    event = await shop.lms.merge(ended.user["lms_user_id"], survivor)
    await moved(shop, ended)
    return event


async def moved(shop: Shop, ended: Shopper) -> None:
    async def look() -> list[dict[str, Any]]:
        return await shop.query(
            "SELECT into_user_id FROM person_merge WHERE user_id = %s AND moved_at IS NOT NULL",
            ended.user["id"],
        )

    await wait_for(look, bool, seconds=60, what="the move")


async def access(shop: Shop, user_id: str) -> dict[str, str]:
    rows = await shop.query(
        "SELECT lms_course_id, status FROM entitlement WHERE user_id = %s ORDER BY 1", user_id
    )
    return {row["lms_course_id"]: row["status"] for row in rows}


async def published(shop: Shop, kind: str, user_id: str) -> list[dict[str, Any]]:
    rows = await shop.query(
        "SELECT data FROM outbound_event WHERE type = %s AND data->>'user_id' = %s ORDER BY id", kind, user_id
    )
    return [row["data"] for row in rows]


async def test_orders_and_access_move_to_the_account_that_goes_on(shop: Shop) -> None:
    ended, survivor = await shop.learner("ended"), await shop.learner("survivor")
    order = await shop.buy(ended)
    await shop.buy(survivor, "web-design")
    event = await merged(shop, ended, survivor)

    await wait_for(lambda: access(shop, ended.user["id"]), lambda found: found == {COURSE: "revoked"})
    both = {COURSE: "granted", "web-design": "granted"}
    await wait_for(lambda: access(shop, survivor.user["id"]), lambda found: found == both)
    assert [entry["kind"] for entry in await survivor.timeline(order["id"])][-1] == "person_merged"
    assert await shop.lms.enrolments(survivor.user["lms_user_id"], COURSE)
    # The account has ended at the LMS: nothing was asked about it.
    asked = [entry.operation for entry in await shop.lms.log(ended.user["lms_user_id"])]
    assert asked == ["grant"]
    (told,) = await published(shop, "person.merged", ended.user["id"])
    assert told == {
        "user_id": ended.user["id"],
        "lms_user_id": ended.user["lms_user_id"],
        "into_user_id": survivor.user["id"],
        "into_lms_user_id": survivor.user["lms_user_id"],
    }
    assert len(await published(shop, "entitlement.revoked", ended.user["id"])) == 1
    refreshed = await ended.send("POST", "/v1/auth/refresh", {"refresh_token": ended.refresh_token})
    assert refreshed.status_code == 401
    with pytest.raises(ApiProblem):
        await ended.order(order["id"])

    await shop.lms.send_again(event)
    refund = await survivor.refund(order["id"])
    assert refund["status"] in ("pending", "succeeded")
    await survivor.wait_for_status(order["id"], "refunded")
    await wait_for(
        lambda: access(shop, survivor.user["id"]), lambda found: found == {**both, COURSE: "revoked"}
    )
    assert not await shop.lms.enrolments(survivor.user["lms_user_id"], COURSE)
    assert len(await published(shop, "person.merged", ended.user["id"])) == 1


async def test_what_both_had_bought_is_offered_back(shop: Shop) -> None:
    ended, survivor = await shop.learner("ended"), await shop.learner("survivor")
    first, second = await shop.buy(ended), await shop.buy(survivor)
    await merged(shop, ended, survivor)

    async def asked() -> list[dict[str, Any]]:
        found = (await survivor.call("GET", "/v1/resolutions"))["data"]
        return [one for one in found if one["deadline"] is not None]

    (question,) = await wait_for(asked, bool, what="the question")
    assert (question["cause"], question["order_id"]) == ("bought_twice", second["id"])
    assert {first["number"], second["number"]} <= set(question["reason"].split())
    assert question["choices"] == ["keep", "store_credit", "refund"]
    path = f"/v1/orders/{second['id']}/lines/{question['line_id']}/resolution"
    assert (await survivor.call("GET", path))["runs"] == []
    await survivor.call("POST", path, {"choice": "refund"})
    await survivor.wait_for_status(second["id"], "refunded")
    assert (await survivor.order(first["id"]))["status"] == "fulfilled"
    assert await access(shop, survivor.user["id"]) == {COURSE: "granted"}
    assert await shop.lms.enrolments(survivor.user["lms_user_id"], COURSE)


async def test_a_survivor_who_was_never_here_begins_with_what_the_other_had(shop: Shop) -> None:
    ended = await shop.learner("ended")
    order = await shop.buy(ended)
    email = f"new.{ended.user['id']}@example.com"
    stranger = await shop.lms.add_user(email)
    await merged(shop, ended, stranger)
    survivor = await Shopper(shop.gateway).login(email)
    assert (await survivor.order(order["id"]))["status"] == "fulfilled"
    await wait_for(lambda: access(shop, survivor.user["id"]), lambda found: found == {COURSE: "granted"})

    # Merged on: what came with the first merge moves again.
    last = await shop.learner("last")
    await merged(shop, survivor, last)
    assert (await last.order(order["id"]))["status"] == "fulfilled"
    rows = await shop.query(
        "SELECT into_user_id::text AS id FROM person_merge WHERE user_id = %s", ended.user["id"]
    )
    assert [row["id"] for row in rows] == [last.user["id"]]


async def test_a_completion_counts_for_whom_the_account_is_now(shop: Shop) -> None:
    """One that came before the purchase, and one that the LMS tells late, of the account that ended."""
    ended, survivor = await shop.learner("ended"), await shop.learner("survivor")
    early = {"user_id": ended.user["lms_user_id"], "course_id": "web-design"}
    await tell(shop, "course.completed", early)
    late = await shop.buy(ended)
    await merged(shop, ended, survivor)
    await counted(shop, await shop.buy(survivor, "web-design"))
    await tell(shop, "course.completed", {"user_id": ended.user["lms_user_id"], "course_id": COURSE})
    await counted(shop, late)


async def test_an_order_that_may_still_be_paid_is_waited_for(shop: Shop) -> None:
    ended, survivor = await shop.learner("ended"), await shop.learner("survivor")
    answer = await shop.place(ended)
    await shop.lms.merge(ended.user["lms_user_id"], survivor.user["lms_user_id"])

    async def waits() -> list[str]:
        rows = await shop.query("SELECT waits_for FROM person_merge WHERE user_id = %s", ended.user["id"])
        return [reason for row in rows for reason in row["waits_for"]]

    reason = f"order {answer['order']['number']} may still be paid"
    await wait_for(waits, lambda found: found == [reason], what="what it waits for")
    # The LMS knows the account no longer, so access is refused; with the move it is asked anew.
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    await moved(shop, ended)
    order_id = answer["order"]["id"]
    await survivor.wait_for_status(order_id, "fulfilled")
    await wait_for(lambda: access(shop, survivor.user["id"]), lambda found: found == {COURSE: "granted"})


async def test_money_by_name_is_left_to_operators(shop: Shop) -> None:
    operator = await shop.operator()
    ended, survivor = await shop.learner("ended"), await shop.learner("survivor")
    await operator.call(
        "POST",
        "/v1/store-credit/grants",
        {"user_id": ended.user["id"], "amount": {"amount": 700, "currency": "USD"}, "reason": "sorry"},
    )
    await operator.call(
        "POST",
        "/v1/split-rules",
        {
            "scope": {"channel": f"of-{ended.user['id']}"},
            "valid_from": "2040-01-01T00:00:00Z",
            "shares": [{"payee": f"lms:{ended.user['lms_user_id']}", "bps": 5000}],
        },
    )
    await merged(shop, ended, survivor)
    for kind, said in (("merged_store_credit", "7.00 USD"), ("merged_payee", ended.user["lms_user_id"])):
        found = (await operator.call("GET", f"/v1/tasks?status=open&kind={kind}&limit=100"))["data"]
        (task,) = [task for task in found if task["user_id"] == survivor.user["id"]]
        assert said in task["what"]
    held = await survivor.call("GET", "/v1/me/export")
    assert [grant["amount"] for grant in held["store_credit"]] == [700]


async def test_who_was_merged_is_erased_with_the_survivor(shop: Shop) -> None:
    """Also where the orders that moved still tell of the account that ended."""
    ended, survivor = await shop.learner("ended"), await shop.learner("survivor")
    operator, word = await shop.operator(), f"w{uuid.uuid4().hex[:10]}"
    order = await shop.buy(ended)
    await shop.buy(ended, "web-design")
    await ended.refund(order["id"], reason=word)
    await ended.wait_for_status(order["id"], "refunded")
    both = {COURSE: "revoked", "web-design": "granted"}
    await wait_for(lambda: access(shop, ended.user["id"]), lambda found: found == both)
    await merged(shop, ended, survivor)
    await shop.query(
        "UPDATE person_merge SET done_at = now() WHERE user_id = %s RETURNING 1", ended.user["id"]
    )
    await wait_for(
        lambda: access(shop, survivor.user["id"]), lambda found: found.get("web-design") == "granted"
    )
    why = f"{ended.user['email']} asked"
    credit = {"user_id": survivor.user["id"], "amount": {"amount": 100, "currency": "USD"}, "reason": why}
    await operator.call("POST", "/v1/store-credit/grants", credit)
    await survivor.call("POST", "/v1/me/erasure")

    async def known() -> list[dict[str, Any]]:
        return await shop.query(
            "SELECT 1 FROM commerce_user WHERE email = ANY(%s)",
            [ended.user["email"], survivor.user["email"]],
        )

    assert await wait_for(known, lambda found: not found, seconds=60, what="the erasure") == []
    database = Database(shop.stack.urls.database_url)
    async with database.transaction() as session:
        assert await holding(session, [word, ended.user["email"]]) <= KEPT_BY_LAW
    await database.aclose()


async def test_a_merge_into_itself_is_refused_and_books_stay_right(shop: Shop) -> None:
    learner = await shop.learner()
    with pytest.raises(AssertionError, match="400"):
        await tell(
            shop,
            "user.merged",
            {"user_id": learner.user["lms_user_id"], "into_user_id": learner.user["lms_user_id"]},
        )
    await assert_clean(shop.stack, seconds=60)

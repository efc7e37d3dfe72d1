"""An order's whole money story in one answer, for operators and, with less in it, for the learner."""

from collections import Counter
from typing import Any

from devstack.shopper import Shopper, wait_for
from tests.e2e.conftest import Shop
from tests.e2e.test_adjustments import adjust
from tests.e2e.test_store_credit import give, refunded


async def story_of(caller: Shopper, order: dict[str, Any]) -> dict[str, Any]:
    story: dict[str, Any] = await caller.call("GET", f"/v1/orders/{order['id']}/money")
    return story


async def test_the_whole_story_adds_up(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    await give(shop, learner, 900)
    answer = await shop.place(learner, use_store_credit=True)
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    order = await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    await shop.lms.complete(learner.user["lms_user_id"], "python-101")
    await wait_for(
        lambda: story_of(operator, order), lambda s: bool(s["books"]["earnings"]), what="the earnings"
    )
    await adjust(operator, order, 200, "goodwill", **{"as": "store_credit"})
    await adjust(operator, order, 300, "goodwill")
    await refunded(shop, order, 1000)
    story = await wait_for(
        lambda: story_of(operator, order),
        lambda s: s["amounts"]["refund_pending"]["amount"] == 0 and len(s["books"]["processor"]) == 3,
        what="settled refunds and their movements",
    )
    amounts = {name: figure["amount"] for name, figure in story["amounts"].items()}
    assert amounts["total"] == amounts["amount_paid"] == amounts["store_credit"] + amounts["amount_due"]
    assert (amounts["store_credit"], amounts["amount_refunded"]) == (900, 1300)
    assert amounts["refundable"] == amounts["total"] - 1300
    assert story["lines"][0]["refunded"]["amount"] == 1300
    assert [(a["kind"], a["as"], a["amount"]["amount"]) for a in story["adjustments"]] == [
        ("goodwill", "store_credit", 200),
        ("goodwill", "refund", 300),
    ]
    assert [d["kind"] for d in story["documents"]] == ["receipt", "credit_note", "credit_note"]
    books = story["books"]
    summed: Counter[tuple[str, str | None]] = Counter()
    for entry in books["journal_entries"]:
        assert entry["order_id"] == order["id"]
        assert sum(posting["amount"] for posting in entry["postings"]) == 0
        for posting in entry["postings"]:
            summed[posting["account"], posting["sub"]] += posting["amount"]
    assert {key: amount for key, amount in summed.items() if amount} == {
        (row["account"], row["sub"]): row["amount"] for row in books["balances"]
    }
    assert summed["1010", None] == sum(movement["net"] for movement in books["processor"])
    assert sum(row["amount"] for row in books["fees"]) == sum(m["fee"] for m in books["processor"]) > 0
    for earning in books["earnings"]:
        held, released = (earning[bucket]["amount"] for bucket in ("held", "released"))
        assert earning["accrued"]["amount"] == held + released + earning["reversed"]["amount"]
        assert summed["2210", earning["payee_ref"]] == -held
        assert summed["2220", earning["payee_ref"]] == -released


async def test_a_learner_reads_less_of_an_own_order_and_nothing_of_others(shop: Shop) -> None:
    learner, other = await shop.learner(), await shop.learner()
    order = await shop.buy(learner)
    story = await story_of(learner, order)
    assert story["books"] is None
    assert story["payments"][0]["status"] == "succeeded"
    assert (await other.send("GET", f"/v1/orders/{order['id']}/money")).status_code == 404
    unpaid = (await shop.place(other))["order"]
    story = await story_of(other, unpaid)
    assert (story["amounts"]["refundable"]["amount"], story["documents"]) == (0, [])


async def test_a_disputed_order_shows_its_dispute(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    answer = await shop.place(learner)
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_createDispute")
    order = await learner.wait_for_status(answer["order"]["id"], "disputed")
    story = await story_of(operator, order)
    (dispute,) = story["books"]["disputes"]
    assert (story["dispute_status"], dispute["order_id"]) == ("open", order["id"])
    assert dispute["amount"] == order["total"]

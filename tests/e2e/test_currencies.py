"""Currencies without decimals, with three, and one that Stripe counts in other units than ISO 4217."""

import uuid

import pytest

from devstack.shopper import ApiProblem
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean


@pytest.mark.parametrize(
    ("currency", "price", "at_stripe"),
    [
        ("JPY", 9801, 9801),
        ("KWD", 45_510, 45_510),
        ("ISK", 4901, 490_100),
    ],
)
async def test_charged_refunded_in_parts_and_booked(
    shop: Shop, currency: str, price: int, at_stripe: int
) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    slug = f"abroad-{uuid.uuid4().hex[:10]}"
    item = {
        "slug": slug,
        "type": "course",
        "title": "Abroad",
        "lms_course_id": "web-design",
        "prices": [{"amount": price, "currency": currency}],
        "tax_code": "txcd_20060158",
    }
    await operator.call("POST", "/v1/catalog/items", item)
    await learner.add(slug)
    answer = await learner.checkout(address={"country": "BR"})
    intent_id = answer["payment"]["payment_intent_id"]
    assert (await shop.stripe.intent(intent_id))["amount"] == at_stripe
    await shop.stripe.confirm(intent_id, "pm_card_visa")
    order = await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    assert order["amount_paid"] == {"amount": price, "currency": currency}
    part = price // 3 // 10 * 10
    if currency == "KWD":
        with pytest.raises(ApiProblem) as caught:
            await operator.refund(order["id"], amount={"amount": part + 5, "currency": currency})
        assert (caught.value.status, caught.value.code) == (422, "amount_not_chargeable")
        assert (await learner.order(order["id"]))["refunds"] == []
    await operator.refund(order["id"], amount={"amount": part, "currency": currency})
    await learner.wait_for_status(order["id"], "partially_refunded")
    await operator.refund(order["id"])
    order = await learner.wait_for_status(order["id"], "refunded")
    assert [refund["amount"]["amount"] for refund in order["refunds"]] == [part, price - part]
    gone = await shop.stripe.listing("refunds", payment_intent=intent_id)
    assert sum(refund["amount"] for refund in gone) == at_stripe
    (document, *notes) = (await learner.call("GET", f"/v1/orders/{order['id']}/documents"))["data"]
    assert document["total"]["amount"] == sum(note["total"]["amount"] for note in notes) == price
    await assert_clean(shop.stack)

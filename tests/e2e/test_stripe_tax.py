"""TAX_PROVIDER=stripe: calculated at quote and checkout, recorded at payment, reversed at refund."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from devstack.lms_standin.control import LmsControl
from devstack.payout_receiver.control import PayoutControl
from devstack.shopper import ApiProblem, Shopper, wait_for
from devstack.stripe_standin.control import StripeControl
from tests.e2e.conftest import Shop
from tests.e2e.oracle import assert_clean

NEW_YORK = {"country": "US", "state": "NY", "postal_code": "10001"}
# 4 %, 4.5 % and 0.375 % of 99 dollars: three roundings, none of them ours.
NEW_YORK_TAXES = {
    "US-NY": (40_000, 396),
    "US-NY New York City": (45_000, 446),
    "US-NY Metropolitan Commuter Transportation District": (3750, 37),
}
CALCULATIONS = "/v1/tax/calculations"


@pytest.fixture(scope="module")
async def taxed(make_stack: Any) -> AsyncIterator[Shop]:
    """A shop that leaves tax to Stripe."""
    stack = make_stack(environment={"TAX_PROVIDER": "stripe"})
    async with (
        StripeControl(stack.urls.stripe) as stripe,
        LmsControl(stack.urls.lms) as lms,
        PayoutControl(stack.urls.payout) as payout,
    ):
        yield Shop(stack, stripe, lms, payout)


async def quoted(learner: Shopper, address: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = await learner.call("POST", "/v1/checkout/quote", {"billing_address": address})
    return found


async def reports(shop: Shop, order_id: str, count: int) -> list[dict[str, Any]]:
    """The tax transactions of an order at Stripe, with their lines; the sale first."""

    async def rows() -> list[dict[str, Any]]:
        return await shop.query(
            "SELECT provider_id FROM tax_report WHERE order_id = %s AND reported_at IS NOT NULL "
            "ORDER BY reported_at",
            order_id,
        )

    known = await wait_for(rows, lambda found: len(found) == count, what=f"{count} tax reports")
    found = []
    for row in known:
        one = await shop.stripe.find("tax/transactions", row["provider_id"])
        lines = await shop.stripe.find("tax/transactions", f"{row['provider_id']}/line_items")
        found.append({**one, "lines": lines["data"]})
    return found


async def test_stripes_amounts_are_charged_stored_recorded_and_reversed(taxed: Shop) -> None:
    learner, operator = await taxed.learner(), await taxed.operator()
    await learner.add("python-101", currency="USD")
    await learner.add("web-design")
    quote = await quoted(learner, NEW_YORK)
    shown = {
        tax["jurisdiction"]: (tax["rate_ppm"], tax["amount"]["amount"]) for tax in quote["lines"][0]["taxes"]
    }
    assert shown == NEW_YORK_TAXES
    answer = await learner.checkout(address=NEW_YORK, expected_total=quote["totals"]["total"])
    await taxed.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    order = await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    first, second = order["lines"]
    assert first["tax"]["amount"] == 879
    (stored,) = await taxed.query("SELECT taxes FROM order_line WHERE id = %s", first["id"])
    assert {t["jurisdiction"]: (t["ppm"], t["amount"]) for t in stored["taxes"]} == NEW_YORK_TAXES
    (sale,) = await reports(taxed, order["id"], 1)
    assert (sale["reference"], sale["type"]) == (order["id"], "transaction")
    assert [(line["amount"], line["amount_tax"]) for line in sale["lines"]] == [
        (9900, 879),
        (7900, second["tax"]["amount"]),
    ]
    await operator.refund(order["id"], lines=[{"line_id": first["id"], "amount": 1000}])
    await reports(taxed, order["id"], 2)
    await operator.refund(order["id"])
    _, part, rest = await reports(taxed, order["id"], 3)
    assert [(line["amount"], line["amount_tax"]) for line in part["lines"]] == [(-919, -81)]
    gone: dict[str, list[int]] = {}
    for line in [*part["lines"], *rest["lines"]]:
        sums = gone.setdefault(line["reversal"]["original_line_item"], [0, 0])
        sums[0] -= line["amount"]
        sums[1] -= line["amount_tax"]
    assert gone == {line["id"]: [line["amount"], line["amount_tax"]] for line in sale["lines"]}
    await assert_clean(taxed.stack)


async def test_a_business_abroad_and_an_inclusive_price(taxed: Shop) -> None:
    learner, operator = await taxed.learner(), await taxed.operator()
    slug = f"inclusive-{uuid.uuid4().hex[:8]}"
    item = {
        "slug": slug,
        "type": "course",
        "title": "All included",
        "lms_course_id": "web-design",
        "prices": [{"amount": 11_900, "currency": "EUR"}],
        "tax_code": "txcd_20060158",
        "tax_behavior": "inclusive",
    }
    await operator.call("POST", "/v1/catalog/items", item)
    await operator.call("POST", "/v1/promotions", {"code": slug, "kind": "percent", "percent_bp": 1000})
    await learner.add(slug)
    await learner.promo(slug)
    totals = (await quoted(learner, {"country": "DE"}))["totals"]
    assert {name: money["amount"] for name, money in totals.items()} == {
        "subtotal": 10_000,
        "discount": 1000,
        "tax": 1710,
        "total": 10_710,
    }
    quote = await quoted(learner, {"country": "DE", "tax_id": "DE136695976"})
    assert quote["reverse_charge"] is True
    assert [tax["jurisdiction"] for tax in quote["lines"][0]["taxes"]] == ["DE-RC"]
    answer = await learner.checkout(address={"country": "DE"})
    await taxed.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    order = await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    await operator.refund(order["id"])
    sale, reversal = await reports(taxed, order["id"], 2)
    assert [(line["amount"], line["amount_tax"]) for line in sale["lines"]] == [(10_710, 1710)]
    assert [(line["amount"], line["amount_tax"]) for line in reversal["lines"]] == [(-10_710, -1710)]


async def test_a_free_order_asks_nobody(taxed: Shop) -> None:
    learner = await taxed.learner()
    await learner.add("python-101")
    await learner.promo("FREE100")
    before = await taxed.stripe.effects()
    answer = await learner.checkout(address={"country": "US", "state": "NY"})  # too vague for Stripe
    await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    assert await taxed.stripe.effects() == before


async def test_stripe_away_is_503_and_the_same_key_goes_on_later(taxed: Shop) -> None:
    learner = await taxed.learner()
    await learner.add("python-101")
    key = str(uuid.uuid4())
    await taxed.stripe.fault("POST", CALCULATIONS, "500_before", count=None)
    for attempt in (lambda: quoted(learner, NEW_YORK), lambda: learner.checkout(address=NEW_YORK, key=key)):
        with pytest.raises(ApiProblem) as caught:
            await attempt()
        assert (caught.value.status, caught.value.code) == (503, "processor_unavailable")
    await taxed.stripe.clear_faults()
    assert (await learner.call("GET", "/v1/orders"))["data"] == []
    assert len((await learner.call("GET", "/v1/cart"))["lines"]) == 1
    answer = await learner.checkout(address=NEW_YORK, key=key)
    assert answer["order"]["tax"]["amount"] == 879


async def test_an_address_that_stripe_finds_too_vague_is_refused(taxed: Shop) -> None:
    learner = await taxed.learner()
    await learner.add("python-101")
    for attempt in (quoted(learner, {"country": "US"}), learner.checkout(address={"country": "US"})):
        with pytest.raises(ApiProblem) as caught:
            await attempt
        assert (caught.value.status, caught.value.code) == (422, "tax_location_invalid")
    assert (await learner.call("GET", "/v1/orders"))["data"] == []


@pytest.mark.parametrize("kind", ["cut_after", "500_before"])
async def test_lost_answers_make_no_second_transaction(taxed: Shop, kind: Any) -> None:
    learner = await taxed.learner()
    await learner.add("web-design")
    key = str(uuid.uuid4())
    await taxed.stripe.fault("POST", CALCULATIONS, kind, count=1)
    with pytest.raises(ApiProblem):
        await learner.checkout(address=NEW_YORK, key=key)
    answer = await learner.checkout(address=NEW_YORK, key=key)
    await taxed.stripe.fault("POST", "/v1/tax/transactions/create_from_calculation", kind, count=1)
    await taxed.stripe.fault("POST", "/v1/tax/transactions/create_reversal", kind, count=1)
    await taxed.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    order = await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    await (await taxed.operator()).refund(order["id"])
    await reports(taxed, order["id"], 2)
    made = await taxed.stripe.requests(path="/v1/tax/transactions/*")
    executed = [
        request.path
        for request in made
        if request.outcome == "executed" and request.idempotency_key and order["id"] in str(request.params)
    ]
    assert sorted(executed) == [
        "/v1/tax/transactions/create_from_calculation",
        "/v1/tax/transactions/create_reversal",
    ]

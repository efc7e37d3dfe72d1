"""Currencies at the catalogue: what can't be charged is never offered."""

import uuid
from typing import Any

import pytest

from tests.api.callers import Gateway


def price(amount: int, currency: str) -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


def course(**changes: Any) -> dict[str, Any]:
    slug = f"c-{uuid.uuid4().hex[:12]}"
    body = {"slug": slug, "type": "course", "title": slug, "lms_course_id": slug, "tax_code": "txcd_20060158"}
    return body | changes


@pytest.mark.parametrize(
    ("amount", "currency"), [(45_505, "KWD"), (1, "BHD"), (12_345, "MGA"), (999_999, "TND")]
)
async def test_a_price_off_the_charge_step_is_refused(gateway: Gateway, amount: int, currency: str) -> None:
    body = course(prices=[price(100, "USD"), price(amount, currency)])
    refusal = await gateway.operator.refused("POST", "/v1/catalog/items", body)
    assert refusal == (422, "amount_not_chargeable")
    assert (await gateway.operator.send("GET", f"/v1/catalog/items/{body['slug']}")).status_code == 404
    made = await gateway.item()
    path = f"/v1/catalog/items/{made['id']}"
    change = {"title": "Another", "prices": [price(amount, currency)]}
    assert await gateway.operator.refused("PATCH", path, change) == (422, "amount_not_chargeable")
    assert await gateway.operator.ok("GET", path) == made


@pytest.mark.parametrize(
    ("amount", "currency"), [(45_500, "KWD"), (1, "JPY"), (12_300, "MGA"), (1, "ISK"), (1, "USD")]
)
async def test_a_price_on_the_charge_step_is_taken(gateway: Gateway, amount: int, currency: str) -> None:
    body = course(prices=[price(amount, currency)])
    assert (await gateway.operator.ok("POST", "/v1/catalog/items", body))["prices"] == body["prices"]


@pytest.mark.parametrize("currency", ["XXX", "XYZ", "BTC"])
async def test_an_unknown_currency_is_called_so(gateway: Gateway, currency: str) -> None:
    learner = await gateway.person()
    made = await gateway.item()
    fixed = {"code": "NEVER", "kind": "fixed", "amount_off": 5, "currency": currency}
    for caller, path, body in (
        (gateway.operator, "/v1/catalog/items", course(prices=[price(100, currency)])),
        (gateway.operator, "/v1/promotions", fixed),
        (learner, "/v1/cart/items", {"item_id": made["id"], "currency": currency}),
    ):
        answer = await caller.send("POST", path, body)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "unknown_currency")
        assert currency in problem["detail"]
        assert len(problem["errors"]) == 1
    assert (await learner.ok("GET", "/v1/cart"))["lines"] == []


async def test_several_mistakes_are_one_bad_request(gateway: Gateway) -> None:
    body = course(prices=[price(100, "XXX")]) | {"slug": "NOT A SLUG"}
    assert await gateway.operator.refused("POST", "/v1/catalog/items", body) == (422, "invalid_request")

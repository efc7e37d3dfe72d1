"""A key is bound to what was decided, and to an effect that may exist; not to what came to nothing."""

import asyncio
import json
import uuid
from typing import Any

import pytest

from domain.errors import RateLimited, Unauthenticated
from tests.api.callers import Gateway
from tests.api.test_idempotency import BODY, endpoint, rotations

PROMOTION = {"code": "to be replaced", "kind": "percent", "percent_bp": 500}


def promotion() -> dict[str, Any]:
    return PROMOTION | {"code": f"R-{uuid.uuid4().hex[:10]}"}


@pytest.mark.parametrize(
    "wrong",
    [{"percent_bp": "half"}, {"nonsense": 1}, {"code": ""}],
)
async def test_after_an_error_of_shape_the_key_takes_the_corrected_body(
    gateway: Gateway, wrong: dict[str, Any]
) -> None:
    good, key = promotion(), str(uuid.uuid4())
    assert (await gateway.operator.refused("POST", "/v1/promotions", good | wrong, key=key))[0] == 422
    made = await gateway.operator.ok("POST", "/v1/promotions", good, key=key)
    assert made["code"] == good["code"].upper()
    other = await gateway.operator.refused("POST", "/v1/promotions", promotion(), key=key)
    assert other == (422, "idempotency_key_reused")


async def test_a_body_that_is_no_json_a_missing_right_and_an_unknown_object_release_the_key(
    gateway: Gateway,
) -> None:
    learner, key = await gateway.person(), str(uuid.uuid4())
    headers = {
        "Authorization": f"Bearer {learner.token}",
        "Idempotency-Key": key,
        "Content-Type": "application/json",
    }
    torn = await gateway.http.post("/v1/cart/items", content=b"{", headers=headers)
    assert (torn.status_code, torn.json()["code"]) == (400, "malformed_body")
    assert await learner.refused("POST", "/v1/promotions", promotion(), key=key) == (403, "forbidden")
    nowhere = f"/v1/orders/{uuid.uuid4()}/cancel"
    assert await learner.refused("POST", nowhere, key=key) == (404, "not_found")
    item = await gateway.item()
    await learner.ok("POST", "/v1/cart/items", {"item_id": item["id"], "quantity": 1}, key=key)


async def test_a_stale_version_releases_the_key(gateway: Gateway) -> None:
    item, key = await gateway.item(), str(uuid.uuid4())
    change = ("PATCH", f"/v1/catalog/items/{item['id']}")
    stale = await gateway.operator.refused(*change, {"title": "A"}, key=key, headers={"If-Match": '"v9"'})
    assert stale == (412, "precondition_failed")
    assert (await gateway.operator.ok(*change, {"title": "B"}, key=key))["title"] == "B"


async def test_a_limit_that_a_route_finds_releases_the_key(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, key = await gateway.person(), str(uuid.uuid4())
    address = {"country": "US", "state": "NY", "postal_code": "10001"}

    async def limited(*_: Any) -> None:
        raise RateLimited("too many declined payments", 60)

    with monkeypatch.context() as patched:
        patched.setattr("api.routes.checkout.refuse_who_does_not_pay", limited)
        refusal = await learner.refused("POST", "/v1/checkout", {"billing_address": address}, key=key)
        assert refusal == (429, "rate_limited")
    other = {"billing_address": address | {"postal_code": "10002"}}
    assert await learner.refused("POST", "/v1/checkout", other, key=key) == (409, "cart_empty")


async def test_where_an_effect_may_exist_the_key_stays_with_its_request(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Temporal here: the correction is recorded, whether its workflow began is not known."""
    asked = {"payee_ref": "lms:102", "amount": {"amount": 5, "currency": "USD"}, "reason": "agreed"}
    key = str(uuid.uuid4())
    answer = await gateway.operator.send("POST", "/v1/earnings/write-offs", asked, key=key)
    assert answer.status_code == 503
    other = asked | {"reason": "another"}
    reused = (422, "idempotency_key_reused")
    assert await gateway.operator.refused("POST", "/v1/earnings/write-offs", other, key=key) == reused
    wrong_shape = asked | {"amount": 5}
    assert await gateway.operator.refused("POST", "/v1/earnings/write-offs", wrong_shape, key=key) == reused

    async def unknown(*_: Any, **__: Any) -> None:
        raise Unauthenticated("meanwhile")

    with monkeypatch.context() as patched:  # what the repeat meets undoes nothing of the first try
        patched.setattr("api.routes.corrections._run", unknown)
        assert (await gateway.operator.refused("POST", "/v1/earnings/write-offs", asked, key=key))[0] == 401
    assert await gateway.operator.refused("POST", "/v1/earnings/write-offs", other, key=key) == reused


async def test_a_claim_that_nobody_answered_is_resumed_by_its_own_request_only(gateway: Gateway) -> None:
    made, key = await endpoint(gateway), str(uuid.uuid4())
    path = f"/v1/webhook-endpoints/{made}/rotate-secret"
    answers = await asyncio.gather(*(gateway.operator.send("POST", path, key=key) for _ in range(16)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert {a.json()["code"] for a in answers if a.status_code == 409} <= {"idempotency_key_in_use"}
    assert await rotations(gateway, made) == 1


async def test_of_a_storm_of_bad_and_good_bodies_under_one_key_one_good_one_counts(gateway: Gateway) -> None:
    """Bad ones release the key while others wait for it: it ends with one good body, and one effect."""
    key = str(uuid.uuid4())
    bad, good = BODY | {"url": 7}, BODY

    async def insist(body: dict[str, Any]) -> tuple[int, str]:
        while True:
            answer = await gateway.operator.send("POST", "/v1/webhook-endpoints", body, key=key)
            if answer.status_code != 409:
                return answer.status_code, json.loads(answer.content).get("id", answer.json().get("code"))
            await asyncio.sleep(0.01)

    found = await asyncio.gather(*(insist(good if number % 2 else bad) for number in range(24)))
    assert {status for status, _ in found} == {201, 422}
    assert len({made for status, made in found if status == 201}) == 1

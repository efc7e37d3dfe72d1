"""What may not be found later is planted everywhere; the end of the run looks for it (canaries.py)."""

import base64
import secrets
import uuid

import httpx

from devstack.shopper import Shopper, wait_for
from tests.e2e import canaries
from tests.e2e.canaries import plant
from tests.e2e.conftest import Shop


def word() -> str:
    return f"canary{secrets.token_hex(12)}"


async def test_secrets_and_people_are_planted(shop: Shop) -> None:
    name, password = plant("a name", f"Quiz{word()}"), plant("a password", word())
    email = plant("an email", f"{word()}@example.com")
    learner = await Shopper(shop.gateway).register(email, f"Zebulon {name}", password=password)
    plant("an access token", str(learner.token).rsplit(".", 1)[1])
    plant("a refresh token", str(learner.refresh_token))
    for number in range(2):
        await Shopper(shop.gateway).send(
            "POST",
            "/v1/auth/login",
            {"username": email, "password": plant(f"wrong password {number}", word())},
        )
    address = {
        "country": "DE",
        "postal_code": "10115",
        "city": plant("a city", word()),
        "line1": plant("a street", word()),
        "name": plant("a billing name", word()),
    }
    await learner.add("python-101")
    await learner.send("PUT", "/v1/cart/promo", {"code": plant("a guessed code", word().upper())})
    url = f"https://front.example/{plant('a URL', word())}"
    answer = await learner.checkout(address=address, return_url=url)
    intent = answer["payment"]["payment_intent_id"]
    plant("a client secret", answer["payment"]["client_secret"].rsplit("_", 1)[1])
    await shop.stripe.confirm(intent, "pm_card_chargeDeclined")
    await shop.stripe.confirm(intent, "pm_card_visa")
    await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    operator = await shop.operator()
    made = await operator.call(
        "POST",
        "/v1/webhook-endpoints",
        {"url": f"http://127.0.0.1:9/{plant('a receiver', word())}", "event_types": ["dispute.lost"]},
    )
    plant("an endpoint's secret", made["secret"].removeprefix("whsec_"))
    async with httpx.AsyncClient(base_url=shop.gateway, trust_env=False) as http:
        await http.get("/v1/catalog/items", params={"q": plant("a search", word())})
        await http.get("/v1/me", headers={"Authorization": f"Bearer {plant('a bad token', word())}"})
        await http.get("/v1/me", headers={"Authorization": f"Bearer ck_{plant('a bad API key', word())}"})
        basic = base64.b64encode(plant("basic credentials", word()).encode()).decode()
        await http.get("/v1/me", headers={"Authorization": f"Basic {basic}"})
        for sender in ("stripe", "lms", "payout"):
            body = plant(f"a forged event of {sender}", word())
            await http.post(f"/v1/webhooks/{sender}", content=f'{{"id": "{body}"}}')
        await http.post("/v1/auth/refresh", json={"refresh_token": plant("a bad refresh token", word())})
    await operator.refund(answer["order"]["id"], reason=plant("a reason", word()))
    await learner.wait_for_status(answer["order"]["id"], "refunded")
    assert len(canaries.planted) >= 20
    assert await canaries.found(shop, canaries.temporal_files()) == []


async def test_what_is_logged_is_found(shop: Shop) -> None:
    """The search itself works: a request id may be logged, and is."""
    request_id = word()
    async with httpx.AsyncClient(base_url=shop.gateway, trust_env=False) as http:
        await http.get("/v1/catalog/items", headers={"X-Request-Id": request_id})
    canaries.planted["a request id"] = request_id
    try:
        seen = await wait_for(lambda: canaries.found(shop, []), bool, what="the line")
        assert seen == ["a request id in the gateway's log"]
    finally:
        del canaries.planted["a request id"]


async def test_a_request_id_goes_all_the_way(shop: Shop) -> None:
    learner, request_id = await shop.learner(), f"trace-{uuid.uuid4()}"
    await learner.add("python-101")
    async with httpx.AsyncClient(base_url=shop.gateway, trust_env=False) as http:
        answer = await http.post(
            "/v1/checkout",
            json={"billing_address": {"country": "US", "state": "NY", "postal_code": "10001"}},
            headers={
                "Authorization": f"Bearer {learner.token}",
                "Idempotency-Key": str(uuid.uuid4()),
                "X-Request-Id": request_id,
            },
        )
    order = answer.json()["order"]
    assert answer.headers["X-Request-Id"] == request_id
    await shop.stripe.confirm(answer.json()["payment"]["payment_intent_id"], "pm_card_visa")
    await learner.wait_for_status(order["id"], "fulfilled")
    rows = await shop.query(
        "SELECT type, request_id FROM outbound_event WHERE data->>'order_id' = %s "
        "OR data->>'user_id' = %s ORDER BY id",
        order["id"],
        order["user_id"],
    )
    assert {row["type"] for row in rows} >= {"order.paid", "entitlement.granted", "order.fulfilled"}
    assert {row["request_id"] for row in rows} == {request_id}

    await shop.lms.complete(learner.user["lms_user_id"], "python-101")

    async def received() -> list[str]:
        events = await shop.payout.events(type="earning.accrued")
        return [e.body["request_id"] for e in events if e.body["data"]["order_id"] == order["id"]]

    assert await wait_for(received, bool, what="the event") == [request_id]


async def ask(shop: Shop, who: Shopper, path: str, body: object = None) -> str:
    """Post it; the id of the request."""
    request_id = f"trace-{uuid.uuid4()}"
    async with httpx.AsyncClient(base_url=shop.gateway, trust_env=False) as http:
        answer = await http.post(
            path,
            json=body,
            headers={
                "Authorization": f"Bearer {who.token}",
                "Idempotency-Key": str(uuid.uuid4()),
                "X-Request-Id": request_id,
            },
        )
    assert answer.status_code < 300, answer.text
    return request_id


async def requests_of(shop: Shop, order_id: str) -> list[tuple[str, str]]:
    """What was told of an order, and for which request."""
    rows = await shop.query(
        "SELECT type, request_id FROM outbound_event WHERE data->>'order_id' = %s ORDER BY id", order_id
    )
    return [(row["type"], row["request_id"]) for row in rows]


async def test_a_cancellation_is_told_under_its_own_request(shop: Shop) -> None:
    learner = await shop.learner()
    order = (await shop.place(learner))["order"]
    request_id = await ask(shop, learner, f"/v1/orders/{order['id']}/cancel")
    assert await requests_of(shop, order["id"]) == [("order.canceled", request_id)]


async def test_an_answer_is_told_under_its_own_request(shop: Shop) -> None:
    learner, operator = await shop.learner(), await shop.operator()
    slug = await shop.seat(operator, capacity=5)
    order = await shop.buy(learner, slug)
    item = await operator.item(slug)
    canceled = await ask(
        shop, operator, f"/v1/catalog/items/{item['id']}/cancel-run", {"reason": "the teacher is ill"}
    )
    question = f"/v1/orders/{order['id']}/lines/{order['lines'][0]['id']}/resolution"

    async def told() -> dict[str, str]:
        return dict(await requests_of(shop, order["id"]))

    seen = await wait_for(told, lambda found: "resolution.asked" in found, what="the question")
    assert seen["resolution.asked"] == canceled
    answered = await ask(shop, learner, question, {"choice": "store_credit"})
    seen = await wait_for(told, lambda found: "refund.succeeded" in found, what="the credit")
    assert seen["resolution.decided"] == answered
    assert seen["refund.succeeded"] == answered

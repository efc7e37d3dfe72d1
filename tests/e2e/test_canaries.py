"""What may not be found later is planted everywhere; the end of the run looks for it (canaries.py)."""

import asyncio
import base64
import secrets
import sys
import uuid

import httpx
import pytest

from devstack.shopper import Shopper, wait_for
from domain.ids import order_workflow_id
from tests.conftest import StackFactory
from tests.e2e import canaries as search
from tests.e2e.canaries import canaries
from tests.e2e.conftest import Shop


def word() -> str:
    return f"canary{secrets.token_hex(12)}"


async def buyer(shop: Shop) -> tuple[Shopper, str]:
    """Somebody whose every word is a canary, and their order; the first card is declined."""
    secret, person = canaries.secret, canaries.person
    name, password = person("a name", f"Quiz{word()}"), secret("a password", word())
    email = person("an email", f"{word()}@example.com")
    learner = await Shopper(shop.gateway).register(email, f"Zebulon {name}", password=password)
    secret("an access token", str(learner.token).rsplit(".", 1)[1])
    secret("a refresh token", str(learner.refresh_token))
    for number in range(2):
        tried = {"username": email, "password": secret(f"wrong password {number}", word())}
        await Shopper(shop.gateway).send("POST", "/v1/auth/login", tried)
    address = {
        "country": "DE",
        "postal_code": "10115",
        "city": person("a city", word()),
        "line1": person("a street", word()),
        "name": person("a billing name", f"Zoë {word()}"),
    }
    await learner.add("python-101")
    await learner.send("PUT", "/v1/cart/promo", {"code": secret("a guessed code", word().upper())})
    url = f"https://front.example/{secret('a URL', word())}"
    answer = await learner.checkout(address=address, return_url=url)
    intent = answer["payment"]["payment_intent_id"]
    secret("a client secret", answer["payment"]["client_secret"].rsplit("_", 1)[1])
    await shop.stripe.confirm(intent, "pm_card_chargeDeclined")
    await shop.stripe.confirm(intent, "pm_card_visa")
    await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    return learner, answer["order"]["id"]


async def strangers(shop: Shop) -> None:
    """Requests that are refused, each with a secret in another place."""
    secret = canaries.secret
    async with httpx.AsyncClient(base_url=shop.gateway, trust_env=False) as http:
        await http.get("/v1/catalog/items", params={"q": secret("a search", word())})
        await http.get("/v1/me", params={"access_token": secret("a token in a query", word())})
        await http.get("/v1/me", headers={"Cookie": f"session={secret('a cookie', word())}"})
        await http.get("/v1/me", headers={"Authorization": f"Bearer {secret('a bad token', word())}"})
        await http.get("/v1/me", headers={"Authorization": f"Bearer ck_{secret('a bad API key', word())}"})
        basic = base64.b64encode(secret("basic credentials", word()).encode()).decode()
        await http.get("/v1/me", headers={"Authorization": f"Basic {basic}"})
        for sender in ("stripe", "lms", "payout"):
            body = secret(f"a forged event of {sender}", word())
            signature = {"Stripe-Signature": secret(f"a forged signature of {sender}", word())}
            await http.post(f"/v1/webhooks/{sender}", content=f'{{"id": "{body}"}}', headers=signature)
        await http.post("/v1/auth/refresh", json={"refresh_token": secret("a bad refresh token", word())})


async def test_secrets_and_people_are_planted(shop: Shop) -> None:
    learner, order_id = await buyer(shop)
    await strangers(shop)
    operator = await shop.operator()
    made = await operator.call(
        "POST",
        "/v1/webhook-endpoints",
        {
            "url": f"http://127.0.0.1:9/{canaries.secret('a receiver', word())}",
            "event_types": ["dispute.lost"],
        },
    )
    canaries.secret("an endpoint's secret", made["secret"].removeprefix("whsec_"))
    await operator.refund(order_id, reason=canaries.person("a reason", word()))
    await learner.wait_for_status(order_id, "refunded")
    # Besides those that each stack was given.
    assert len(canaries.secrets) >= 20
    assert {"a name", "an email"} <= canaries.personal.keys()
    canaries.mark("the order's workflow", order_workflow_id(order_id))
    values = canaries.planted | search.secrets_of(shop.stack.credentials)
    files = [*search.log_files(), *search.temporal_files()]
    assert await asyncio.to_thread(search.found_in, files, values) == []
    assert await asyncio.to_thread(search.seeing, canaries.marks) == []
    assert await asyncio.to_thread(search.found_in_ledger, shop.stack.urls.database_url, values) == []


async def test_what_is_logged_is_found(shop: Shop) -> None:
    """The search itself works: a request id may be logged, and is."""
    request_id = word()
    async with httpx.AsyncClient(base_url=shop.gateway, trust_env=False) as http:
        await http.get("/v1/catalog/items", headers={"X-Request-Id": request_id})

    async def found() -> list[str]:
        return await asyncio.to_thread(search.found_in, search.log_files(), {"a request id": request_id})

    seen = await wait_for(found, bool, what="the line")
    assert [place.endswith(f"{shop.stack.data_dir.name}/logs/gateway.log") for place in seen] == [True]


LEAKY = """
import logging, os, uvicorn
from api.main import create_app
app = create_app()
@app.middleware("http")
async def leak(request, call_next):
    logging.getLogger("gateway").warning("asked for %s", request.url.query)
    return await call_next(request)
uvicorn.run(app, port=int(os.environ["PUBLIC_URL"].rsplit(":", 1)[1]))
"""


async def test_a_log_line_that_leaks_is_seen_in_any_stack(make_stack: StackFactory) -> None:
    """Planted: a gateway that logs what was asked. The stack is another one than the session's."""
    running = make_stack(parts=frozenset({"gateway"}), commands={"gateway": (sys.executable, "-c", LEAKY)})
    leaked = word()
    async with httpx.AsyncClient(base_url=running.urls.gateway, trust_env=False) as http:
        await http.get("/v1/catalog/items", params={"q": leaked})

    async def found() -> list[str]:
        return await asyncio.to_thread(search.found_in, search.log_files(), {"a search": leaked})

    seen = await wait_for(found, bool, what="the leak")
    assert seen == [f"a search in stacks/{running.data_dir.name}/logs/gateway.log"]


@pytest.mark.parametrize(
    "value", ["Zoë Quiz-canary", "canary0123456789", "canary01234567890", "x-canary-0123456"]
)
def test_a_value_is_found_as_files_hold_it(value: str) -> None:
    """Whatever stands before and after it."""
    for before in ("", "a", "ab", "abc"):
        for after in ("", "z", "zy", "zyx"):
            inner = base64.b64encode(f"{before}{value}{after}".encode())
            assert any(form in inner for form in search._written(value)), (before, after)


async def test_a_search_that_sees_nothing_says_so(shop: Shop) -> None:
    unknown = {"an order that never was": order_workflow_id(str(uuid.uuid4()))}
    (said,) = await asyncio.to_thread(search.seeing, unknown)
    assert said.endswith("an order that never was")


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

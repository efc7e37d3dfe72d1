"""Who tries too often has to wait, whichever gateway is asked; who works normally never notices."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from pydantic import ValidationError
from sqlalchemy import text

from api.main import create_app
from config import Settings
from domain.limits import ALL, CHECKOUT, DECLINES, DOCUMENT, LOGIN, PROMOTION, QUOTE, REGISTER, UNPAID, Limit
from domain.orders import PaymentState
from models.queries import inbox, orders
from tests.api.callers import PASSWORD, Caller, Gateway
from tests.api.test_reservations import order_of

NOBODYS = "0192f1a0-0000-7000-8000-000000000000"
MakeHttp = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def make_http(environment: dict[str, str], gateway: Gateway) -> AsyncIterator[MakeHttp]:
    """Another gateway on the same database, with limits."""
    async with AsyncExitStack() as cleanup:

        async def make(factor: str = "1", address: str = "203.0.113.7") -> httpx.AsyncClient:
            values = environment | {"RATE_LIMIT_FACTOR": factor}
            app = create_app(Settings.model_validate({name.lower(): value for name, value in values.items()}))
            await cleanup.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app, client=(address, 50_000))
            return await cleanup.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url="http://gateway")
            )

        yield make
        async with gateway.services.database.transaction() as session:
            await session.execute(text("DELETE FROM rate_limit"))


async def log_in(http: httpx.AsyncClient, username: str, password: str = "wrong") -> httpx.Response:
    return await http.post("/v1/auth/login", json={"username": username, "password": password})


async def some_time_passes(gateway: Gateway, seconds: int) -> None:
    async with gateway.services.database.transaction() as session:
        await session.execute(
            text("UPDATE rate_limit SET even_until = even_until - make_interval(secs => :s)"), {"s": seconds}
        )


def test_limits_have_names_of_their_own() -> None:
    assert len({limit.name for limit in ALL}) == len(ALL)


async def test_guessing_a_password_is_slowed_at_every_gateway(gateway: Gateway, make_http: MakeHttp) -> None:
    one, other = await make_http(), await make_http(address="198.51.100.9")
    times = LOGIN[0].times
    for number in range(times):
        answer = await log_in(other if number % 2 else one, "learner@example.com")
        assert answer.status_code == 401
    for http in (one, other):
        answer = await log_in(http, " Learner@Example.com")
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert 1 <= int(answer.headers["Retry-After"]) <= LOGIN[0].seconds / times
    # The right password helps the guesser no more; another account is not held up.
    assert (await log_in(one, "learner@example.com", PASSWORD)).status_code == 429
    assert (await log_in(one, "learner2@example.com", PASSWORD)).status_code == 200
    await some_time_passes(gateway, LOGIN[0].seconds // times + 1)
    assert (await log_in(one, "learner@example.com", PASSWORD)).status_code == 200
    async with gateway.services.database.transaction() as session:
        keys = "".join((await session.execute(text("SELECT key FROM rate_limit"))).scalars())
    assert "learner" not in keys


async def register(
    http: httpx.AsyncClient, email: str, password: str, key: str, **headers: str
) -> httpx.Response:
    body = {"email": email, "password": password, "full_name": "Ann Example"}
    return await http.post("/v1/auth/register", json=body, headers={"Idempotency-Key": key, **headers})


@pytest.mark.parametrize("keys", [1, 3, 99])
async def test_registering_is_no_way_to_guess_a_password(
    gateway: Gateway, make_http: MakeHttp, keys: int
) -> None:
    """By one key after another, each begun with what claims it and comes to nothing."""
    one, other = await make_http(), await make_http(address="198.51.100.9")
    times, names = LOGIN[0].times, [uuid.uuid4().hex for _ in range(keys)]
    guesses = ["", *(f"guess number {number}" for number in range(times - 1))]
    for number, guess in enumerate(guesses):
        answer = await register(
            other if number % 2 else one, "learner2@example.com", guess, names[number % keys]
        )
        assert answer.status_code == (409 if guess else 422)
    assert (await register(one, "learner2@example.com", PASSWORD, names[0])).status_code == 429
    assert (await register(one, "Learner2@example.com", PASSWORD, uuid.uuid4().hex)).status_code == 429
    assert (await log_in(other, "learner2@example.com", PASSWORD)).status_code == 429


async def test_a_guess_by_registering_does_not_get_in(gateway: Gateway, make_http: MakeHttp) -> None:
    """The right password neither, under a key that was refused or came to nothing before."""
    http = await make_http()
    refused, empty = uuid.uuid4().hex, uuid.uuid4().hex
    first = await register(http, "learner@example.com", "a wrong one", refused)
    assert (first.status_code, first.json()["code"]) == (409, "already_registered")
    again = await register(http, "learner@example.com", PASSWORD, refused)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await register(http, "learner@example.com", "", empty)).status_code == 422
    assert (await register(http, "learner@example.com", PASSWORD, empty)).status_code == 409


async def test_a_good_registration_is_no_attempt_of_its_account(make_http: MakeHttp) -> None:
    http, email, key = await make_http(), f"ann.{uuid.uuid4().hex}@example.com", uuid.uuid4().hex
    for _ in range(LOGIN[0].times + 5):
        assert (await register(http, email, PASSWORD, key)).status_code == 201


@pytest.mark.parametrize("who", ["operator", "machine"])
async def test_powers_do_not_help_to_guess_passwords(gateway: Gateway, make_http: MakeHttp, who: str) -> None:
    http = await make_http("0.1")
    caller = gateway.operator if who == "operator" else await gateway.machine("orders:read")
    bearer = {"Authorization": f"Bearer {caller.token}"}
    guess = {"username": "learner@example.com", "password": "wrong"}
    answers = [(await http.post("/v1/auth/login", json=guess, headers=bearer)).status_code for _ in range(2)]
    assert answers == [401, 429]
    for number in range(REGISTER[0].times // 10):
        answer = await register(
            http, f"n{number}.{uuid.uuid4().hex}@example.com", "", uuid.uuid4().hex, **bearer
        )
        assert answer.status_code == 422
    assert (await register(http, "m@example.com", "", uuid.uuid4().hex, **bearer)).status_code == 429


async def test_a_good_login_is_no_attempt(make_http: MakeHttp) -> None:
    http = await make_http()
    for _ in range(LOGIN[0].times + 5):
        assert (await log_in(http, "instructor@example.com", PASSWORD)).status_code == 200


async def test_many_accounts_from_one_address_are_slowed(make_http: MakeHttp) -> None:
    http = await make_http("0.1", "2001:db8:1:2::1")
    for number in range(LOGIN[1].times // 10):
        assert (await log_in(http, f"nobody{number}@example.com")).status_code == 401
    assert (await log_in(http, "somebody@example.com")).status_code == 429
    neighbour = await make_http("0.1", "2001:db8:1:2:ffff::9")
    assert (await log_in(neighbour, "somebody@example.com")).status_code == 429
    elsewhere = await make_http("0.1", "2001:db8:1:3::1")
    assert (await log_in(elsewhere, "somebody@example.com")).status_code == 401


async def test_guessing_of_promotions_is_slowed_and_operators_are_not(
    gateway: Gateway, make_http: MakeHttp
) -> None:
    http = await make_http()
    learner = Caller(http, (await gateway.person()).token)
    operator = Caller(http, gateway.operator.token)
    for caller in (learner, operator):
        for number in range(PROMOTION[0].times):
            refusal = await caller.refused("PUT", "/v1/cart/promo", {"code": f"GUESS{number}"})
            assert refusal == (422, "promo_invalid")
    last = ("PUT", "/v1/cart/promo", {"code": "GUESS"})
    assert await learner.refused(*last) == (429, "rate_limited")
    assert await operator.refused(*last) == (422, "promo_invalid")
    await learner.ok("GET", "/v1/cart")


async def test_card_testing_is_slowed_and_the_key_stays_free(gateway: Gateway, make_http: MakeHttp) -> None:
    learner = Caller(await make_http(), (await gateway.person()).token)
    body = {"billing_address": {"country": "US", "state": "NY", "postal_code": "10001"}}
    for _ in range(CHECKOUT[0].times):
        assert await learner.refused("POST", "/v1/checkout", body) == (409, "cart_empty")
    key = str(uuid.uuid4())
    answer = await learner.send("POST", "/v1/checkout", body, key=key)
    assert answer.status_code == 429
    await some_time_passes(gateway, int(answer.headers["Retry-After"]) + 1)
    again = await learner.send("POST", "/v1/checkout", body, key=key)
    assert (again.status_code, again.json()["code"]) == (409, "cart_empty")
    assert "Idempotent-Replayed" not in again.headers


@pytest.mark.parametrize(
    ("method", "path", "limits"),
    [
        ("POST", "/v1/checkout/quote", QUOTE),
        *(
            ("GET", path, DOCUMENT)
            for path in (
                f"/v1/documents/{NOBODYS}.pdf",
                f"/v1/orders/{NOBODYS}/receipt.pdf",
                f"/v1/orders/{NOBODYS}/credit-notes/{NOBODYS}.pdf",
            )
        ),
    ],
)
async def test_what_is_costly_is_slowed_by_user_and_by_address(
    gateway: Gateway, make_http: MakeHttp, method: str, path: str, limits: tuple[Limit, ...]
) -> None:
    body = None if method == "GET" else {"billing_address": {"country": "US", "postal_code": "10001"}}
    by_user, by_address = limits
    http = await make_http(str(3 / by_user.times))
    learner, operator = Caller(http, (await gateway.person()).token), Caller(http, gateway.operator.token)
    for _ in range(3):
        assert (await learner.send(method, path, body)).status_code in (200, 404)
    assert await learner.refused(method, path, body) == (429, "rate_limited")
    assert (await operator.send(method, path, body)).status_code in (200, 404)
    for _ in range(by_address.times * 3 // by_user.times - 3):
        assert (
            await Caller(http, (await gateway.person()).token).send(method, path, body)
        ).status_code != 429
    assert (await Caller(http, (await gateway.person()).token).refused(method, path, body))[0] == 429


async def test_who_is_declined_often_gets_no_further_intent(gateway: Gateway, make_http: MakeHttp) -> None:
    person, other = await gateway.person(), await gateway.person()
    http = await make_http()
    body = {"billing_address": {"country": "US", "state": "NY", "postal_code": "10001"}}
    checkout = ("POST", "/v1/checkout", body)
    async with gateway.services.database.transaction() as session:
        order_id = await order_of(session, person.user_id)
    for number in range(DECLINES.times):
        assert await Caller(http, person.token).refused(*checkout) == (409, "cart_empty")
        await some_time_passes(gateway, CHECKOUT[0].seconds)
        subject = {"id": "pi_x", "metadata": {"order_id": order_id}}
        event = {
            "id": f"evt_{order_id}_{number}",
            "type": "payment_intent.payment_failed",
            "data": {"object": subject},
        }
        async with gateway.services.database.transaction() as session:
            await inbox.store(session, inbox.STRIPE, event, await inbox.resolve_order(session, subject))
    answer = await Caller(http, person.token).send(*checkout)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert DECLINES.seconds - 120 < int(answer.headers["Retry-After"]) <= DECLINES.seconds
    assert await Caller(http, other.token).refused(*checkout) == (409, "cart_empty")
    async with gateway.services.database.transaction() as session:
        await session.execute(
            text(
                "UPDATE inbound_event SET received_at = received_at - interval '1 hour' WHERE order_id = :id"
            ),
            {"id": order_id},
        )
    assert await Caller(http, person.token).refused(*checkout) == (409, "cart_empty")


async def test_who_lets_orders_end_unpaid_holds_no_further_seats(
    gateway: Gateway, make_http: MakeHttp
) -> None:
    person, other = await gateway.person(), await gateway.person()
    http = await make_http()
    checkout = ("POST", "/v1/checkout", {"billing_address": {"country": "US", "postal_code": "10001"}})
    for _ in range(UNPAID.times):
        assert await Caller(http, person.token).refused(*checkout) == (409, "cart_empty")
        await some_time_passes(gateway, CHECKOUT[0].seconds)
        async with gateway.services.database.transaction() as session:
            order_id = await order_of(session, person.user_id)
            await orders.set_payment_state(session, order_id, PaymentState.EXPIRED)
    answer = await Caller(http, person.token).send(*checkout)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert UNPAID.seconds - 300 < int(answer.headers["Retry-After"]) <= UNPAID.seconds
    assert await Caller(http, other.token).refused(*checkout) == (409, "cart_empty")
    async with gateway.services.database.transaction() as session:  # one of them was paid after all
        await orders.set_payment_state(session, order_id, PaymentState.PAID)
    assert await Caller(http, person.token).refused(*checkout) == (409, "cart_empty")


async def test_of_a_rush_at_two_gateways_no_more_than_the_limit_get_through(
    gateway: Gateway, make_http: MakeHttp
) -> None:
    gateways = [await make_http(), await make_http()]
    token = (await gateway.person()).token
    body = {"billing_address": {"country": "US", "state": "NY", "postal_code": "10001"}}

    async def rush(number: int) -> int:
        return (await Caller(gateways[number % 2], token).refused("POST", "/v1/checkout", body))[0]

    found = Counter(await asyncio.gather(*(rush(number) for number in range(32))))
    assert found == {409: CHECKOUT[0].times, 429: 32 - CHECKOUT[0].times}


async def test_signed_events_have_no_limit(make_http: MakeHttp) -> None:
    http = await make_http("0.001")
    for _ in range(5):
        assert (await http.post("/v1/webhooks/stripe", content=b"{}")).status_code == 400


async def test_nobody_in_particular_counts_by_address(make_http: MakeHttp) -> None:
    http = await make_http("0.0025")
    answers = [(await http.get("/v1/catalog/items")).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]


def test_production_does_without_no_limits(environment: dict[str, str]) -> None:
    unsafe = {"COMMERCE_ENV": "production", "RATE_LIMIT_FACTOR": "0"}
    with pytest.raises(ValidationError, match="RATE_LIMIT_FACTOR is 0"):
        Settings.model_validate({name.lower(): value for name, value in (environment | unsafe).items()})


async def test_dropping_old_counts_holds_up_nobody(
    gateway: Gateway, make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request in four drops what has run out, here the counts that the others are about to take."""
    monkeypatch.setattr("api.rate_limits._SWEEP_ONE_IN", 4)
    http = await make_http(factor="100")
    for _ in range(5):
        answers = await asyncio.gather(*(log_in(http, "learner@example.com") for _ in range(32)))
        assert Counter(answer.status_code for answer in answers) == {401: 32}
        await some_time_passes(gateway, 3600)

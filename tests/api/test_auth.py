"""Register, log in, refresh with rotation, log out, who am I, our keys."""

import asyncio
import uuid
from typing import Any

import jwt
import pytest
import sqlalchemy

from api.tokens import hash_refresh_token, new_refresh_token
from domain.errors import CommerceError
from models.database import Database
from models.queries import people
from tests.api.callers import PASSWORD, Caller, Gateway


def fresh_account() -> dict[str, str]:
    return {
        "email": f"ann.{uuid.uuid4().hex[:12]}@example.com",
        "password": "a long enough password",
        "full_name": "Ann Example",
    }


async def test_a_learner_registers_and_is_known(gateway: Gateway) -> None:
    body = fresh_account()
    answer = await gateway.nobody().send("POST", "/v1/auth/register", body)
    assert answer.status_code == 201
    signed_in = answer.json()
    assert set(signed_in) == {"user", "access_token", "refresh_token", "token_type", "expires_in"}
    assert (signed_in["user"]["email"], signed_in["user"]["full_name"]) == (body["email"], "Ann Example")
    assert signed_in["user"]["roles"] == ["learner"]
    ann = Caller(gateway.http, signed_in["access_token"])
    assert await ann.ok("GET", "/v1/me") == signed_in["user"]


async def test_a_replayed_registration_is_the_same_user_with_fresh_tokens(gateway: Gateway) -> None:
    body, key = fresh_account(), str(uuid.uuid4())
    first = await gateway.nobody().send("POST", "/v1/auth/register", body, key=key)
    again = await gateway.nobody().send("POST", "/v1/auth/register", body, key=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["user"] == first.json()["user"]
    assert again.json()["refresh_token"] != first.json()["refresh_token"]


async def test_a_replay_with_another_password_does_not_get_in(gateway: Gateway) -> None:
    body, key = fresh_account(), str(uuid.uuid4())
    await gateway.nobody().ok("POST", "/v1/auth/register", body, key=key)
    other = body | {"password": "not the one before"}
    status, code = await gateway.nobody().refused("POST", "/v1/auth/register", other, key=key)
    assert (status, code) in {(401, "bad_credentials"), (409, "already_registered")}


async def test_a_key_of_one_email_says_nothing_of_another(gateway: Gateway) -> None:
    """Also where no account is made of them: these are no addresses to everybody."""
    key = str(uuid.uuid4())
    for name in ("jörg", "jürgen", "Иван"):
        body = fresh_account() | {"email": f"{name}.{uuid.uuid4().hex[:8]}@example.com"}
        answer = await gateway.nobody().send("POST", "/v1/auth/register", body, key=key)
        assert answer.status_code == 201 or answer.json()["code"] != "idempotency_key_reused", answer.text


async def test_an_email_registers_once(gateway: Gateway) -> None:
    body = fresh_account()
    await gateway.nobody().ok("POST", "/v1/auth/register", body)
    shouted = body | {"email": body["email"].upper()}
    for again in (body, shouted):
        assert await gateway.nobody().refused("POST", "/v1/auth/register", again) == (
            409,
            "already_registered",
        )


@pytest.mark.parametrize(
    "change",
    [
        {"email": "no address"},
        {"email": "a\x00b@example.com"},
        {"full_name": ""},
        {"full_name": "A\x00nn"},
        {"password": ""},
        {"roles": ["operator"]},
    ],
)
async def test_a_registration_out_of_form_is_refused(gateway: Gateway, change: dict[str, object]) -> None:
    answer = await gateway.nobody().send("POST", "/v1/auth/register", fresh_account() | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["pointer"].startswith("/body/")


async def test_roles_come_from_the_lms(gateway: Gateway) -> None:
    operator = await gateway.login("operator@example.com")
    assert "operator" in (await operator.ok("GET", "/v1/me"))["roles"]
    instructor = await gateway.login("instructor@example.com")
    assert "instructor" in (await instructor.ok("GET", "/v1/me"))["roles"]
    assert instructor.lms_user_id == "102"


async def test_two_logins_are_one_user(gateway: Gateway) -> None:
    first, second = await gateway.login("learner@example.com"), await gateway.login("learner@example.com")
    assert first.user_id == second.user_id


async def test_a_wrong_password_is_refused_and_not_echoed(gateway: Gateway) -> None:
    answer = await gateway.nobody().send(
        "POST", "/v1/auth/login", {"username": "learner@example.com", "password": "canary-7f3a"}
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_credentials")
    assert "canary-7f3a" not in answer.text
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_login_says_when_the_lms_is_away(gateway: Gateway) -> None:
    body = {"username": "learner@example.com", "password": PASSWORD}
    await gateway.lms.fault("login", "server_error", count=5)
    try:
        answer = await gateway.nobody().send("POST", "/v1/auth/login", body)
    finally:
        await gateway.lms.clear_faults()
    assert (answer.status_code, answer.json()["code"]) == (503, "lms_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


async def login_tokens(gateway: Gateway) -> dict[str, Any]:
    body = {"username": "learner2@example.com", "password": PASSWORD}
    tokens: dict[str, Any] = await gateway.nobody().ok("POST", "/v1/auth/login", body)
    return tokens


async def test_a_refresh_token_is_exchanged_once(gateway: Gateway) -> None:
    first = await login_tokens(gateway)
    nobody = gateway.nobody()
    second = await nobody.ok("POST", "/v1/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert second["user"] == first["user"]
    third = await nobody.ok("POST", "/v1/auth/refresh", {"refresh_token": second["refresh_token"]})
    assert third["refresh_token"] not in {first["refresh_token"], second["refresh_token"]}


async def test_reuse_of_a_spent_token_ends_its_family_for_good(gateway: Gateway) -> None:
    first = await login_tokens(gateway)
    other_device = await login_tokens(gateway)
    nobody = gateway.nobody()
    newest = await nobody.ok("POST", "/v1/auth/refresh", {"refresh_token": first["refresh_token"]})
    for token in (first["refresh_token"], newest["refresh_token"], newest["refresh_token"]):
        refusal = await nobody.refused("POST", "/v1/auth/refresh", {"refresh_token": token})
        assert refusal == (401, "invalid_refresh_token")
    await nobody.ok("POST", "/v1/auth/refresh", {"refresh_token": other_device["refresh_token"]})


async def test_reuse_ends_the_token_that_is_being_made_in_the_same_moment(gateway: Gateway) -> None:
    """The thief exchanges; the victim presents a spent token before that is committed."""
    first = await login_tokens(gateway)
    nobody, database = gateway.nobody(), gateway.services.database
    second = await nobody.ok("POST", "/v1/auth/refresh", {"refresh_token": first["refresh_token"]})
    token, token_hash = new_refresh_token()
    async with database.transaction() as thief:
        spent = await people.spend_refresh_token(thief, hash_refresh_token(second["refresh_token"]))
        assert spent is not None
        assert spent.good
        await people.keep_refresh_token(
            thief, user_id=spent.user_id, token_hash=token_hash, family_id=spent.family_id
        )
        victim = asyncio.create_task(
            nobody.refused("POST", "/v1/auth/refresh", {"refresh_token": first["refresh_token"]})
        )
        async with asyncio.timeout(10):
            await until_somebody_waits_for_a_lock(database)
    invalid = (401, "invalid_refresh_token")
    assert await victim == invalid
    assert await nobody.refused("POST", "/v1/auth/refresh", {"refresh_token": token}) == invalid


async def until_somebody_waits_for_a_lock(database: Database) -> None:
    while True:
        async with database.transaction() as session:
            waits = await session.execute(
                sqlalchemy.text(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
            )
        if waits.scalar_one():
            return
        await asyncio.sleep(0.02)


async def test_of_many_exchanges_and_one_reuse_at_a_time_no_token_survives(gateway: Gateway) -> None:
    for _ in range(5):
        first = await login_tokens(gateway)
        nobody = gateway.nobody()
        newest = await nobody.ok("POST", "/v1/auth/refresh", {"refresh_token": first["refresh_token"]})

        async def exchange(token: str) -> str:
            answer = await gateway.nobody().send("POST", "/v1/auth/refresh", {"refresh_token": token})
            return str(answer.json()["refresh_token"]) if answer.status_code == 200 else ""

        made = await asyncio.gather(
            *(exchange(one["refresh_token"]) for one in (newest, first, newest, first))
        )
        for token in made:
            if token:
                assert await exchange(token) == ""


async def test_logout_ends_the_family_and_asks_no_questions(gateway: Gateway) -> None:
    tokens = await login_tokens(gateway)
    nobody = gateway.nobody()
    for token in (tokens["refresh_token"], tokens["refresh_token"], "never-issued"):
        answer = await nobody.send("POST", "/v1/auth/logout", {"refresh_token": token})
        assert answer.status_code == 204
    refusal = await nobody.refused("POST", "/v1/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    assert refusal == (401, "invalid_refresh_token")


async def test_an_expired_refresh_token_is_refused(gateway: Gateway) -> None:
    tokens = await login_tokens(gateway)
    async with gateway.services.database.transaction() as session:
        await session.execute(
            sqlalchemy.text("UPDATE refresh_token SET expires_at = now() WHERE user_id = :id"),
            {"id": tokens["user"]["id"]},
        )
    refusal = await gateway.nobody().refused(
        "POST", "/v1/auth/refresh", {"refresh_token": tokens["refresh_token"]}
    )
    assert refusal == (401, "invalid_refresh_token")


async def test_our_keys_verify_our_tokens_and_hold_no_secret(gateway: Gateway) -> None:
    published = await gateway.nobody().ok("GET", "/.well-known/jwks.json")
    assert len(published["keys"]) == 2
    assert all("d" not in key for key in published["keys"])
    keys = jwt.PyJWKSet.from_dict(published)
    tokens = await login_tokens(gateway)
    header = jwt.get_unverified_header(tokens["access_token"])
    claims = jwt.decode(
        tokens["access_token"], keys[header["kid"]], algorithms=["EdDSA"], audience="commerce"
    )
    assert claims["sub"] == tokens["user"]["id"]


async def test_without_a_token_nobody_is_let_in(gateway: Gateway) -> None:
    answer = await gateway.nobody().send("GET", "/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    with pytest.raises(CommerceError):
        gateway.services.tokens.verify("garbage")

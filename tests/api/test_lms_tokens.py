"""Tokens that the LMS issued open what its user may see; anything else about them opens nothing."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from api.main import create_app
from config import Settings
from devstack.lms_standin.control import LmsControl
from devstack.lms_standin.tokens import AUDIENCE, ISSUER
from tests.api.callers import Caller
from tests.lms.processes import StandinProcess


@pytest.fixture
async def lms(lms_process: StandinProcess) -> AsyncIterator[LmsControl]:
    async with LmsControl(lms_process.base_url) as control:
        yield control


def settings_of(environment: dict[str, str], **more: str) -> Settings:
    values = environment | {
        "LMS_JWKS_URL": f"{environment['LMS_BASE_URL']}/.well-known/jwks.json",
        "LMS_JWT_ISSUER": ISSUER,
        "LMS_JWT_AUDIENCE": AUDIENCE,
    }
    return Settings.model_validate({name.lower(): value for name, value in (values | more).items()})


@pytest.fixture
async def http(environment: dict[str, str], lms: LmsControl) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway that accepts tokens of the LMS."""
    app = create_app(settings_of(environment))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, client=("203.0.113.7", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            yield client


async def user_of(lms: LmsControl, email: str) -> dict[str, Any]:
    (found,) = [user for user in await lms.users() if user["email"] == email]
    return found


async def test_a_user_of_the_lms_gets_in_and_is_the_same_as_after_a_login(
    http: httpx.AsyncClient, lms: LmsControl
) -> None:
    operator = await user_of(lms, "operator@example.com")
    by_token = Caller(http, await lms.token(str(operator["id"])))
    me = await by_token.ok("GET", "/v1/me")
    assert me["lms_user_id"] == str(operator["id"])
    body = {"username": "operator@example.com", "password": "commerce-demo"}
    session = await Caller(http).ok("POST", "/v1/auth/login", body)
    assert session["user"]["id"] == me["id"]
    await by_token.ok("GET", "/v1/ledger/accounts")
    learner = await user_of(lms, "learner@example.com")
    by_token = Caller(http, await lms.token(str(learner["id"])))
    assert await by_token.refused("GET", "/v1/ledger/accounts") == (403, "forbidden")


async def test_a_new_key_is_found_and_the_old_one_is_forgotten(
    http: httpx.AsyncClient, lms: LmsControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.lms.tokens._PAUSE_SECONDS", 0)
    learner = str((await user_of(lms, "learner@example.com"))["id"])
    old = await lms.token(learner)
    await Caller(http, old).ok("GET", "/v1/me")
    await lms.rotate_keys()
    await Caller(http, await lms.token(learner)).ok("GET", "/v1/me")
    assert await Caller(http, old).refused("GET", "/v1/me") == (401, "unauthenticated")


async def test_without_any_keys_it_is_503_and_the_public_stays_open(environment: dict[str, str]) -> None:
    app = create_app(settings_of(environment, LMS_JWKS_URL="http://127.0.0.1:9/jwks.json"))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, client=("203.0.113.7", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "1", "iat": 1, "exp": 2**31}
            token = jwt.encode(claims, key, "RS256", {"kid": "k"})
            assert await Caller(client, token).refused("GET", "/v1/me") == (503, "lms_unavailable")
            assert (await client.get("/v1/catalog/items")).status_code == 200


NOW = int(time.time())
Forge = Callable[[LmsControl, str], Awaitable[str]]


async def _own_key(lms: LmsControl, user: str) -> str:
    """Signed by somebody else under the LMS's key id."""
    good = await lms.token(user)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = jwt.decode(good, options={"verify_signature": False})
    return jwt.encode(claims, key, "RS256", {"kid": jwt.get_unverified_header(good)["kid"]})


async def _hmac_with_the_public_key(lms: LmsControl, user: str) -> str:
    good = await lms.token(user)
    claims = jwt.decode(good, options={"verify_signature": False})
    headers = {"kid": jwt.get_unverified_header(good)["kid"]}
    return jwt.encode(claims, "the-public-key-as-a-shared-secret-of-32-bytes", "HS256", headers)


async def _unsigned(lms: LmsControl, user: str) -> str:
    claims = jwt.decode(await lms.token(user), options={"verify_signature": False})
    return jwt.encode(claims, None, "none")


ATTACKS: dict[str, Forge] = {
    "another key": _own_key,
    "hmac": _hmac_with_the_public_key,
    "none": _unsigned,
    "unknown kid": lambda lms, user: lms.token(user, headers={"kid": "unknown"}),
    "another issuer": lambda lms, user: lms.token(user, iss="https://evil.example"),
    "another audience": lambda lms, user: lms.token(user, aud="other"),
    "expired": lambda lms, user: lms.token(user, iat=NOW - 7200, exp=NOW - 3600),
    "not yet": lambda lms, user: lms.token(user, nbf=NOW + 3600),
    "from the future": lambda lms, user: lms.token(user, iat=NOW + 3600, exp=NOW + 7200),
    "for ten years": lambda lms, user: lms.token(user, exp=NOW + 10 * 365 * 86400),
    "for ever": lambda lms, user: lms.token(user, exp=None),
    "an id token": lambda lms, user: lms.token(user, headers={"typ": "id+jwt"}),
    "crit": lambda lms, user: lms.token(user, headers={"crit": ["b64"], "b64": True}),
    "nobody": lambda lms, _: lms.token("999999999"),
    "an empty subject": lambda lms, _: lms.token(""),
    "an email as the subject": lambda lms, _: lms.token("operator@example.com"),
    "own roles": lambda lms, user: lms.token(user, roles=["operator"]),
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_bad_token_of_the_lms_opens_nothing(
    http: httpx.AsyncClient, lms: LmsControl, name: str
) -> None:
    learner = str((await user_of(lms, "learner@example.com"))["id"])
    await Caller(http, await lms.token(learner)).ok("GET", "/v1/me")
    forged = Caller(http, await ATTACKS[name](lms, learner))
    status, _ = await forged.refused("GET", "/v1/ledger/accounts")
    assert status == (403 if name == "own roles" else 401)


def test_the_settings_go_together(environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="go together"):
        settings_of(environment, LMS_JWT_AUDIENCE="")
    with pytest.raises(ValueError, match="could not be told from ours"):
        settings_of(
            environment, LMS_JWT_ISSUER="https://pay.example.com", PUBLIC_URL="https://pay.example.com"
        )

"""Tokens that the LMS issued open what its user may see; anything else about them opens nothing."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from sqlalchemy import text

from api.main import create_app
from config import Settings
from devstack.lms_standin.control import LmsControl
from devstack.lms_standin.tokens import AUDIENCE, ISSUER
from domain.errors import LmsUnavailable, Unauthenticated
from integrations.lms.tokens import LmsTokens, LmsTokenSettings
from models.database import Database
from models.queries import wiping
from tests.api.callers import Caller
from tests.api.test_token_attacks import b64
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


async def test_an_operator_of_the_lms_has_histories_opened(
    environment: dict[str, str], lms: LmsControl
) -> None:
    """A Temporal UI sends the token of who signed in there."""
    app = create_app(settings_of(environment, TEMPORAL_UI_ORIGINS="https://temporal.example.com"))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, client=("203.0.113.7", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            for email, status in (("operator@example.com", 200), ("learner@example.com", 403)):
                token = await lms.token(str((await user_of(lms, email))["id"]))
                answer = await client.post(
                    "/codec/decode", json={"payloads": []}, headers={"Authorization": f"Bearer {token}"}
                )
                assert answer.status_code == status


async def test_who_was_erased_comes_back_by_a_token_of_after_it_only(
    http: httpx.AsyncClient, lms: LmsControl, environment: dict[str, str]
) -> None:
    lms_id = await lms.add_user(f"back.{uuid.uuid4().hex}@example.com")
    before = Caller(http, await lms.token(lms_id, iat=int(time.time()) - 60))
    me = await before.ok("GET", "/v1/me")
    database = Database(environment["DATABASE_URL"])
    async with database.transaction() as session:
        await wiping.wipe(session, me["id"])
        await session.execute(
            text("UPDATE commerce_user SET erased_at = now() - interval '30 seconds' WHERE id = :id"),
            {"id": me["id"]},
        )
    await database.aclose()
    assert (await before.refused("GET", "/v1/me"))[0] == 401
    after = Caller(http, await lms.token(lms_id))
    assert await after.ok("GET", "/v1/me") == me
    await before.ok("GET", "/v1/me")


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


def now() -> int:
    """Seconds since the epoch: a run of all tests takes longer than a token is good for."""
    return int(time.time())


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


async def _hmac_with_the_published_key(lms: LmsControl, user: str) -> str:
    """By hand: the library itself refuses to sign so."""
    head, body, _ = (await lms.token(user, headers={"typ": "JWT"})).split(".")
    async with httpx.AsyncClient(base_url=lms.base_url) as http:
        (jwk,) = (await http.get("/.well-known/jwks.json")).json()["keys"]
    public = jwt.PyJWK(jwk).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = json.loads(base64.urlsafe_b64decode(head + "==")) | {"alg": "HS256"}
    signed = f"{b64(json.dumps(header).encode())}.{body}"
    return f"{signed}.{b64(hmac.new(public, signed.encode(), hashlib.sha256).digest())}"


async def _spliced(lms: LmsControl, user: str) -> str:
    """An operator's claims with the signature over a learner's."""
    (operator,) = [found for found in await lms.users() if found["email"] == "operator@example.com"]
    head, _, signature = (await lms.token(user)).split(".")
    return f"{head}.{(await lms.token(str(operator['id']))).split('.')[1]}.{signature}"


async def _with_own_jwk(lms: LmsControl, user: str) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = jwt.decode(await lms.token(user), options={"verify_signature": False})
    jwk = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    return jwt.encode(claims, key, "RS256", {"kid": "mine", "jwk": jwk, "jku": "https://evil.example/jwks"})


async def _another_curve(lms: LmsControl, user: str) -> str:
    good = await lms.token(user)
    claims = jwt.decode(good, options={"verify_signature": False})
    kid = jwt.get_unverified_header(good)["kid"]
    return jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", {"kid": kid})


async def _cut(lms: LmsControl, user: str) -> str:
    return (await lms.token(user)).rsplit(".", 1)[0] + "."


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
    "expired": lambda lms, user: lms.token(user, iat=now() - 7200, exp=now() - 3600),
    "not yet": lambda lms, user: lms.token(user, nbf=now() + 3600),
    "from the future": lambda lms, user: lms.token(user, iat=now() + 3600, exp=now() + 7200),
    "for ten years": lambda lms, user: lms.token(user, exp=now() + 10 * 365 * 86400),
    "for ever": lambda lms, user: lms.token(user, exp=None),
    "an id token": lambda lms, user: lms.token(user, headers={"typ": "id+jwt"}),
    "crit": lambda lms, user: lms.token(user, headers={"crit": ["b64"], "b64": True}),
    "nobody": lambda lms, _: lms.token("999999999"),
    "an empty subject": lambda lms, _: lms.token(""),
    "an email as the subject": lambda lms, _: lms.token("operator@example.com"),
    "hmac with the published key": _hmac_with_the_published_key,
    "spliced": _spliced,
    "own jwk and jku": _with_own_jwk,
    "another curve": _another_curve,
    "without its signature": _cut,
    "kid as a path": lambda lms, user: lms.token(user, headers={"kid": "../../dev/null"}),
    "a refresh token": lambda lms, user: lms.token(user, headers={"typ": "rt+jwt"}),
    "exp as text": lambda lms, user: lms.token(user, exp=str(now() + 600)),
    "exp as a fraction": lambda lms, user: lms.token(user, exp=now() + 600.5),
    "exp before iat": lambda lms, user: lms.token(user, iat=now(), exp=now() - 1),
    "iat missing": lambda lms, user: lms.token(user, iat=None),
    "audience missing": lambda lms, user: lms.token(user, aud=None),
    "audience empty": lambda lms, user: lms.token(user, aud=""),
    "issuer with a slash": lambda lms, user: lms.token(user, iss=f"{ISSUER}/"),
    "subject missing": lambda lms, user: lms.token(user, sub=None),
    "subject with SQL": lambda lms, user: lms.token(f"{user}' OR '1'='1"),
    "subject of another path": lambda lms, user: lms.token(f"{user}/../1"),
    "too long": lambda lms, user: lms.token(user, pad="x" * 9000),
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


class Publisher:
    """An LMS's keys, as they stand at their address; counts how often somebody asked."""

    def __init__(self, keys: Any, status: int = 200) -> None:
        self.keys, self.status, self.asked = keys, status, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        headers = {"Location": "https://evil.example/jwks"} if self.status == 302 else None
        return httpx.Response(self.status, json=self.keys, headers=headers)


def verifier(publisher: Publisher) -> LmsTokens:
    http = httpx.AsyncClient(transport=httpx.MockTransport(publisher))
    return LmsTokens(http, LmsTokenSettings("https://lms.example.com/jwks", ISSUER, AUDIENCE))


def claims_now() -> dict[str, Any]:
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "7", "iat": now(), "exp": now() + 600}


def published(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(key))
    return found | {"kid": kid, "alg": "RS256"} | more


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_only_strong_public_keys_for_signatures_verify() -> None:
    good, weak, sealing, private = (
        rsa.generate_private_key(public_exponent=65537, key_size=bits) for bits in (2048, 1024, 2048, 2048)
    )
    secret = "a-shared-secret-in-a-public-place-01"
    keys = {
        "keys": [
            published(good.public_key(), "good"),
            published(weak.public_key(), "weak"),
            published(sealing.public_key(), "sealing", use="enc"),
            published(private, "private"),
            {"kty": "oct", "kid": "shared", "alg": "HS256", "k": b64(secret.encode())},
        ]
    }
    tokens = verifier(Publisher(keys))
    found = await tokens.verify(jwt.encode(claims_now(), good, "RS256", {"kid": "good"}))
    assert found.lms_user_id == "7"
    for kid, key in (("weak", weak), ("sealing", sealing), ("private", private)):
        with pytest.raises(Unauthenticated):
            await tokens.verify(jwt.encode(claims_now(), key, "RS256", {"kid": kid}))
    with pytest.raises(Unauthenticated):
        await tokens.verify(jwt.encode(claims_now(), secret, "HS256", {"kid": "shared"}))


async def test_invented_key_ids_do_not_make_us_ask_again_and_again() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    publisher = Publisher({"keys": [published(key.public_key(), "good")]})
    tokens = verifier(publisher)
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await tokens.verify(jwt.encode(claims_now(), key, "RS256", {"kid": f"invented-{number}"}))
    assert publisher.asked == 1
    found = await tokens.verify(jwt.encode(claims_now(), key, "RS256", {"kid": "good"}))
    assert found.lms_user_id == "7"


async def test_who_comes_during_the_first_look_waits_for_it() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    looking, answered = asyncio.Event(), asyncio.Event()
    publisher = Publisher({"keys": [published(key.public_key(), "good")]})

    async def slowly(request: httpx.Request) -> httpx.Response:
        looking.set()
        await answered.wait()
        return publisher(request)

    http = httpx.AsyncClient(transport=httpx.MockTransport(slowly))
    tokens = LmsTokens(http, LmsTokenSettings("https://lms.example.com/jwks", ISSUER, AUDIENCE))
    token = jwt.encode(claims_now(), key, "RS256", {"kid": "good"})
    first = asyncio.create_task(tokens.verify(token))
    await looking.wait()
    others = [asyncio.create_task(tokens.verify(token)) for _ in range(5)]
    await asyncio.sleep(0.05)
    answered.set()
    assert {found.lms_user_id for found in await asyncio.gather(first, *others)} == {"7"}
    assert publisher.asked == 1


async def test_a_key_at_hand_does_not_wait_for_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    publisher, hangs = Publisher({"keys": [published(key.public_key(), "good")]}), asyncio.Event()

    async def once(request: httpx.Request) -> httpx.Response:
        if publisher.asked:
            await hangs.wait()
        return publisher(request)

    http = httpx.AsyncClient(transport=httpx.MockTransport(once))
    tokens = LmsTokens(http, LmsTokenSettings("https://lms.example.com/jwks", ISSUER, AUDIENCE))
    token = jwt.encode(claims_now(), key, "RS256", {"kid": "good"})
    await tokens.verify(token)
    monkeypatch.setattr("integrations.lms.tokens._PAUSE_SECONDS", 0)
    unknown = jwt.encode(claims_now(), key, "RS256", {"kid": "unknown"})
    looks = asyncio.create_task(tokens.verify(unknown))
    await asyncio.sleep(0.05)
    monkeypatch.setattr("integrations.lms.tokens._FRESH_SECONDS", 0)
    async with asyncio.timeout(5):
        await tokens.verify(token)
    hangs.set()
    with pytest.raises(Unauthenticated):
        await looks


@pytest.mark.parametrize(
    "unreadable",
    [
        {"kty": "EC", "crv": "brainpoolP256r1", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "X25519", "x": "AA"},
        {"kty": "RSA", "n": "not base64 at all!", "e": "AQAB"},
        {"kty": "RSA", "e": "AQAB"},
        {"kty": "RSA", "alg": "none", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "n": 7, "e": None},
    ],
)
async def test_a_key_that_can_not_be_read_is_passed_over(unreadable: dict[str, Any]) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    keys = [unreadable | {"kid": "odd"}, published(key.public_key(), "good"), "no key"]
    tokens = verifier(Publisher({"keys": keys}))
    found = await tokens.verify(jwt.encode(claims_now(), key, "RS256", {"kid": "good"}))
    assert found.lms_user_id == "7"
    with pytest.raises(Unauthenticated):
        await tokens.verify(jwt.encode(claims_now(), key, "RS256", {"kid": "odd"}))


@pytest.mark.parametrize(
    ("keys", "status"), [(None, 302), (None, 500), (None, 201), ([], 200), ({}, 200), ({"keys": "none"}, 200)]
)
async def test_what_is_no_list_of_keys_opens_nothing(keys: Any, status: int) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = {"keys": [published(key.public_key(), "good")]}
    publisher = Publisher(good if keys is None else keys, status)
    with pytest.raises(LmsUnavailable):
        await verifier(publisher).verify(jwt.encode(claims_now(), key, "RS256", {"kid": "good"}))
    assert publisher.asked == 1

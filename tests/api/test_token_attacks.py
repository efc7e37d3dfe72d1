"""Access tokens that are not ours, not now, not for us, or not whole: each is 401, with the same words."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.tokens import TYPE, SigningKey, parse_signing_keys
from devstack.credentials import Credentials
from domain.errors import BadAccessToken
from tests.api.callers import Caller, Gateway

# The order of the Ed25519 group: adding it to S gives another encoding of the same signature.
_GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


class Forger:
    """Makes tokens that are good but for one thing."""

    def __init__(self, gateway: Gateway, keys: list[SigningKey], victim: Caller) -> None:
        self.key, self.older = keys[0], keys[1]
        self.public = self.key.private.public_key()
        now = int(time.time())
        self.claims: dict[str, Any] = {
            "iss": gateway.services.public_url,
            "aud": "commerce",
            "sub": victim.user_id,
            "iat": now,
            "exp": now + 900,
            "jti": str(uuid.uuid4()),
            "roles": ["operator"],
        }
        self.header: dict[str, Any] = {"typ": TYPE, "alg": "EdDSA", "kid": self.key.kid}
        self.now = now

    def make(
        self,
        claims: dict[str, Any] | None = None,
        header: dict[str, Any] | None = None,
        *,
        drop: str | None = None,
        signer: Callable[[bytes], bytes] | None = None,
        payload: bytes | None = None,
    ) -> str:
        """A token by hand, signed by our own key unless told otherwise."""
        said = {name: value for name, value in (self.claims | (claims or {})).items() if name != drop}
        head = {name: value for name, value in (self.header | (header or {})).items() if name != drop}
        body = json.dumps(said).encode() if payload is None else payload
        signed = f"{b64(json.dumps(head).encode())}.{b64(body)}"
        return f"{signed}.{b64((signer or self.key.private.sign)(signed.encode()))}"

    def hmac(self, secret: bytes, algorithm: str = "HS256") -> str:
        digest = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}[algorithm]
        return self.make(
            header={"alg": algorithm}, signer=lambda text: hmac.new(secret, text, digest).digest()
        )


def _malleable(forger: Forger) -> str:
    head, body, signature = forger.make().split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    shifted = (int.from_bytes(raw[32:], "little") + _GROUP_ORDER).to_bytes(32, "little")
    return f"{head}.{body}.{b64(raw[:32] + shifted)}"


def _spliced(forger: Forger) -> str:
    """Claims of one token with the signature of another."""
    head, _, signature = forger.make({"roles": ["learner"]}).split(".")
    return f"{head}.{forger.make().split('.')[1]}.{signature}"


def _with_attackers_jwk(forger: Forger) -> str:
    attacker = Ed25519PrivateKey.generate()
    raw = attacker.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw), "kid": "mine"}
    return forger.make(header={"jwk": jwk, "kid": "mine"}, signer=attacker.sign)


def _raw_public(forger: Forger) -> bytes:
    return forger.public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _pem_public(forger: Forger) -> bytes:
    return forger.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _rsa(forger: Forger) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(forger.claims, key, "RS256", {"typ": TYPE, "kid": forger.key.kid})


def _ecdsa(forger: Forger) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(forger.claims, key, "ES256", {"typ": TYPE, "kid": forger.key.kid})


def _cut(forger: Forger, *, keep: int) -> str:
    return ".".join(forger.make().split(".")[:keep])


YEARS = 10 * 365 * 86400
ATTACKS: dict[str, Callable[[Forger], str]] = {
    # the algorithm
    "alg none": lambda f: f.make(header={"alg": "none"}, signer=lambda _: b""),
    "alg None": lambda f: f.make(header={"alg": "None"}, signer=lambda _: b""),
    "alg NONE with our signature": lambda f: f.make(header={"alg": "NONE"}),
    "alg empty": lambda f: f.make(header={"alg": ""}),
    "alg missing": lambda f: f.make(drop="alg"),
    "alg as a list": lambda f: f.make(header={"alg": ["EdDSA"]}),
    "alg in lower case": lambda f: f.make(header={"alg": "eddsa"}),
    "hmac with the public key": lambda f: f.hmac(_raw_public(f)),
    "hmac with the public key as PEM": lambda f: f.hmac(_pem_public(f)),
    "hmac with an empty key": lambda f: f.hmac(b""),
    "hmac with the key id": lambda f: f.hmac(f.key.kid.encode(), "HS512"),
    "RSA": _rsa,
    "ECDSA": _ecdsa,
    # the key
    "another key under our id": lambda f: f.make(signer=Ed25519PrivateKey.generate().sign),
    "our other key under this id": lambda f: f.make(signer=f.older.private.sign),
    "unknown kid": lambda f: f.make(header={"kid": "unknown"}),
    "kid missing": lambda f: f.make(drop="kid"),
    "kid null": lambda f: f.make(header={"kid": None}),
    "kid as a list": lambda f: f.make(header={"kid": [f.key.kid]}),
    "kid as a number": lambda f: f.make(header={"kid": 0}),
    "kid as a path": lambda f: f.make(header={"kid": "../../../dev/null"}),
    "kid as SQL": lambda f: f.make(header={"kid": f"{f.key.kid}' OR '1'='1"}),
    "the attacker's jwk": _with_attackers_jwk,
    "jku": lambda f: f.make(header={"jku": "https://attacker.example/jwks", "kid": "theirs"}),
    "crit": lambda f: f.make(header={"crit": ["exp"]}),
    "b64 false": lambda f: f.make(header={"b64": False, "crit": ["b64"]}),
    # the kind
    "typ JWT": lambda f: f.make(header={"typ": "JWT"}),
    "typ missing": lambda f: f.make(drop="typ"),
    "typ of a refresh token": lambda f: f.make(header={"typ": "rt+jwt"}),
    # the time
    "expired": lambda f: f.make({"iat": f.now - 1000, "exp": f.now - 100}),
    "exp missing": lambda f: f.make(drop="exp"),
    "exp null": lambda f: f.make({"exp": None}),
    "exp as text": lambda f: f.make({"exp": str(f.now + 900)}),
    "exp as a fraction": lambda f: f.make({"exp": f.now + 900.5}),
    "exp true": lambda f: f.make({"exp": True}),
    "exp beyond all clocks": lambda f: f.make({"exp": 10**30}),
    "exp infinite": lambda f: f.make(payload=json.dumps(f.claims | {"exp": float("inf")}).encode()),
    "ten years": lambda f: f.make({"exp": f.now + YEARS}),
    "ten years, begun long ago": lambda f: f.make({"iat": f.now - YEARS, "exp": f.now + 900}),
    "one second more than ours live": lambda f: f.make({"exp": f.now + 901}),
    "iat missing": lambda f: f.make(drop="iat"),
    "iat in the future": lambda f: f.make({"iat": f.now + 600, "exp": f.now + 1200}),
    "nbf in the future": lambda f: f.make({"nbf": f.now + 600}),
    "exp before iat": lambda f: f.make({"iat": f.now, "exp": f.now - 1}),
    # from whom, for whom
    "iss of another": lambda f: f.make({"iss": "https://elsewhere.example"}),
    "iss missing": lambda f: f.make(drop="iss"),
    "iss with a slash more": lambda f: f.make({"iss": f.claims["iss"] + "/"}),
    "iss as a list": lambda f: f.make({"iss": [f.claims["iss"]]}),
    "aud of another": lambda f: f.make({"aud": "lms"}),
    "aud missing": lambda f: f.make(drop="aud"),
    "aud with others": lambda f: f.make({"aud": ["commerce", "lms"]}),
    "aud empty": lambda f: f.make({"aud": ""}),
    # about whom
    "sub missing": lambda f: f.make(drop="sub"),
    "sub that is no id": lambda f: f.make({"sub": "operator"}),
    "sub as a number": lambda f: f.make({"sub": 1}),
    "sub with SQL": lambda f: f.make({"sub": f"{f.claims['sub']}' --"}),
    "jti missing": lambda f: f.make(drop="jti"),
    "roles as text": lambda f: f.make({"roles": "operator"}),
    "roles as an object": lambda f: f.make({"roles": {"operator": True}}),
    "roles with numbers": lambda f: f.make({"roles": [1]}),
    # the form
    "spliced": _spliced,
    "malleable signature": _malleable,
    "signature cut": lambda f: f.make()[:-8],
    "signature empty": lambda f: _cut(f, keep=2) + ".",
    "two parts": lambda f: _cut(f, keep=2),
    "one part": lambda f: _cut(f, keep=1),
    "four parts": lambda f: f.make() + ".e30",
    "five parts, as if encrypted": lambda f: f"{f.make()}.e30.e30",
    "claims that are a list": lambda f: f.make(payload=b"[]"),
    "claims that are no JSON": lambda f: f.make(payload=b"{"),
    "claims deeper than any": lambda f: f.make(payload=b"[" * 2500),
    "not base64": lambda f: "%%%.%%%.%%%",
    "too long": lambda f: f.make({"pad": "x" * 5000}),
    "empty": lambda f: '""',
}


@pytest.fixture(scope="module")
async def victim(gateway: Gateway) -> Caller:
    return await gateway.person("operator")


@pytest.fixture(scope="module")
def forger(gateway: Gateway, credentials: Credentials, victim: Caller) -> Forger:
    return Forger(gateway, parse_signing_keys(credentials.jwt_signing_keys), victim)


async def test_but_for_one_thing_the_tokens_are_good(
    gateway: Gateway, forger: Forger, victim: Caller
) -> None:
    """Or the refusals would prove nothing. The key before the newest still verifies."""
    older = forger.make(header={"kid": forger.older.kid}, signer=forger.older.private.sign)
    for token in (forger.make(), older):
        assert (await Caller(gateway.http, token).ok("GET", "/v1/me"))["id"] == victim.user_id


def test_there_are_more_than_forty() -> None:
    assert len(ATTACKS) > 40


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_forged_token_opens_nothing(gateway: Gateway, forger: Forger, name: str) -> None:
    forged = Caller(gateway.http, ATTACKS[name](forger))
    answer = await forged.send("GET", "/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), answer.text
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["detail"] == BadAccessToken().detail
    assert await forged.refused("POST", "/v1/promotions", {}) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic {}", "Token {}", "Bearer {} {}", "Bearer,{}", "{}"]
)
async def test_the_header_has_one_form(gateway: Gateway, forger: Forger, header: str) -> None:
    sent = {"Authorization": header.replace("{}", forger.make())}
    answer = await gateway.http.get("/v1/me", headers=sent)
    assert answer.status_code == 401, answer.text


async def test_a_token_counts_in_the_header_only(gateway: Gateway, forger: Forger) -> None:
    token = forger.make()
    for answer in (
        await gateway.http.get("/v1/me", params={"access_token": token}),
        await gateway.http.get("/v1/me", headers={"Cookie": f"access_token={token}"}),
        await gateway.http.get("/v1/me", headers={"X-Authorization": f"Bearer {token}"}),
    ):
        assert answer.status_code == 401


async def test_a_refresh_token_is_no_access_token(gateway: Gateway) -> None:
    body = {"username": "learner@example.com", "password": "commerce-demo"}
    tokens = await gateway.nobody().ok("POST", "/v1/auth/login", body)
    refusal = await Caller(gateway.http, tokens["refresh_token"]).refused("GET", "/v1/me")
    assert refusal == (401, "unauthenticated")

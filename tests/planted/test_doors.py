"""A gateway that lets a token choose its algorithm is caught by the token attacks."""

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.tokens import Claims, TokenIssuer, parse_signing_keys
from devstack.credentials import Credentials
from domain.errors import Unauthenticated
from tests.api.callers import Gateway
from tests.api.test_token_attacks import ATTACKS, Forger


def let_in(issuer: TokenIssuer, forger: Forger) -> set[str]:
    """The attacks that a verifier falls for."""
    found = set()
    for name, attack in ATTACKS.items():
        try:
            issuer.verify(attack(forger))
        except Unauthenticated:
            continue
        found.add(name)
    return found


async def test_planted_an_open_list_of_algorithms_is_caught(
    gateway: Gateway, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = await gateway.person("operator")
    forger = Forger(gateway, parse_signing_keys(credentials.jwt_signing_keys), victim)
    issuer = gateway.services.tokens
    assert let_in(issuer, forger) == set()

    def as_the_token_says(self: TokenIssuer, token: str) -> Claims:
        """Keys as bytes, the algorithm from the header: what the list of algorithms is there to prevent."""
        try:
            algorithm = jwt.get_unverified_header(token)["alg"]
            key: Any = forger.public
            if algorithm == "HS256":
                key = forger.public.public_bytes(Encoding.Raw, PublicFormat.Raw)
            if algorithm.lower() == "none":
                claims = jwt.decode(token, options={"verify_signature": False})
            else:
                claims = jwt.decode(token, key, algorithms=[algorithm], audience="commerce")
            return Claims(claims["sub"], tuple(claims["roles"]))
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError) as e:
            raise Unauthenticated from e

    monkeypatch.setattr(TokenIssuer, "verify", as_the_token_says)
    caught = let_in(issuer, forger)
    assert {"alg none", "alg None", "hmac with the public key"} <= caught
    assert "another key under our id" not in caught

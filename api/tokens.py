"""Our own access tokens: signed with Ed25519, short, typed, for one audience; keys rotate by JWKS."""

import base64
import binascii
import hashlib
import json
import secrets
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.errors import BadAccessToken

ALGORITHM = "EdDSA"
# What a token may be signed with; what it says of itself chooses nothing.
ALGORITHMS = (ALGORITHM,)
TYPE = "at+jwt"  # RFC 9068
_REQUIRED = ["exp", "iat", "iss", "aud", "sub", "jti"]
_MAX_TOKEN_LENGTH = 4096
_LEEWAY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the id under which its public half is published."""

    kid: str
    private: Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says."""

    sub: str
    roles: tuple[str, ...]


def parse_signing_keys(json_text: str) -> list[SigningKey]:
    """Read `JWT_SIGNING_KEYS`: a JSON list of private OKP JWKs. The first signs, all verify."""
    try:
        keys = [
            SigningKey(str(jwk["kid"]), Ed25519PrivateKey.from_private_bytes(_decode(jwk["d"])))
            for jwk in json.loads(json_text)
            if jwk["kty"] == "OKP" and jwk["crv"] == "Ed25519"
        ]
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise ValueError(
            "JWT_SIGNING_KEYS is a JSON list of private Ed25519 JWKs with kid, x and d"
        ) from error
    if not keys or len({key.kid for key in keys}) != len(keys):
        raise ValueError("JWT_SIGNING_KEYS needs one key at least, and each kid once")
    return keys


class TokenIssuer:
    """Issues and verifies access tokens."""

    def __init__(
        self, keys: Sequence[SigningKey], issuer: str, audience: str, access_ttl_seconds: int = 900
    ) -> None:
        self._signing = keys[0]
        self._public = {key.kid: key.private.public_key() for key in keys}
        self._issuer = issuer
        self._audience = audience
        self.access_ttl_seconds = access_ttl_seconds

    def issue(self, user_id: str, roles: Sequence[str]) -> str:
        """A fresh access token for the user."""
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": user_id,
            "iat": now,
            "exp": now + self.access_ttl_seconds,
            "jti": str(uuid.uuid4()),
            "roles": list(roles),
        }
        headers = {"typ": TYPE, "kid": self._signing.kid}
        return jwt.encode(claims, self._signing.private, algorithm=ALGORITHM, headers=headers)

    def verify(self, token: str) -> Claims:
        """The claims of a good token; Unauthenticated for anything else, without saying why."""
        if len(token) > _MAX_TOKEN_LENGTH:
            raise BadAccessToken()
        try:
            header = jwt.get_unverified_header(token)
            if header.get("typ") != TYPE or header.get("alg") not in ALGORITHMS or "crit" in header:
                raise BadAccessToken()
            kid = header.get("kid")
            public = self._public.get(kid) if isinstance(kid, str) else None
            if public is None:
                raise BadAccessToken()
            claims: dict[str, Any] = jwt.decode(
                token,
                public,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": _REQUIRED, "strict_aud": True},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise BadAccessToken() from error
        return self._checked(claims)

    def _checked(self, claims: dict[str, Any]) -> Claims:
        issued, expires, subject = claims["iat"], claims["exp"], claims["sub"]
        roles = claims.get("roles", [])
        whole = type(issued) is int and type(expires) is int
        if not whole or not 0 < expires - issued <= self.access_ttl_seconds:
            raise BadAccessToken()
        if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
            raise BadAccessToken()
        try:
            user_id = str(uuid.UUID(subject))
        except (ValueError, AttributeError, TypeError) as error:
            raise BadAccessToken() from error
        return Claims(user_id, tuple(roles))

    def jwks(self) -> dict[str, Any]:
        """The public keys (RFC 7517), for `/.well-known/jwks.json`."""
        return {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "use": "sig",
                    "alg": ALGORITHM,
                    "kid": kid,
                    "x": _encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)),
                }
                for kid, public in self._public.items()
            ]
        }


def new_refresh_token() -> tuple[str, str]:
    """A fresh refresh token and the hash under which it is stored."""
    token = secrets.token_urlsafe(32)
    return token, hash_refresh_token(token)


def hash_refresh_token(token: str) -> str:
    """SHA-256: enough for 256 bits of randomness."""
    return hashlib.sha256(token.encode()).hexdigest()


def _decode(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


API_KEY_PREFIX = "ck_"
_HINT_LENGTH = len(API_KEY_PREFIX) + 6


def new_api_key() -> tuple[str, str, str]:
    """A fresh key of a machine (shown once), its hash (kept), and its beginning (to tell keys apart)."""
    key = API_KEY_PREFIX + secrets.token_urlsafe(32)
    return key, hash_api_key(key), key[:_HINT_LENGTH]


def hash_api_key(key: str) -> str:
    """What is stored of a key. It is long and random, so that a plain hash can't be searched."""
    return hashlib.sha256(key.encode()).hexdigest()

"""Access tokens that the LMS issued, verified by the keys that it publishes (RFC 7517, RFC 9068)."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import httpx
import jwt

from domain.errors import BadAccessToken, LmsUnavailable

ALGORITHMS = ("RS256", "ES256", "EdDSA")
_REQUIRED = ["exp", "iat", "iss", "aud", "sub"]
_TYPES = (None, "JWT", "at+jwt", "application/at+jwt")
_MAX_TOKEN_LENGTH = 8192
_LONGEST_LIFE_SECONDS = 24 * 3600
_LEEWAY_SECONDS = 5
_FRESH_SECONDS = 600
# Unknown key ids make us look again, but no faster than this: anybody can invent one.
_PAUSE_SECONDS = 30
_FETCH_SECONDS = 5
_MAX_JWKS_BYTES = 256 * 1024
_SMALLEST_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class LmsTokenSettings:
    """Whose tokens are accepted."""

    jwks_url: str
    issuer: str
    audience: str


@dataclass(frozen=True, slots=True)
class LmsClaims:
    """Whom a good token names; `issued_at` in seconds since the epoch."""

    lms_user_id: str
    issued_at: int


class LmsTokens:
    """Verifies tokens; its copy of the LMS's keys is renewed every ten minutes, and survives its absence."""

    def __init__(self, http: httpx.AsyncClient, settings: LmsTokenSettings) -> None:
        self._http = http
        self._settings = settings
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -float("inf")
        self._tried_at = -float("inf")
        self._fetching = asyncio.Lock()

    def claims_to_be_one(self, token: str) -> bool:
        """Whether a token says that the LMS issued it; nothing is verified."""
        if len(token) > _MAX_TOKEN_LENGTH:
            return False
        try:
            said = jwt.decode(token, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, TypeError):
            return False
        return said.get("iss") == self._settings.issuer

    async def verify(self, token: str) -> LmsClaims:
        """Whom a token names; Unauthenticated for a bad token, LmsUnavailable without any keys."""
        try:
            header = jwt.get_unverified_header(token)
            kid, algorithm = header.get("kid"), header.get("alg")
            if algorithm not in ALGORITHMS or header.get("typ") not in _TYPES or "crit" in header:
                raise BadAccessToken()
            key = await self._key(kid) if isinstance(kid, str) else None
            if key is None or key.algorithm_name != algorithm:
                raise BadAccessToken()
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": _REQUIRED},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise BadAccessToken() from error
        issued, expires, subject = claims["iat"], claims["exp"], claims["sub"]
        whole = type(issued) is int and type(expires) is int
        if not whole or not 0 < expires - issued <= _LONGEST_LIFE_SECONDS:
            raise BadAccessToken()
        if not isinstance(subject, str) or not 0 < len(subject) <= 100:
            raise BadAccessToken()
        return LmsClaims(subject, issued)

    async def _key(self, kid: str) -> jwt.PyJWK | None:
        stale = time.monotonic() - self._fetched_at > _FRESH_SECONDS
        # Whose key is at hand does not wait for another's look; a key that is not may be on its way.
        if kid not in self._keys or (stale and not self._fetching.locked()):
            async with self._fetching:
                await self._look(kid)
        if not self._keys:
            raise LmsUnavailable("the LMS's keys are not known")
        return self._keys.get(kid)

    async def _look(self, kid: str) -> None:
        """Fetch the keys, unless somebody did while we waited."""
        now = time.monotonic()
        wanted = kid not in self._keys or now - self._fetched_at > _FRESH_SECONDS
        if wanted and now - self._tried_at > _PAUSE_SECONDS:
            self._tried_at = now
            await self._fetch()

    async def _fetch(self) -> None:
        """Take over the keys that can be read; what we have stays when the LMS can't be asked."""
        try:
            answer = await self._http.get(self._settings.jwks_url, timeout=_FETCH_SECONDS)
            if answer.status_code != 200 or len(answer.content) > _MAX_JWKS_BYTES:
                return
            published = list(answer.json()["keys"])
        except (httpx.HTTPError, ValueError, TypeError, KeyError):
            return
        found = {jwk["kid"]: _read(jwk) for jwk in published if _is_usable(jwk)}
        self._keys = {kid: key for kid, key in found.items() if key is not None and _is_strong(key)}
        self._fetched_at = time.monotonic()


def _is_usable(jwk: Any) -> bool:
    """A public key for signatures with an id; never a shared secret."""
    return (
        isinstance(jwk, dict)
        and jwk.get("kty") in ("RSA", "EC", "OKP")
        and jwk.get("use", "sig") == "sig"
        and isinstance(jwk.get("kid"), str)
        and "d" not in jwk
    )


def _read(jwk: dict[str, Any]) -> jwt.PyJWK | None:
    """The key; None when it is of a kind, or a form, that can't be read: the others count all the same."""
    try:
        return jwt.PyJWK(jwk)
    except (jwt.PyJWTError, NotImplementedError, ValueError, TypeError, KeyError):
        return None


def _is_strong(key: jwt.PyJWK) -> bool:
    return key.algorithm_name in ALGORITHMS and getattr(key.key, "key_size", 4096) >= (
        _SMALLEST_RSA_BITS if key.algorithm_name == "RS256" else 0
    )

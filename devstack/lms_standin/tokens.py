"""Access tokens of the stand-in LMS, and the keys that it publishes."""

import json
import time
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devstack.lms_standin.server import json_object

ISSUER = "https://lms.example.com"
AUDIENCE = "commerce"


class Tokens:
    """Signs with one key; a new one takes its place when told to, and after a restart."""

    def __init__(self) -> None:
        self._rotate()

    def routes(self) -> list[Route]:
        """Where the keys are, and the controls."""
        return [
            Route("/.well-known/jwks.json", self._jwks),
            Route("/_test/tokens", self._issue, methods=["POST"]),
            Route("/_test/tokens/rotate", self._renew, methods=["POST"]),
        ]

    def _rotate(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._kid = uuid.uuid4().hex

    async def _jwks(self, request: Request) -> Response:
        public = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
        return JSONResponse({"keys": [public | {"kid": self._kid, "use": "sig", "alg": "RS256"}]})

    async def _issue(self, request: Request) -> Response:
        body = await json_object(request)
        now = int(time.time())
        claims: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 3600}
        claims |= body.get("claims", {})
        headers = {"kid": self._kid} | body.get("headers", {})
        return JSONResponse({"token": jwt.encode(claims, self._key, "RS256", headers)})

    async def _renew(self, request: Request) -> Response:
        self._rotate()
        return JSONResponse({"kid": self._kid})

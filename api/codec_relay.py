"""Has payloads opened at a gateway for a Temporal UI that has no sign-in, in the name of one operator.

Such a UI has no token to send with what it wants opened. The operator signs in here, on their own machine or
at the end of their tunnel (`commerce codec`); tokens stay in this process's memory.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.errors import CommerceError, Forbidden, Unauthenticated, Unavailable
from domain.orders import Role

_TIMEOUT_SECONDS = 20


class OperatorSession:
    """One operator at one gateway. Access tokens end after minutes and are renewed when one is refused."""

    def __init__(self, http: httpx.AsyncClient, gateway: str) -> None:
        self._http = http
        self._gateway = gateway.rstrip("/")
        self._access_token = ""
        self._refresh_token = ""
        self._renewing = asyncio.Lock()

    async def sign_in(self, username: str, password: str) -> None:
        """Unauthenticated for a wrong password, Forbidden for who is no operator, Unavailable."""
        answer = await self._post("/v1/auth/login", {"username": username, "password": password})
        if Role.OPERATOR not in answer["user"]["roles"]:
            await self._http.post(
                f"{self._gateway}/v1/auth/logout", json={"refresh_token": answer["refresh_token"]}
            )
            raise Forbidden(f"{username} is no operator: nobody else may read histories")
        self._keep(answer)

    async def ask(self, verb: str, body: bytes) -> httpx.Response:
        """What the gateway's codec answers. Unauthenticated when the session there has ended."""
        token = self._access_token
        answer = await self._ask_with(token, verb, body)
        if answer.status_code != 401:
            return answer
        async with self._renewing:
            if token == self._access_token:  # else another request was faster
                self._keep(await self._post("/v1/auth/refresh", {"refresh_token": self._refresh_token}))
        return await self._ask_with(self._access_token, verb, body)

    def _keep(self, answer: dict[str, Any]) -> None:
        self._access_token, self._refresh_token = answer["access_token"], answer["refresh_token"]

    async def _ask_with(self, token: str, verb: str, body: bytes) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return await self._sent(f"/codec/{verb}", headers=headers, content=body)

    async def _post(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        answer = await self._sent(path, json=body)
        if answer.status_code != 200:
            said = answer.json().get("detail", "") if "json" in answer.headers.get("content-type", "") else ""
            raise Unauthenticated(f"{self._gateway}{path} answered {answer.status_code}: {said}")
        found: dict[str, Any] = answer.json()
        return found

    async def _sent(self, path: str, **what: Any) -> httpx.Response:
        try:
            return await self._http.post(f"{self._gateway}{path}", timeout=_TIMEOUT_SECONDS, **what)
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._gateway} can't be reached ({type(error).__name__})") from error


def make_codec_relay(session: OperatorSession, origins: Sequence[str]) -> Starlette:
    """`/decode` and `/encode`, for pages of these origins and for programs of this machine."""

    async def relay(request: Request) -> Response:
        # A page elsewhere can't read an answer; one that a name server leads here could.
        origin = request.headers.get("origin")
        if origin is not None and origin not in origins:
            return JSONResponse({"detail": f"{origin} is not named by --ui"}, 403)
        try:
            answer = await session.ask(request.url.path.strip("/"), await request.body())
        except CommerceError as error:
            status = 503 if isinstance(error, Unavailable) else 401
            return JSONResponse({"detail": f"{error.detail}; start this again to sign in"}, status)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    return Starlette(
        routes=[Route(path, relay, methods=["POST"]) for path in ("/decode", "/encode")],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=list(origins),
                allow_methods=["POST"],
                allow_headers=["Authorization", "Content-Type", "X-Namespace"],
            )
        ],
    )

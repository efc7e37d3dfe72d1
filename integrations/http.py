"""The HTTP client for systems that we trust by configuration (the LMS)."""

import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import cache, partial
from typing import Any

import httpx

Turn = Callable[[], AbstractAsyncContextManager[None]]
"""Entered before a request is sent, and left when it is answered; with an error when it may have been sent
and no answer came."""

# A request of a PacedClient is sent within three times this after its turn has come, or not at all.
_PACED_STEP_SECONDS = 2.5


@cache
def tls_context(*, trust_env: bool) -> ssl.SSLContext:
    """One for all clients of this process: reading the authorities takes longer than a call.

    With `trust_env`, SSL_CERT_FILE and SSL_CERT_DIR may name a private authority.
    """
    return httpx.create_ssl_context(trust_env=trust_env)


class PacedClient(httpx.AsyncClient):
    """Each request waits for its turn; that is no part of its time-out."""

    def __init__(self, turn: Turn, **settings: Any) -> None:
        super().__init__(**settings)
        self._turn = turn

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """As httpx's own; also raises what the turn raises, and nothing is sent then."""
        timeouts = request.extensions["timeout"]
        for step in ("pool", "connect"):  # the latter is for the connection, and once more for TLS
            timeouts[step] = min(timeouts[step] or _PACED_STEP_SECONDS, _PACED_STEP_SECONDS)
        async with self._turn():
            try:
                return await super().send(request, **options)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                failure = error
        raise failure


def make_http_client(turn: Turn | None = None) -> httpx.AsyncClient:
    """A client with bounded connections; each call brings its own time-out, and may wait for its turn."""
    make = httpx.AsyncClient if turn is None else partial(PacedClient, turn)
    return make(
        verify=tls_context(trust_env=True),
        limits=httpx.Limits(max_connections=50, max_keepalive_connections=20),
        follow_redirects=False,
    )

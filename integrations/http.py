"""The HTTP client for systems that we trust by configuration (the LMS)."""

import ssl
from functools import cache

import httpx


@cache
def tls_context(*, trust_env: bool) -> ssl.SSLContext:
    """One for all clients of this process: reading the authorities takes longer than a call.

    With `trust_env`, SSL_CERT_FILE and SSL_CERT_DIR may name a private authority.
    """
    return httpx.create_ssl_context(trust_env=trust_env)


def make_http_client() -> httpx.AsyncClient:
    """A client with bounded connections; each call brings its own time-out."""
    return httpx.AsyncClient(
        verify=tls_context(trust_env=True),
        limits=httpx.Limits(max_connections=50, max_keepalive_connections=20),
        follow_redirects=False,
    )

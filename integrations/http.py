"""The HTTP client for systems that we trust by configuration (the LMS)."""

import httpx


def make_http_client() -> httpx.AsyncClient:
    """A client with bounded connections; each call brings its own time-out."""
    return httpx.AsyncClient(
        limits=httpx.Limits(max_connections=50, max_keepalive_connections=20), follow_redirects=False
    )

"""What answers tell browsers, and which sites may ask."""

from collections.abc import AsyncIterator

import httpx
import pytest

from api.main import create_app
from config import Settings

FRONT = "https://learn.example.com"


@pytest.fixture
async def http(environment: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway behind https, with one front end."""
    values = environment | {"CORS_ORIGINS": FRONT, "PUBLIC_URL": "https://pay.example.com"}
    app = create_app(Settings.model_validate({name.lower(): value for name, value in values.items()}))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, client=("203.0.113.7", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            yield client


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/catalog/items", 200),
        ("GET", "/v1/me", 401),
        ("GET", "/nowhere", 404),
        ("POST", "/v1/cart/items", 413),
        ("GET", "/docs/errors", 200),
    ],
)
async def test_every_answer_is_protected(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await http.request(method, path, content=b"x" * 300_000 if method == "POST" else None)
    assert answer.status_code == status
    headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Strict-Transport-Security"].startswith("max-age=")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"] or path.startswith("/docs")
    assert headers["X-Request-Id"]


async def test_only_the_front_ends_that_were_named_may_ask(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/me", headers={"Origin": FRONT})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == FRONT
    assert "X-Request-Id" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"}
    allowed = await http.options("/v1/checkout", headers={"Origin": FRONT, **asked})
    assert allowed.status_code == 200
    assert "POST" in allowed.headers["Access-Control-Allow-Methods"]
    for origin in ("https://evil.example", "null", f"{FRONT}.evil.example", "http://learn.example.com"):
        answer = await http.get("/v1/catalog/items", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer.headers
        refused = await http.options("/v1/checkout", headers={"Origin": origin, **asked})
        assert refused.status_code == 400
        assert "Access-Control-Allow-Origin" not in refused.headers


async def test_nothing_is_allowed_to_other_sites_by_default(environment: dict[str, str]) -> None:
    settings = Settings.model_validate({name.lower(): value for name, value in environment.items()})
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, client=("203.0.113.7", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            answer = await client.get("/v1/catalog/items", headers={"Origin": FRONT})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Strict-Transport-Security" not in answer.headers


async def test_a_method_that_is_not_allowed_is_told_which_are(http: httpx.AsyncClient) -> None:
    for path, methods in (("/v1/cart", {"GET"}), ("/v1/cart/promo", {"PUT", "DELETE"})):
        answer = await http.request("TRACE", path)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert set(answer.headers["Allow"].split(", ")) == methods

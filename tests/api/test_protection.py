"""What answers tell browsers, and which sites may ask."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import text

from api.main import create_app
from config import Settings
from models.database import Session

FRONT = "https://learn.example.com"
TEMPORAL_UI = "https://temporal.example.com"


@pytest.fixture
async def http(environment: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway behind https, with one front end and one Temporal UI."""
    values = environment | {
        "CORS_ORIGINS": FRONT,
        "TEMPORAL_UI_ORIGINS": TEMPORAL_UI,
        "PUBLIC_URL": "https://pay.example.com",
    }
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


@pytest.mark.parametrize(
    ("path", "origin", "allowed"),
    [
        ("/codec/decode", TEMPORAL_UI, True),
        ("/codec/decode", FRONT, False),
        ("/v1/auth/login", FRONT, True),
        ("/v1/auth/login", TEMPORAL_UI, False),
        ("/codec", TEMPORAL_UI, False),
        ("/codecs/decode", TEMPORAL_UI, False),
    ],
)
async def test_a_temporal_ui_may_ask_the_codec_alone(
    http: httpx.AsyncClient, path: str, origin: str, *, allowed: bool
) -> None:
    preflight = await http.options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    answer = await http.post(path, headers={"Origin": origin}, json={})
    for seen in (preflight, answer):
        assert (seen.headers.get("Access-Control-Allow-Origin") == origin) is allowed
    assert (preflight.status_code == 200) is allowed


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


async def test_a_body_that_never_comes_ends_the_wait(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.problems._BODY_SECONDS", 0.05)
    never = asyncio.Event()

    async def trickle() -> AsyncIterator[bytes]:
        yield b'{"username": '
        await never.wait()

    answer = await asyncio.wait_for(http.post("/v1/auth/login", content=trickle()), 30)
    assert (answer.status_code, answer.json()["code"]) == (408, "request_timeout")
    assert answer.headers["Connection"] == "close"


async def test_a_statement_that_takes_too_long_is_503(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.main._STATEMENT_SECONDS", 0.2)
    app = create_app(Settings.model_validate({name.lower(): value for name, value in environment.items()}))

    async def slow(session: Session, *_: object, **__: object) -> None:
        await session.execute(text("SELECT pg_sleep(30)"))

    monkeypatch.setattr("models.queries.people.spend_refresh_token", slow)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            answer = await client.post("/v1/auth/refresh", json={"refresh_token": "any"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "pg_sleep" not in answer.text


@pytest.mark.parametrize(("path", "limit"), [("/v1/auth/login", 256), ("/v1/webhooks/stripe", 1024)])
async def test_a_body_has_a_limit(http: httpx.AsyncClient, path: str, limit: int) -> None:
    within = await http.post(path, content=b"x" * (limit * 1024))
    assert within.status_code in (400, 422)  # what it says, not how long it is
    beyond = await http.post(path, content=b"x" * (limit * 1024 + 1))
    assert (beyond.status_code, beyond.json()["code"]) == (413, "body_too_large")


async def test_an_error_of_ours_shows_nothing_of_us(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("models.queries.people.spend_refresh_token", broken)
    answer = await http.post("/v1/auth/refresh", json={"refresh_token": "any"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert not any(word in answer.text for word in ("hunter2", "Traceback", "RuntimeError", ".py"))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"

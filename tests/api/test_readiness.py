"""A gateway starts whatever the LMS says, and `/readyz` tells what it said, in words, at little cost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from api.main import create_app
from config import Settings
from tests.lms.wire import Moodle, serving


@asynccontextmanager
async def gateway_with(environment: dict[str, str], base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway whose LMS is the Moodle at this address."""
    moodle = {
        "LMS_KIND": "moodle",
        "LMS_BASE_URL": base_url,
        "LMS_TOKEN": Moodle.token,
        "LMS_LOGIN_SERVICE": Moodle.service,
    }
    given = {name.lower(): value for name, value in (environment | moodle).items()}
    app = create_app(Settings.model_validate(given))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http,
    ):
        yield http


async def lms_part(http: httpx.AsyncClient) -> str:
    answer: Any = (await http.get("/readyz")).json()
    return str(answer["parts"]["lms"])


async def test_readiness_asks_the_lms_little(environment: dict[str, str]) -> None:
    wire = Moodle()
    async with serving(wire), gateway_with(environment, wire.base_url) as http:
        for _ in range(3):
            assert await lms_part(http) == "ok"
        assert wire.calls.count("core_webservice_get_site_info") <= 1
        assert wire.logins == []


async def test_a_gateway_says_what_is_to_be_mended_at_the_lms(environment: dict[str, str]) -> None:
    wire = Moodle()
    wire.unknown_functions = frozenset({"enrol_manual_unenrol_users"})
    async with serving(wire), gateway_with(environment, wire.base_url) as http:
        async with asyncio.timeout(10):
            while (said := await lms_part(http)) == "ok":  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        assert said.startswith("Misconfigured: ")
        assert "enrol_manual_unenrol_users" in said
        assert "LMS_TOKEN" in said
        assert wire.token not in said


async def test_a_gateway_starts_while_the_lms_is_down(environment: dict[str, str]) -> None:
    async with gateway_with(environment, "http://127.0.0.1:9") as http:
        said = await lms_part(http)
        assert said.startswith("LmsUnavailable: the LMS at http://127.0.0.1:9 can't be reached")
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/v1/catalog/items")).status_code == 200

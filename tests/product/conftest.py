"""The running product as a client's author meets it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.harness.product import RunningStack


@pytest.fixture(scope="module")
def http(stack: RunningStack) -> Iterator[httpx.Client]:
    """A connection to the gateway."""
    with httpx.Client(base_url=stack.urls.gateway, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def document(http: httpx.Client) -> dict[str, Any]:
    """The OpenAPI document that it serves."""
    found: dict[str, Any] = http.get("/openapi.json").raise_for_status().json()
    return found

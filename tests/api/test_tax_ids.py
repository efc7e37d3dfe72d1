"""A business with a VAT number: at the quote, and what is refused."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from integrations.vat_registry import ViesRegistry
from tests.api.callers import Caller, Gateway
from tests.lms.processes import StandinProcess

GERMAN = {"country": "DE", "tax_id": "136 695 976"}


@pytest.fixture(scope="module")
def vies() -> Iterator[StandinProcess]:
    process = StandinProcess("devstack.vies_standin")
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def with_vies(gateway: Gateway, vies: StandinProcess) -> AsyncIterator[Gateway]:
    """The gateway as `VAT_CHECK=vies` makes it."""
    state = gateway.http._transport.app.state  # type: ignore[attr-defined]
    before = state.services
    async with httpx.AsyncClient() as http:
        state.services = replace(before, vat_registry=ViesRegistry(http, vies.base_url))
        yield gateway
    state.services = before


async def quote(caller: Caller, address: dict[str, Any]) -> Any:
    return await caller.ok("POST", "/v1/checkout/quote", {"billing_address": address})


async def buyer(gateway: Gateway) -> Caller:
    learner = await gateway.person()
    await learner.add("python-101", currency="EUR")
    return learner


async def test_a_business_abroad_owes_the_tax_itself(gateway: Gateway) -> None:
    learner = await buyer(gateway)
    found = await quote(learner, GERMAN)
    assert found["reverse_charge"] is True
    assert found["totals"]["tax"] == {"amount": 0, "currency": "EUR"}
    assert found["totals"]["total"] == {"amount": 8900, "currency": "EUR"}
    assert found["lines"][0]["taxes"] == [
        {"jurisdiction": "DE-RC", "rate_ppm": 0, "amount": {"amount": 0, "currency": "EUR"}}
    ]
    private = await quote(learner, {"country": "DE"})
    assert (private["reverse_charge"], private["totals"]["tax"]["amount"]) == (False, 1691)


async def test_an_inclusive_price_gives_up_its_tax(gateway: Gateway) -> None:
    """The price displayed was with tax; who owes none pays it all the same, as net."""
    course = await gateway.item(tax_behavior="inclusive", prices=[{"amount": 11_900, "currency": "EUR"}])
    learner = await gateway.person()
    await learner.add(course["slug"])
    totals = (await quote(learner, GERMAN))["totals"]
    assert [totals[name]["amount"] for name in ("subtotal", "tax", "total")] == [11_900, 0, 11_900]


async def test_a_business_at_home_pays_the_tax(gateway: Gateway) -> None:
    learner = await buyer(gateway)
    found = await quote(learner, {"country": "GB", "tax_id": "GB980780684"})
    assert (found["reverse_charge"], found["totals"]["tax"]["amount"]) == (False, 1780)


async def test_elsewhere_a_tax_id_is_only_printed(gateway: Gateway) -> None:
    learner = await buyer(gateway)
    found = await quote(learner, {"country": "US", "state": "NY", "tax_id": "12-3456789"})
    assert (found["reverse_charge"], found["totals"]["tax"]["amount"]) == (False, 356)


@pytest.mark.parametrize("path", ["/v1/checkout/quote", "/v1/checkout"])
async def test_a_number_that_is_none_is_refused(gateway: Gateway, path: str) -> None:
    learner = await buyer(gateway)
    for country, tax_id in (("DE", "DE136695978"), ("DE", "FR40303265045"), ("GB", "GB1")):
        address = {"country": country, "tax_id": tax_id}
        assert await learner.refused("POST", path, {"billing_address": address}) == (422, "tax_id_invalid")
    assert (await learner.ok("GET", "/v1/cart"))["lines"]
    assert (await learner.ok("GET", "/v1/orders"))["data"] == []


async def test_the_registry_has_the_last_word(with_vies: Gateway, vies: StandinProcess) -> None:
    learner = await buyer(with_vies)
    async with httpx.AsyncClient(base_url=vies.base_url) as control:
        for state, refusal in (
            ("invalid", (422, "tax_id_invalid")),
            ("MS_UNAVAILABLE", (503, "vat_registry_unavailable")),
            ("nonsense", (503, "vat_registry_unavailable")),
        ):
            await control.put("/_test/numbers/DE136695976", json={"state": state})
            for path in ("/v1/checkout/quote", "/v1/checkout"):
                assert await learner.refused("POST", path, {"billing_address": GERMAN}) == refusal
        await control.put("/_test/numbers/DE136695976", json={"state": "valid"})
    assert (await quote(learner, {"country": "DE"}))["totals"]["tax"]["amount"] == 1691
    assert (await quote(learner, GERMAN))["totals"]["tax"]["amount"] == 0

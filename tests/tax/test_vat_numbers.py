"""VAT numbers: their form, and what their registry says, asked over HTTP."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from integrations.vat_registry import (
    FormatRegistry,
    InvalidTaxId,
    VatRegistryUnavailable,
    ViesRegistry,
    plain_vat_id,
)
from tests.lms.processes import StandinProcess


@pytest.mark.parametrize(
    ("country", "given", "plain"),
    [
        ("DE", "DE136695976", "DE136695976"),
        ("DE", " de 136 695 976 ", "DE136695976"),
        ("DE", "136695976", "DE136695976"),
        ("GR", "EL 094259216", "EL094259216"),
        ("GR", "GR094259216", "EL094259216"),
        ("GR", "094259216", "EL094259216"),
        ("FR", "FR40303265045", "FR40303265045"),
        ("NL", "NL4495445B01", "NL004495445B01"),
        ("GB", "GB980780684", "GB980780684"),
        ("GB", "980 7806 84", "GB980780684"),
    ],
)
def test_a_number_in_its_plain_form(country: str, given: str, plain: str) -> None:
    assert plain_vat_id(country, given) == plain


@pytest.mark.parametrize(
    ("country", "given"),
    [
        ("DE", "DE136695978"),  # check digit
        ("DE", "DE13669597"),  # too short
        ("DE", "FR40303265045"),  # another country's
        ("DE", ""),
        ("DE", "not a number"),
        ("GB", "GB802311781"),
        ("GB", "DE136695976"),
        ("GR", "EL123456781"),
        ("DE", "١٣٦٦٩٥٩٧٦"),
    ],
)
def test_what_can_be_no_number_of_the_country(country: str, given: str) -> None:
    with pytest.raises(InvalidTaxId):
        plain_vat_id(country, given)


@pytest.fixture(scope="module")
def vies() -> Iterator[StandinProcess]:
    process = StandinProcess("devstack.vies_standin")
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


async def tell(http: httpx.AsyncClient, vies: StandinProcess, number: str, state: str) -> None:
    await http.put(f"{vies.base_url}/_test/numbers/{number}", json={"state": state})


async def asked(http: httpx.AsyncClient, vies: StandinProcess) -> list[dict[str, Any]]:
    return list((await http.get(f"{vies.base_url}/_test/requests")).json())


async def test_a_number_that_vies_knows(http: httpx.AsyncClient, vies: StandinProcess) -> None:
    check = await ViesRegistry(http, vies.base_url, requester="IE6388047V").check("DE136695976")
    assert check.registry == "vies"
    assert check.consultation is not None
    assert check.consultation.startswith("WAPI")
    assert (await asked(http, vies))[-1] == {
        "countryCode": "DE",
        "vatNumber": "136695976",
        "requesterMemberStateCode": "IE",
        "requesterNumber": "6388047V",
    }


async def test_a_seller_outside_the_eu_asks_without_a_number_of_its_own(
    http: httpx.AsyncClient, vies: StandinProcess
) -> None:
    check = await ViesRegistry(http, vies.base_url, requester="GB980780684").check("EL094259216")
    assert check.consultation is None
    assert (await asked(http, vies))[-1] == {"countryCode": "EL", "vatNumber": "094259216"}


async def test_a_british_number_is_nothing_to_ask_vies_about(
    http: httpx.AsyncClient, vies: StandinProcess
) -> None:
    before = await asked(http, vies)
    check = await ViesRegistry(http, vies.base_url).check("GB980780684")
    assert check.registry == "format"
    assert await asked(http, vies) == before


async def test_a_good_answer_holds_for_a_while_and_a_bad_one_does_not(
    http: httpx.AsyncClient, vies: StandinProcess
) -> None:
    registry = ViesRegistry(http, vies.base_url)
    await tell(http, vies, "IE6388047V", "invalid")
    with pytest.raises(InvalidTaxId):
        await registry.check("IE6388047V")
    await tell(http, vies, "IE6388047V", "valid")
    first = await registry.check("IE6388047V")
    before = len(await asked(http, vies))
    assert await registry.check("IE6388047V") == first
    assert len(await asked(http, vies)) == before


async def test_a_number_that_vies_does_not_know(http: httpx.AsyncClient, vies: StandinProcess) -> None:
    await tell(http, vies, "FR40303265045", "invalid")
    with pytest.raises(InvalidTaxId):
        await ViesRegistry(http, vies.base_url).check("FR40303265045")


@pytest.mark.parametrize(
    "state", ["MS_UNAVAILABLE", "GLOBAL_MAX_CONCURRENT_REQ", "INVALID_INPUT", "nonsense"]
)
async def test_vies_that_cannot_say(http: httpx.AsyncClient, vies: StandinProcess, state: str) -> None:
    await tell(http, vies, "NL004495445B01", state)
    with pytest.raises(VatRegistryUnavailable):
        await ViesRegistry(http, vies.base_url).check("NL004495445B01")


async def test_vies_that_is_away(http: httpx.AsyncClient) -> None:
    with pytest.raises(VatRegistryUnavailable):
        await ViesRegistry(http, "http://127.0.0.1:9").check("DE136695976")


async def test_the_form_alone_asks_nobody() -> None:
    assert (await FormatRegistry().check("DE136695976")).registry == "format"

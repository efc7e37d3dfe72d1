"""One account of Moodle has one spelling, whatever its login script and its database take for the same."""

import re
import unicodedata
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.responses import Response

from domain.errors import BadCredentials
from integrations.lms import Lms
from tests.lms.campus import PASSWORD, MoodleCampus
from tests.lms.wire import Moodle, serving


def folded(text: str) -> str:
    """As MySQL's usual collation compares: without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()


class Generous(Moodle):
    """Reads names as Moodle does (PARAM_USERNAME), on a database that does not tell accents apart."""

    def _token_for(self, form: dict[str, str]) -> Response:
        cleaned = re.sub(r"[^-.@_a-z0-9]", "", form["username"].strip().lower())
        return super()._token_for(form | {"username": cleaned})

    def _core_user_get_users_by_field(self, form: dict[str, str]) -> Response:
        if form["field"] == "email":
            alike = [p.email for p in self.people.values() if folded(p.email) == folded(form["values[0]"])]
            form = form | {"values[0]": alike[0] if alike else "nobody"}
        return super()._core_user_get_users_by_field(form)


@pytest.fixture
async def lms() -> AsyncIterator[Lms]:
    wire = Generous()
    wire.person(username="ada@x.org", email="ada@x.org", password=PASSWORD)
    async with serving(wire), httpx.AsyncClient(trust_env=False) as http:
        yield MoodleCampus(wire, http).lms


@pytest.mark.parametrize(
    "spelling",
    [
        *("ad#a@x.org", "a!da@x.org", "ada @x.org", "a\u200bda@x.org", "ada@x.org\u0000", "\u0430da@x.org"),
        *("\u00e1da@x.org", "ada@x.\u00f6rg", "ad\u00e3@x.org"),
    ],
)
async def test_another_spelling_of_an_account_is_no_account(lms: Lms, spelling: str) -> None:
    with pytest.raises(BadCredentials):
        await lms.authenticate(spelling, PASSWORD)


@pytest.mark.parametrize("spelling", ["ada@x.org", " Ada@X.org ", "ADA@x.org"])
async def test_case_and_blanks_around_are_the_same_to_us_too(lms: Lms, spelling: str) -> None:
    assert (await lms.authenticate(spelling, PASSWORD)).username == "ada@x.org"

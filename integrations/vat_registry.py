"""VAT numbers: their form by python-stdnum, and whether a registry knows them, behind one port."""

import time
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import httpx
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError
from stdnum.gb import vat as gb_vat

from domain.errors import InvalidInput, Unavailable
from domain.tax import EU_COUNTRIES
from domain.taxation import VatCheck

VIES = "https://ec.europa.eu/taxation_customs/vies/rest-api"
_TIMEOUT_SECONDS = 8.0
_GOOD_FOR_SECONDS = 900.0
_MOST_KNOWN = 10_000
_PREFIX = {"GR": "EL"}


class InvalidTaxId(InvalidInput):
    """No VAT number of that country, by its form or by the registry's word."""

    code = "tax_id_invalid"


class VatRegistryUnavailable(Unavailable):
    """The registry, or the member state behind it, does not answer now."""

    code = "vat_registry_unavailable"


class VatRegistry(Protocol):
    """Who knows VAT numbers."""

    async def check(self, vat_id: str) -> VatCheck:
        """That the number (as `plain_vat_id` returns it) is valid now.

        Raises InvalidTaxId when it is not, VatRegistryUnavailable when that can't be said.
        """


def plain_vat_id(country: str, given: str) -> str:
    """The VAT number in its plain form, with its prefix: `DE136695976`, `EL094259216`.

    `country` is an EU country or GB. Raises InvalidTaxId for a number that can't be one of it: wrong length,
    letters or check digits, or another country's.
    """
    prefix = _PREFIX.get(country, country)
    number = "".join(given.split()).upper()
    if number.startswith(country) and country != prefix:
        number = number.removeprefix(country)
    if not number.startswith(prefix):
        number = prefix + number
    try:
        if country == "GB":
            return f"GB{gb_vat.validate(number)}"
        return str(eu_vat.validate(number))
    except ValidationError as error:
        raise InvalidTaxId(f"{given!r} is no VAT number of {country}: {error}") from error


class FormatRegistry:
    """Takes the form of a number for its validity: nobody is asked."""

    async def check(self, vat_id: str) -> VatCheck:
        """Valid, because only a number of the right form comes here."""
        del vat_id
        return VatCheck("format", datetime.now(UTC).isoformat(timespec="seconds"))


class ViesRegistry:
    """The European Commission's VIES. It knows the numbers of the EU; for others their form must do.

    With the seller's own number VIES gives a consultation number: the proof that the seller asked. A good
    answer holds for a quarter of an hour: a buyer who asks for quotes until the checkout asks VIES once.
    """

    def __init__(self, http: httpx.AsyncClient, base_url: str = VIES, *, requester: str = "") -> None:
        self._http = http
        self._url = f"{base_url.rstrip('/')}/check-vat-number"
        self._requester = requester if _is_eu(requester) else ""
        self._known: dict[str, tuple[float, VatCheck]] = {}

    async def check(self, vat_id: str) -> VatCheck:
        """Ask VIES, which asks the member state."""
        if not _is_eu(vat_id):
            return await FormatRegistry().check(vat_id)
        checked_at, known = self._known.get(vat_id, (0.0, None))
        if known is not None and time.monotonic() - checked_at < _GOOD_FOR_SECONDS:
            return known
        check = await self._check(vat_id)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[vat_id] = (time.monotonic(), check)
        return check

    async def _check(self, vat_id: str) -> VatCheck:
        body = {"countryCode": vat_id[:2], "vatNumber": vat_id[2:]}
        if self._requester:
            body |= {
                "requesterMemberStateCode": self._requester[:2],
                "requesterNumber": self._requester[2:],
            }
        answer = await self._ask(body)
        if answer.get("valid") is False:
            raise InvalidTaxId(f"VIES does not know the VAT number {vat_id}")
        if answer.get("valid") is not True:
            raise VatRegistryUnavailable(f"VIES could not say: {_reason(answer)}")
        return VatCheck(
            "vies", datetime.now(UTC).isoformat(timespec="seconds"), answer.get("requestIdentifier") or None
        )

    async def _ask(self, body: dict[str, str]) -> dict[str, Any]:
        try:
            answer = await self._http.post(self._url, json=body, timeout=_TIMEOUT_SECONDS)
            found = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise VatRegistryUnavailable(f"VIES: {type(error).__name__}") from error
        if not isinstance(found, dict):
            raise VatRegistryUnavailable("VIES answers something that is not its protocol")
        return found


def _is_eu(vat_id: str) -> bool:
    return vat_id[:2] in (EU_COUNTRIES - {"GR"}) | {"EL"}


def _reason(answer: dict[str, Any]) -> str:
    """VIES's own word, such as MS_UNAVAILABLE."""
    errors = answer.get("errorWrappers")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return str(errors[0].get("error"))[:100]
    return str(answer.get("userError", "no answer"))[:100]


def make_vat_registry(
    kind: Literal["format", "vies"], http: httpx.AsyncClient, base_url: str | None, seller_vat_id: str
) -> VatRegistry:
    """The registry that the settings name; `base_url` None is VIES itself."""
    if kind == "format":
        return FormatRegistry()
    return ViesRegistry(http, base_url or VIES, requester="".join(seller_vat_id.split()).upper())

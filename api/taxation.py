"""What is decided about a checkout's tax before its order is made; the same for quote and checkout."""

from collections.abc import Mapping
from typing import Any

from api.dependencies import Services
from domain.tax import VAT_COUNTRIES, reverse_charge_applies
from domain.taxation import TaxDecision
from integrations.vat_registry import plain_vat_id


async def decide_tax(services: Services, address: Mapping[str, Any]) -> TaxDecision:
    """The decision for a billing address.

    A VAT number must have its country's form; where it shifts the tax to the buyer, the registry must know
    it too. Without its word neither a sale free of tax nor one with tax would be right, so it is 503 then:
    without the number the same cart can be bought at once, with tax.
    """
    country, given = str(address["country"]), address.get("tax_id")
    if given is None or country not in VAT_COUNTRIES:
        return TaxDecision(tax_id=given)
    tax_id = plain_vat_id(country, str(given))
    if not reverse_charge_applies(services.seller_country, country, vat_id_valid=True):
        return TaxDecision(tax_id=tax_id)
    check = await services.vat_registry.check(tax_id)
    return TaxDecision(tax_id=tax_id, reverse_charge=True, check=check)


def with_plain_tax_id(address: dict[str, Any], tax: TaxDecision) -> dict[str, Any]:
    """The address as documents print it."""
    return address if tax.tax_id is None else address | {"tax_id": tax.tax_id}

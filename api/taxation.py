"""What is decided about a checkout's tax before its order is made; the same for quote and checkout."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from api.dependencies import Services, SessionDep
from domain.tax import REVERSE_CHARGE_SUFFIX, VAT_COUNTRIES, reverse_charge_applies
from domain.taxation import StatedTax, TaxDecision, TaxProvider
from integrations.stripe_tax import StripeTax, TaxableLine
from integrations.vat_registry import plain_vat_id
from models.queries import quotes


async def decide_tax(
    services: Services,
    session: SessionDep,
    cart_id: str,
    address: Mapping[str, Any],
    *,
    order_id: str | None = None,
) -> TaxDecision:
    """The decision for a cart and a billing address; `order_id` is the order that is to be made, if one is.

    With Stripe Tax every line's tax is calculated now: an order never waits for it, and nothing of one is
    made while Stripe is away (503).
    """
    decision = await _of_business(services, address)
    if services.tax_calculator is None:
        return decision
    return await _calculated(services.tax_calculator, session, cart_id, address, decision, order_id)


async def _of_business(services: Services, address: Mapping[str, Any]) -> TaxDecision:
    """A VAT number must have its country's form; where it shifts the tax to the buyer, the registry must know
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


async def _calculated(
    calculator: StripeTax,
    session: SessionDep,
    cart_id: str,
    address: Mapping[str, Any],
    decision: TaxDecision,
    order_id: str | None,
) -> TaxDecision:
    priced = await quotes.quote_cart(session, cart_id, None, now=datetime.now(UTC))
    decision = replace(decision, provider=TaxProvider.STRIPE)
    if not any(line.taxable for line in priced.sold):
        free = tuple(StatedTax(line.key, line.taxable, ()) for line in priced.sold)
        return replace(decision, stated=free)
    found = await calculator.calculate(
        priced.currency,
        [TaxableLine(line.key, line.taxable, line.tax_behavior, line.tax_code) for line in priced.sold],
        address,
        tax_id=decision.tax_id,
        order_id=order_id,
    )
    names = {tax.jurisdiction for line in found.stated for tax in line.taxes}
    return replace(
        decision,
        reverse_charge=any(name.endswith(REVERSE_CHARGE_SUFFIX) for name in names),
        calculation_id=found.id,
        stated=found.stated,
    )


def with_plain_tax_id(address: dict[str, Any], tax: TaxDecision) -> dict[str, Any]:
    """The address as documents print it."""
    return address if tax.tax_id is None else address | {"tax_id": tax.tax_id}

"""Stripe Tax: calculations for quote and checkout, transactions at payment, reversals at refund."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import stripe

from domain import ids
from domain.currencies import currency_of
from domain.errors import InvalidInput, ProcessorRejected, ProcessorUnavailable
from domain.tax import EU_COUNTRIES, REVERSE_CHARGE_SUFFIX, TaxAmount
from domain.taxation import StatedTax
from integrations.stripe_calls import call

_PPM_OF_A_PERCENT = 10_000
# The two places of an address that Stripe would not calculate for, and the words of its codes for them.
_LOCATION_CODES = ("customer_tax_location_invalid", "tax_location_invalid")


class TaxLocationInvalid(InvalidInput):
    """The billing address is too vague, or wrong, for the tax to be calculated."""

    code = "tax_location_invalid"


@dataclass(frozen=True, slots=True)
class TaxableLine:
    """What is to be taxed: the amount in minor units as displayed, after discounts."""

    line: str
    amount: int
    behavior: str
    tax_code: str


@dataclass(frozen=True, slots=True)
class Calculation:
    """Stripe's answer: the tax of every line that was asked about, as it is."""

    id: str
    stated: tuple[StatedTax, ...]


@dataclass(frozen=True, slots=True)
class RecordedLine:
    """One line of a recorded sale: its id at Stripe, and whether its amount holds the tax."""

    id: str
    inclusive: bool


@dataclass(frozen=True, slots=True)
class RecordedSale:
    """A tax transaction; lines by their reference, the ordinal of the order line."""

    transaction_id: str
    lines: Mapping[str, RecordedLine]


@dataclass(frozen=True, slots=True)
class ReversedLine:
    """What goes back of one recorded line, in minor units and positive."""

    reference: str
    net: int
    tax: int


class StripeTax:
    """One client per process; each call is one request."""

    def __init__(self, secret_key: str, api_base: str | None = None, timeout_seconds: float = 10) -> None:
        self._http = stripe.HTTPXClient(timeout=timeout_seconds)
        options: dict[str, Any] = {"http_client": self._http, "max_network_retries": 0}
        if api_base is not None:
            options["base_addresses"] = {"api": api_base}
        self._client = stripe.StripeClient(secret_key, **options)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def calculate(
        self,
        currency: str,
        lines: Sequence[TaxableLine],
        address: Mapping[str, Any],
        *,
        tax_id: str | None,
        order_id: str | None,
    ) -> Calculation:
        """Calculate the tax of these lines at this billing address.

        A line's reference at Stripe is its place in the list, from 1: the ordinal of the order line. With the
        id of the order that is to be made, the same content is calculated once. Raises TaxLocationInvalid,
        ProcessorRejected, ProcessorUnavailable.
        """
        parameters = _parameters(currency, lines, address, tax_id)
        options: dict[str, str] = {}
        if order_id is not None:
            content = json.dumps(parameters, sort_keys=True).encode()
            options["idempotency_key"] = ids.tax_calculation_key(
                order_id, hashlib.sha256(content).hexdigest()[:16]
            )
        try:
            found = await call(
                self._client.v1.tax.calculations.create_async(parameters, options)  # type: ignore[arg-type]
            )
        except ProcessorRejected as error:
            if error.processor_code in _LOCATION_CODES:
                raise TaxLocationInvalid(error.detail) from error
            raise
        values = found.to_dict()
        by_reference = {line["reference"]: line for line in values["line_items"]["data"]}
        if len(by_reference) != len(lines) or not values["id"]:
            raise ProcessorUnavailable("Stripe Tax answered for other lines than it was asked about")
        return Calculation(
            values["id"],
            tuple(
                _stated(line, by_reference[str(ordinal)], currency)
                for ordinal, line in enumerate(lines, start=1)
            ),
        )

    async def record_sale(
        self, calculation_id: str, order_id: str, *, canceled_refund_id: str | None = None
    ) -> RecordedSale:
        """Make a calculation a transaction: the tax was collected; or is owed again, of a canceled refund."""
        reference, key = order_id, ids.tax_transaction_key(order_id)
        if canceled_refund_id is not None:
            reference = ids.tax_correction_reference(canceled_refund_id)
            key = ids.tax_correction_key(canceled_refund_id)
        found = await call(
            self._client.v1.tax.transactions.create_from_calculation_async(
                {
                    "calculation": calculation_id,
                    "reference": reference,
                    "metadata": {"order_id": order_id},
                    "expand": ["line_items"],
                },
                {"idempotency_key": key},
            )
        )
        values = found.to_dict()
        return RecordedSale(
            values["id"],
            {
                line["reference"]: RecordedLine(line["id"], line["tax_behavior"] == "inclusive")
                for line in values["line_items"]["data"]
            },
        )

    async def record_refund(
        self,
        sale: RecordedSale,
        currency: str,
        lines: Sequence[ReversedLine],
        *,
        order_id: str,
        cause: str,
        cause_id: str,
    ) -> str:
        """Reverse a part of a recorded sale; returns the reversal's id.

        The cause is a `refund`, a `dispute` or a failed `payment`.
        """
        unit = currency_of(currency)
        items = [
            {
                "amount": -unit.to_processor(line.net + line.tax if recorded.inclusive else line.net),
                "amount_tax": -unit.to_processor(line.tax),
                "original_line_item": recorded.id,
                "reference": line.reference,
            }
            for line in lines
            if (recorded := sale.lines[line.reference])
        ]
        parameters: dict[str, Any] = {
            "mode": "partial",
            "original_transaction": sale.transaction_id,
            "reference": ids.tax_reversal_reference(cause, cause_id),
            "line_items": items,
            "metadata": {"order_id": order_id, f"{cause}_id": cause_id},
        }
        found = await call(
            self._client.v1.tax.transactions.create_reversal_async(
                parameters,  # type: ignore[arg-type]
                {"idempotency_key": ids.tax_reversal_key(cause, cause_id)},
            )
        )
        return str(found.id)


def _parameters(
    currency: str, lines: Sequence[TaxableLine], address: Mapping[str, Any], tax_id: str | None
) -> dict[str, Any]:
    unit, country = currency_of(currency), str(address["country"])
    place = {
        name: str(address[name]).removeprefix(f"{country}-")  # a state may come as US-NY
        for name in ("line1", "line2", "city", "postal_code", "state", "country")
        if address.get(name)
    }
    details: dict[str, Any] = {"address": place, "address_source": "billing"}
    kind = "gb_vat" if country == "GB" else "eu_vat" if country in EU_COUNTRIES else None
    if tax_id is not None and kind is not None:
        details["tax_ids"] = [{"type": kind, "value": tax_id}]
    return {
        "currency": currency.lower(),
        "customer_details": details,
        "line_items": [
            {
                "amount": unit.to_processor(line.amount),
                "reference": str(ordinal),
                "tax_behavior": line.behavior,
                "tax_code": line.tax_code,
            }
            for ordinal, line in enumerate(lines, start=1)
        ],
        "expand": ["line_items.data.tax_breakdown"],
    }


def _stated(line: TaxableLine, found: Mapping[str, Any], currency: str) -> StatedTax:
    """The line's tax by jurisdiction; where the parts do not add up, the whole is what counts."""
    unit = currency_of(currency)
    parts: dict[str, tuple[int, int]] = {}
    for part in found.get("tax_breakdown") or ():
        name, reverse = _jurisdiction(part["jurisdiction"]), part["taxability_reason"] == "reverse_charge"
        if part["amount"] == 0 and not reverse:
            continue
        name = f"{part['jurisdiction']['country']}{REVERSE_CHARGE_SUFFIX}" if reverse else name
        ppm, amount = parts.get(name, (0, 0))
        parts[name] = (ppm + _ppm(part["tax_rate_details"]), amount + unit.from_processor(part["amount"]))
    taxes = tuple(TaxAmount(name, ppm, amount) for name, (ppm, amount) in parts.items())
    whole = unit.from_processor(found["amount_tax"])
    if sum(tax.amount for tax in taxes) != whole:
        name = taxes[0].jurisdiction if taxes else "?"
        taxes = (TaxAmount(name, sum(tax.ppm for tax in taxes), whole),)
    return StatedTax(line.line, line.amount, taxes)


def _jurisdiction(place: Mapping[str, Any]) -> str:
    """`DE`, `US-NY`, `US-NY New York City`."""
    name = f"{place['country']}-{place['state']}" if place.get("state") else str(place["country"])
    return name if place["level"] in ("country", "state") else f"{name} {place['display_name']}"


def _ppm(rate: Mapping[str, Any] | None) -> int:
    return 0 if rate is None else int(Decimal(rate["percentage_decimal"]) * _PPM_OF_A_PERCENT)

"""Stripe Tax of the stand-in: calculations, transactions, reversals, held against schema and SDK."""

from typing import Any

import pytest
import stripe

from tests.stripe_standin.conftest import Api

NEW_YORK = {"country": "US", "state": "NY", "postal_code": "10001", "line1": "1 Main St", "city": "New York"}
LINES_AND_BREAKDOWN = ["line_items.data.tax_breakdown"]


async def calculate(api: Api, address: Any, *amounts: int, behavior: str = "exclusive", **more: Any) -> Any:
    lines = [
        {"amount": amount, "reference": str(n), "tax_behavior": behavior, "tax_code": "txcd_20060158"}
        for n, amount in enumerate(amounts, start=1)
    ]
    details = {"address": address, "address_source": "billing", **more}
    return await api.v1.tax.calculations.create_async(
        {
            "currency": "usd",
            "line_items": lines,  # type: ignore[typeddict-item]
            "customer_details": details,  # type: ignore[typeddict-item]
            "expand": LINES_AND_BREAKDOWN,
        }
    )


async def test_tax_of_several_jurisdictions_line_by_line(api: Api) -> None:
    found = await calculate(api, NEW_YORK, 9900, 101)
    assert (found.amount_total, found.tax_amount_exclusive, found.tax_amount_inclusive) == (10889, 888, 0)
    first, second = found.line_items.data
    assert (first.amount_tax, second.amount_tax) == (396 + 446 + 37, 4 + 5)
    assert [part.amount for part in first.tax_breakdown] == [396, 446, 37]
    assert [part.jurisdiction.level for part in first.tax_breakdown] == ["state", "city", "district"]
    again = await api.v1.tax.calculations.retrieve_async(found.id)
    assert "line_items" not in again.to_dict()
    assert len((await api.v1.tax.calculations.line_items.list_async(found.id)).data) == 2


async def test_an_inclusive_amount_holds_its_tax(api: Api) -> None:
    found = await calculate(api, {"country": "DE"}, 11_900, behavior="inclusive")
    assert (found.amount_total, found.tax_amount_inclusive, found.tax_amount_exclusive) == (11_900, 1900, 0)


@pytest.mark.parametrize(
    ("address", "more", "reason"),
    [
        ({"country": "BR"}, {}, "not_collecting"),
        ({"country": "DE"}, {"tax_ids": [{"type": "eu_vat", "value": "DE136695976"}]}, "reverse_charge"),
        ({"country": "DE"}, {"taxability_override": "customer_exempt"}, "customer_exempt"),
    ],
)
async def test_why_there_is_no_tax(api: Api, address: Any, more: Any, reason: str) -> None:
    found = await calculate(api, address, 9900, **more)
    assert found.amount_total == 9900
    (part,) = found.line_items.data[0].tax_breakdown
    assert (part.amount, part.taxability_reason) == (0, reason)


async def test_a_transaction_and_its_reversals(api: Api) -> None:
    calculation = await calculate(api, {"country": "DE"}, 10_000, 5000)
    sold = await api.v1.tax.transactions.create_from_calculation_async(
        {"calculation": calculation.id, "reference": "order-1", "expand": ["line_items"]}
    )
    first, second = sold.line_items.data  # type: ignore[union-attr]
    assert (first.amount, first.amount_tax, first.reference, sold.type) == (10_000, 1900, "1", "transaction")

    async def reverse(reference: str, amount: int, tax: int) -> Any:
        return await api.v1.tax.transactions.create_reversal_async(
            {
                "mode": "partial",
                "original_transaction": sold.id,
                "reference": reference,
                "line_items": [
                    {
                        "amount": amount,
                        "amount_tax": tax,
                        "original_line_item": first.id,
                        "reference": f"{reference}-1",
                    }
                ],
                "expand": ["line_items"],
            }
        )

    part = await reverse("refund-1", -4000, -760)
    assert part.reversal.original_transaction == sold.id
    assert part.line_items.data[0].reversal.original_line_item == first.id
    for reference, amount, tax in (("refund-1", -1, 0), ("refund-2", -6001, 0), ("refund-3", 1, 0)):
        with pytest.raises(stripe.InvalidRequestError):
            await reverse(reference, amount, tax)
    rest = await api.v1.tax.transactions.create_reversal_async(
        {"mode": "full", "original_transaction": sold.id, "reference": "rest", "expand": ["line_items"]}
    )
    assert [line.amount for line in rest.line_items.data] == [-6000, -5000]  # type: ignore[union-attr]
    listed = await api.v1.tax.transactions.line_items.list_async(sold.id)
    assert [line.id for line in listed.data] == [first.id, second.id]


async def test_what_can_not_be_calculated_is_refused(api: Api) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await calculate(api, {"country": "US", "state": "NY"}, 100)
    assert caught.value.code == "customer_tax_location_invalid"
    for address, amounts in (({}, (100,)), ({"country": "DE"}, (-1,)), ({"country": "DE"}, ())):
        with pytest.raises(stripe.InvalidRequestError):
            await calculate(api, address, *amounts)


async def test_a_reference_is_used_once_and_a_calculation_must_exist(api: Api) -> None:
    calculation = await calculate(api, {"country": "DE"}, 100)
    commit = api.v1.tax.transactions.create_from_calculation_async
    await commit({"calculation": calculation.id, "reference": "only-once"})
    other = await calculate(api, {"country": "DE"}, 100)
    for params in (
        {"calculation": other.id, "reference": "only-once"},
        {"calculation": "taxcalc_nothing", "reference": "x"},
    ):
        with pytest.raises(stripe.InvalidRequestError):
            await commit(params)  # type: ignore[arg-type]

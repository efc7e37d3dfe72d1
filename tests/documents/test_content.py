"""What a document's content must be, and how it travels as JSON."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from integrations.documents.receipt import (
    DocumentLine,
    InvalidDocument,
    Party,
    ReceiptDocument,
    TaxRow,
    render_receipt_pdf,
)
from tests.documents.samples import UK_VAT, document, line, plain


def test_content_survives_json() -> None:
    found = ReceiptDocument.from_json(json.loads(json.dumps(plain().to_json())))
    assert found == plain()


def test_content_needs_only_what_every_document_has() -> None:
    """Content without the fields that came later can still be read."""
    stored = ReceiptDocument(
        kind="receipt",
        number="R-GB-2026-000001",
        issued_at="2026-03-01T09:30:00+00:00",
        order_number="C-2026-000001",
        seller=Party("Commerce Academy Ltd", ("1 Learning Street", "GB"), "GB123456789"),
        buyer=Party("Ada", ("SW1Y 4JH", "GB")),
        currency="GBP",
        exponent=2,
        locale="en_GB",
        lines=(DocumentLine("Course", 1, 4900, 0, 4900, 980, 5880),),
        taxes=(TaxRow("GB", 200_000, 4900, 980),),
        net=4900,
        tax=980,
        total=5880,
        payment="Paid by card.",
    ).to_json()
    for later in ("reference_issued_at", "paid_at", "notes"):
        del stored[later]
    for later in ("taxes", "unit_net"):
        del stored["lines"][0][later]
    for party in (stored["seller"], stored["buyer"]):
        del party["country"], party["email"]
    assert render_receipt_pdf(ReceiptDocument.from_json(stored)).startswith(b"%PDF")


Spoil = Callable[[dict[str, Any]], object]

SPOILED: dict[str, tuple[Spoil, str]] = {
    "unknown kind": (lambda d: d.update(kind="bill"), "document.kind"),
    "unknown field": (lambda d: d.update(colour="red"), "document.colour"),
    "unknown field of a line": (lambda d: d["lines"][1].update(sku="x"), r"document.lines\[1\].sku"),
    "missing field": (lambda d: d.pop("seller"), "document.seller is missing"),
    "missing field of a party": (lambda d: d["buyer"].pop("name"), "document.buyer.name is missing"),
    "no lines": (lambda d: d.update(lines=[]), "document.lines is empty"),
    "lines are no list": (lambda d: d.update(lines={}), "document.lines is no list"),
    "a party is no object": (lambda d: d.update(seller="we"), "document.seller is no object"),
    "amount is a float": (lambda d: d["lines"][0].update(net=44.1), r"document.lines\[0\].net"),
    "amount is a bool": (lambda d: d["lines"][0].update(discount=False), r"document.lines\[0\].discount"),
    "amount is a text": (lambda d: d.update(total="48492"), "document.total"),
    "number is null": (lambda d: d.update(number=None), "document.number"),
    "quantity 0": (lambda d: d["lines"][0].update(quantity=0), "quantity is less than 1"),
    "empty description": (lambda d: d["lines"][0].update(description=" "), "description is empty"),
    "negative amount": (
        lambda d: d["lines"][0].update(list_net=-10, discount=0, net=-10, tax=0, gross=-10, taxes=[]),
        r"lines\[0\] has a negative amount",
    ),
    "negative rate": (lambda d: d["taxes"][0].update(ppm=-1), r"taxes\[0\] has a negative amount"),
    "discount does not fit": (lambda d: d["lines"][0].update(discount=1), r"lines\[0\].list_net is 4900"),
    "gross does not fit": (lambda d: d["lines"][0].update(gross=1), r"lines\[0\].gross is 1"),
    "taxes of a line don't fit": (
        lambda d: d["lines"][0]["taxes"][0].update(amount=1),
        r"lines\[0\].tax is 882",
    ),
    "net of the lines": (lambda d: d.update(net=1), "document.net is 1"),
    "tax of the lines": (lambda d: d.update(tax=1), "document.tax is 1"),
    "tax of the table": (lambda d: d["taxes"][0].update(amount=1), "document.tax is"),
    "total": (lambda d: d.update(total=1), "document.total is 1"),
    "time without a zone": (lambda d: d.update(issued_at="2026-03-01T09:30:00"), "no time zone"),
    "no time": (lambda d: d.update(issued_at="yesterday"), "document.issued_at"),
    "bad paid_at": (lambda d: d.update(paid_at="soon"), "document.paid_at"),
    "unknown locale": (lambda d: d.update(locale="klingon"), "document.locale"),
    "empty locale": (lambda d: d.update(locale=""), "document.locale"),
    "currency in small letters": (lambda d: d.update(currency="gbp"), "document.currency"),
    "country": (lambda d: d["buyer"].update(country="Britain"), "document.buyer.country"),
    "exponent": (lambda d: d.update(exponent=9), "document.exponent"),
    "order number": (lambda d: d.update(order_number=""), "document.order_number"),
    "credit note without a reference": (lambda d: d.update(kind="credit_note"), "document.reference"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_wrong_content_is_refused_with_its_place(name: str) -> None:
    spoil, words = SPOILED[name]
    stored = plain().to_json() | {"lines": json.loads(json.dumps(plain().to_json()["lines"]))}
    stored = json.loads(json.dumps(stored))
    spoil(stored)
    with pytest.raises(InvalidDocument, match=words):
        ReceiptDocument.from_json(stored)


def test_a_document_without_a_number_is_not_rendered() -> None:
    with pytest.raises(InvalidDocument, match="has not been issued"):
        render_receipt_pdf(replace(plain(), number=""))


def test_a_document_that_was_put_together_wrongly_is_not_rendered() -> None:
    with pytest.raises(InvalidDocument, match=r"document\.total"):
        render_receipt_pdf(replace(document(line("Course", 100, taxes=UK_VAT)), total=1))

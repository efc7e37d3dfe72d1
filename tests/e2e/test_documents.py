"""Invoice, receipt and credit note as a learner fetches them from the running product."""

import io
import uuid
from typing import Any

import httpx
from pypdf import PdfReader

from api.main import create_app
from devstack.shopper import Shopper, wait_for
from tests.e2e.conftest import Shop
from tests.e2e.oracle import settings_of

BERLIN = {"country": "DE", "postal_code": "10115", "city": "Berlin", "line1": "Torstraße 1"}


def text_of(pdf: bytes) -> str:
    """All text, with spaces of every kind as plain ones."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())


async def fetch(learner: Shopper, path: str, **headers: str) -> httpx.Response:
    """One GET as a browser would make it."""
    async with httpx.AsyncClient(base_url=learner.base_url) as http:
        return await http.get(path, headers={"Authorization": f"Bearer {learner.token}"} | headers)


async def pay(shop: Shop, learner: Shopper, slug: str, currency: str, **more: Any) -> dict[str, Any]:
    """A fulfilled order of one item."""
    await learner.add(slug, currency=currency)
    answer = await learner.checkout(**more)
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    return await learner.wait_for_status(answer["order"]["id"], "fulfilled")


async def documents_of(learner: Shopper, order_id: str) -> list[dict[str, Any]]:
    found = await learner.call("GET", f"/v1/orders/{order_id}/documents")
    return list(found["data"])


async def refund(learner: Shopper, order_id: str, **more: Any) -> dict[str, Any]:
    """A refund, and the credit note that it brings."""
    before = len(await documents_of(learner, order_id))
    asked = await learner.refund(order_id, **more)
    found = await wait_for(
        lambda: documents_of(learner, order_id), lambda have: len(have) > before, what="the credit note"
    )
    assert found[-1]["refund_id"] == asked["id"]
    return found[-1]


async def test_a_german_buyer_gets_invoice_and_credit_note_in_german(shop: Shop) -> None:
    learner = await shop.learner("Käthe")
    order = await pay(shop, learner, "python-101", "EUR", address=BERLIN)
    (invoice,) = await documents_of(learner, order["id"])
    assert (invoice["kind"], invoice["locale"], invoice["corrects"]) == ("invoice", "de_DE", None)
    assert invoice["total"] == order["total"] == {"amount": 10591, "currency": "EUR"}
    answer = await fetch(learner, invoice["pdf_url"])
    text = text_of(answer.content)
    for words in (
        "Rechnung Commerce Academy Ltd Von Commerce Academy Ltd 1 Learning Street",
        "USt-IdNr. GB",
        "Rechnung an Käthe",
        "Torstraße 1 10115 Berlin Deutschland",
        f"Nummer {invoice['number']}",
        f"Bestellung {order['number']}",
        "Python from scratch 1 89,00 89,00 16,91 105,91",
        "Zwischensumme 89,00 € USt. 16,91 € Gesamtbetrag 105,91 €",
        "DE 19 % 89,00 16,91",
        f"Karte, {order['payments'][0]['payment_intent_id']}",
    ):
        assert words in text, (words, text)
    note = await refund(learner, order["id"])
    assert (note["kind"], note["corrects"], note["total"]) == (
        "credit_note",
        invoice["number"],
        order["total"],
    )
    text = text_of((await fetch(learner, note["pdf_url"])).content)
    assert "Rechnungskorrektur" in text
    assert f"Korrigiert {invoice['number']}" in text
    assert "Gutgeschrieben 105,91 €" in text
    assert "Karte, re_" in text
    assert note["number"].startswith("CN-DE-")


async def test_a_document_is_the_same_bytes_every_time_and_known_by_its_etag(shop: Shop) -> None:
    learner = await shop.learner()
    order = await pay(shop, learner, "python-101", "USD")
    (receipt,) = await documents_of(learner, order["id"])
    assert (receipt["kind"], receipt["number"][:5]) == ("receipt", "R-US-")
    first = await fetch(learner, receipt["pdf_url"])
    again = await fetch(learner, f"/v1/orders/{order['id']}/receipt.pdf")
    assert first.content == again.content
    assert first.headers["ETag"] == again.headers["ETag"]
    tag = first.headers["ETag"]
    for known in (tag, f"W/{tag}", f'"x,y" , W/"z",{tag}', "*"):
        unchanged = await fetch(learner, receipt["pdf_url"], **{"If-None-Match": known})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", tag)
        assert unchanged.headers["Cache-Control"] == first.headers["Cache-Control"]
    stale = await fetch(learner, receipt["pdf_url"], **{"If-None-Match": '"another"'})
    assert stale.status_code == 200
    text = text_of(first.content)
    assert "Receipt" in text
    assert "NY 10001 United States" in text
    assert "US-NY 4% 99.00 3.96" in text


async def test_the_buyer_chooses_the_language(shop: Shop) -> None:
    learner = await shop.learner()
    order = await pay(shop, learner, "python-101", "EUR", address=BERLIN, locale="en")
    (invoice,) = await documents_of(learner, order["id"])
    assert invoice["locale"] == "en_DE"
    assert "Invoice" in text_of((await fetch(learner, invoice["pdf_url"])).content)


async def test_documents_are_their_buyers_and_operators_alone(shop: Shop) -> None:
    learner, other, operator = await shop.learner(), await shop.learner(), await shop.operator()
    order = await pay(shop, learner, "web-design", "USD")
    (receipt,) = await documents_of(learner, order["id"])
    paths = (receipt["pdf_url"], f"/v1/orders/{order['id']}/documents")
    for path in paths:
        assert (await fetch(other, path)).status_code == 404
        assert (await fetch(operator, path)).status_code == 200
        async with httpx.AsyncClient(base_url=shop.gateway) as nobody:
            assert (await nobody.get(path)).status_code == 401
    for unknown in (f"/v1/documents/{uuid.uuid4()}.pdf", "/v1/documents/none.pdf"):
        assert (await fetch(learner, unknown)).status_code == 404


async def test_a_bundle_is_documented_and_refunded_by_its_parts(shop: Shop) -> None:
    """249 dollars over 99, 149 and 79: what the list prices weigh, to the cent, and no line of the bundle."""
    learner = await shop.learner()
    order = await pay(shop, learner, "career-bundle", "USD")
    parts = {line["title"]: line for line in order["lines"]}
    list_prices = {
        "Python from scratch": 7538,
        "Data science in practice": 11346,
        "Web design that works": 6016,
    }
    assert {
        title: line["total"]["amount"] - line["tax"]["amount"] for title, line in parts.items()
    } == list_prices
    operator = await shop.operator()
    line = parts["Data science in practice"]
    await operator.refund(order["id"], lines=[{"line_id": line["id"]}])
    receipt, note = await wait_for(
        lambda: documents_of(learner, order["id"]), lambda have: len(have) == 2, what="the credit note"
    )
    assert (note["total"], note["net"]) == (line["total"], {"amount": 11346, "currency": "USD"})
    text = text_of((await fetch(learner, receipt["pdf_url"])).content)
    assert all(title in text for title in parts)
    assert "Career bundle" not in text
    credited = text_of((await fetch(learner, note["pdf_url"])).content)
    assert "Data science in practice 1 113.46 113.46 4.54 118.00" in credited
    assert "Python from scratch" not in credited
    assert (await learner.order(order["id"]))["status"] == "partially_refunded"


async def test_a_business_abroad_gets_an_invoice_without_tax_and_with_the_wording(shop: Shop) -> None:
    learner = await shop.learner()
    address = BERLIN | {"name": "Beispiel GmbH", "tax_id": "de 136 695 976"}
    order = await pay(shop, learner, "python-101", "EUR", address=address)
    assert (order["tax"]["amount"], order["total"]["amount"]) == (0, 8900)
    (invoice,) = await documents_of(learner, order["id"])
    text = text_of((await fetch(learner, invoice["pdf_url"])).content)
    for words in (
        "Rechnung an Beispiel GmbH",
        "USt-IdNr. DE136695976",
        "USt. DE, Steuerschuldnerschaft des Leistungsempfängers 0 %",
        "Hinweise Steuerschuldnerschaft des Leistungsempfängers (Reverse Charge, Artikel 44 und 196",
        "USt. 0,00 € Gesamtbetrag 89,00 €",
    ):
        assert words in text, (words, text)
    (kept,) = await shop.query("SELECT taxation FROM orders WHERE id = %s", order["id"])
    assert kept["taxation"]["check"]["registry"] == "format"
    note = await refund(learner, order["id"])
    assert "Steuerschuldnerschaft" in text_of((await fetch(learner, note["pdf_url"])).content)


async def test_settings_that_change_later_change_no_document(shop: Shop) -> None:
    """A gateway with another seller's details serves the very same bytes."""
    learner = await shop.learner()
    order = await pay(shop, learner, "web-design", "EUR", address=BERLIN)
    (invoice,) = await documents_of(learner, order["id"])
    before = await fetch(learner, invoice["pdf_url"])
    settings = settings_of(shop.stack).model_copy(
        update={"seller_name": "Another GmbH", "seller_vat_id": "DE136695976", "seller_country": "DE"}
    )
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gateway") as http,
    ):
        headers = {"Authorization": f"Bearer {learner.token}"}
        after = await http.get(invoice["pdf_url"], headers=headers)
    assert after.content == before.content
    assert after.headers["ETag"] == before.headers["ETag"]
    assert "Commerce Academy Ltd" in text_of(after.content)


async def test_a_browser_says_its_language(shop: Shop) -> None:
    learner = await shop.learner()
    await learner.add("web-design")
    async with httpx.AsyncClient(base_url=learner.base_url) as http:
        answer = await http.post(
            "/v1/checkout",
            json={"billing_address": {"country": "US", "state": "NY", "postal_code": "10001"}},
            headers={
                "Authorization": f"Bearer {learner.token}",
                "Idempotency-Key": str(uuid.uuid4()),
                "Accept-Language": "ja, de-AT;q=0.9, en;q=0.8",
            },
        )
    checkout = answer.json()
    await shop.stripe.confirm(checkout["payment"]["payment_intent_id"], "pm_card_visa")
    await learner.wait_for_status(checkout["order"]["id"], "fulfilled")
    (receipt,) = await documents_of(learner, checkout["order"]["id"])
    assert (receipt["kind"], receipt["locale"]) == ("receipt", "de_AT")
    assert "Zahlungsbeleg" in text_of((await fetch(learner, receipt["pdf_url"])).content)

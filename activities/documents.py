"""The content of invoices and receipts, taken from stored figures: nothing is computed anew."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from domain.currencies import currency_of
from domain.tax import EU_COUNTRIES, REVERSE_CHARGE_SUFFIX, issues_invoices
from integrations.documents.content import DocumentLine, LineTax, Party, ReceiptDocument, TaxRow
from integrations.documents.labels import labels_of
from integrations.documents.locales import document_locale
from integrations.documents.wording import Wording
from models.database import Session
from models.queries import order_lines, payments, people
from models.queries.documents import DocumentRow, Draft
from models.queries.order_lines import LineRow
from models.queries.orders import OrderRow

_POSTAL_CODE_FIRST = (EU_COUNTRIES - {"IE"}) | {"CH", "LI", "NO", "IS"}


async def sale_draft(session: Session, order: OrderRow, *, seller: dict[str, str]) -> Draft:
    """The invoice or receipt of a paid order: what was bought, its tax by rate, and how it was paid.

    `seller` has name, address, vat_id and country.
    """
    reference = next((p.intent_id for p in await payments.of_order(session, order.id) if p.applied), None)
    shown = [
        DocumentLine(
            description=line.title,
            quantity=1,
            list_net=line.list_net,
            discount=line.discount_net,
            net=line.net,
            tax=line.tax,
            gross=line.gross,
            taxes=taxes_of(line, [int(tax["amount"]) for tax in line.taxes]),
            unit_net=line.list_net,
            reference=str(line.ordinal),
        )
        for line in await order_lines.of_order(session, order.id)
    ]
    country = str(order.billing_address["country"])
    kind = "invoice" if issues_invoices(country) else "receipt"
    paid_by = wording_of(order).means_of_payment(
        card=reference, card_amount=order.total - order.store_credit, credit_amount=order.store_credit
    )
    content = await content_of(session, order, seller, kind, shown, paid_by)
    return Draft(kind, country, order.id, content.to_json())


def wording_of(order: OrderRow) -> Wording:
    """The words of the order's documents."""
    return Wording.plain(_locale(order), order.currency, currency_of(order.currency).exponent)


def _locale(order: OrderRow) -> str:
    return order.locale or document_locale(str(order.billing_address["country"]))


def taxes_of(line: LineRow, amounts: Sequence[int]) -> tuple[LineTax, ...]:
    """These amounts (minor units) by the jurisdictions and rates of the line."""
    return tuple(
        LineTax(tax["jurisdiction"], tax["ppm"], amount)
        for tax, amount in zip(line.taxes, amounts, strict=True)
    )


def _tax_rows(lines: Sequence[DocumentLine]) -> tuple[TaxRow, ...]:
    rows: dict[tuple[str, int], tuple[int, int]] = {}
    for line in lines:
        for tax in line.taxes:
            taxable, amount = rows.get((tax.jurisdiction, tax.ppm), (0, 0))
            rows[tax.jurisdiction, tax.ppm] = (taxable + line.net, amount + tax.amount)
    return tuple(TaxRow(name, ppm, *figures) for (name, ppm), figures in rows.items())


def _notes(locale: str, country: str, taxes: Sequence[TaxRow]) -> tuple[str, ...]:
    """What the law wants said where the buyer owes the tax."""
    if not any(row.jurisdiction.endswith(REVERSE_CHARGE_SUFFIX) for row in taxes):
        return ()
    words = labels_of(locale)
    return (words.reverse_charge_gb if country == "GB" else words.reverse_charge_eu,)


async def _buyer(session: Session, order: OrderRow) -> Party:
    user = await people.get(session, order.user_id)
    address = order.billing_address
    lines = [*(str(address[part]) for part in ("line1", "line2") if address.get(part)), _place(address)]
    return Party(
        name=str(address.get("name") or (user.full_name if user else order.number)),
        lines=tuple(line for line in lines if line),
        vat_id=address.get("tax_id"),
        country=str(address["country"]),
        email=None if user is None else user.email,
    )


def _same_buyer(corrects: DocumentRow) -> Party:
    """A paper that corrects another names whom that one named, whatever is known of them since."""
    named = corrects.body["buyer"]
    return Party(**{**named, "lines": tuple(named["lines"])})


def _lines(address: str) -> tuple[str, ...]:
    """A seller's address as set in one line: its parts stand between commas or line breaks."""
    return tuple(part.strip() for part in re.split(r"[,\n]", address) if part.strip())


def _place(address: Mapping[str, Any]) -> str:
    """The line with the town, in the order that letters to the country have it."""
    code, city, state = (str(address.get(part) or "") for part in ("postal_code", "city", "state"))
    if address["country"] in _POSTAL_CODE_FIRST:
        return " ".join(part for part in (code, city) if part)
    region = " ".join(part for part in (state.removeprefix(f"{address['country']}-"), code) if part)
    return ", ".join(part for part in (city, region) if part)


async def content_of(
    session: Session,
    order: OrderRow,
    seller: dict[str, str],
    kind: str,
    lines: Sequence[DocumentLine],
    payment: str,
    corrects: DocumentRow | None = None,
    *,
    paid: bool = True,
) -> ReceiptDocument:
    """A document of the order without its number. `payment` names the means of payment when money moved with
    it (`paid`), else it is a sentence of its own. `corrects` is the document that it corrects.
    """
    locale, now = _locale(order), datetime.now(UTC).isoformat(timespec="seconds")
    taxes = _tax_rows(lines)
    return ReceiptDocument(
        kind=kind,
        number="",
        issued_at=now,
        order_number=order.number,
        seller=Party(seller["name"], _lines(seller["address"]), seller["vat_id"] or None, seller["country"]),
        buyer=await _buyer(session, order) if corrects is None else _same_buyer(corrects),
        currency=order.currency,
        exponent=currency_of(order.currency).exponent,
        locale=locale,
        lines=tuple(lines),
        taxes=taxes,
        net=sum(line.net for line in lines),
        tax=sum(line.tax for line in lines),
        total=sum(line.gross for line in lines),
        payment=payment,
        reference=None if corrects is None else corrects.number,
        reference_issued_at=None if corrects is None else corrects.body["issued_at"],
        paid_at=now if paid else None,
        notes=_notes(locale, str(order.billing_address["country"]), taxes),
    )

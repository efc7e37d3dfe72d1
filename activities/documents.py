"""The content of invoices, receipts and credit notes, taken from stored figures: nothing is computed anew."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from domain.allocation import ticks_reversed
from domain.currencies import currency_of
from domain.errors import CommerceError
from domain.tax import EU_COUNTRIES, REVERSE_CHARGE_SUFFIX, issues_invoices
from integrations.documents.content import DocumentLine, LineTax, Party, ReceiptDocument, TaxRow
from integrations.documents.labels import labels_of
from integrations.documents.locales import document_locale
from integrations.documents.wording import Wording
from models.database import Session
from models.queries import documents, orders, payments, people, refunds
from models.queries.documents import DocumentRow, Draft
from models.queries.orders import LineRow, OrderRow
from models.queries.refunds import RefundRow

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
            taxes=_taxes(line, [int(tax["amount"]) for tax in line.taxes]),
            unit_net=line.list_net,
            reference=str(line.ordinal),
        )
        for line in await orders.lines(session, order.id)
    ]
    country = str(order.billing_address["country"])
    kind = "invoice" if issues_invoices(country) else "receipt"
    paid_by = _wording(order).means_of_payment(
        card=reference, card_amount=order.total - order.store_credit, credit_amount=order.store_credit
    )
    content = await _content(session, order, seller, kind, shown, paid_by, None)
    return Draft(kind, country, order.id, None, content.to_json())


async def credit_note_draft(
    session: Session, order: OrderRow, refund: RefundRow, *, seller: dict[str, str]
) -> Draft:
    """The credit note of a refund: per line what went back, net and taxes as the ledger reversed them."""
    taken = await refunds.lines_of(session, refund.id)
    shown = []
    for line in await orders.lines(session, order.id):
        if line.id not in taken:
            continue
        parts = [line.net, *(int(tax["amount"]) for tax in line.taxes)]
        before = await refunds.taken_before(session, line.id, refund.id)
        earlier = ticks_reversed(parts, before)
        now = ticks_reversed(parts, before + taken[line.id])
        net, *taxes = [a - b for a, b in zip(now, earlier, strict=True)]
        shown.append(
            DocumentLine(
                description=line.title,
                quantity=1,
                list_net=net,
                discount=0,
                net=net,
                tax=sum(taxes),
                gross=taken[line.id],
                taxes=_taxes(line, taxes),
                unit_net=net,
                reference=str(line.ordinal),
            )
        )
    corrected = await documents.of_sale(session, order.id)
    if corrected is None:
        raise CommerceError(f"order {order.id} was refunded and has no invoice or receipt")
    current = await refunds.get(session, refund.id) or refund  # the processor's id may be just there
    paid_by = _wording(order).means_of_payment(
        card=current.provider_refund_id or refund.id,
        card_amount=refund.card_amount,
        credit_amount=refund.credit_amount,
    )
    content = await _content(session, order, seller, "credit_note", shown, paid_by, corrected)
    return Draft("credit_note", corrected.country, order.id, refund.id, content.to_json())


def _wording(order: OrderRow) -> Wording:
    return Wording.plain(_locale(order), order.currency, currency_of(order.currency).exponent)


def _locale(order: OrderRow) -> str:
    return order.locale or document_locale(str(order.billing_address["country"]))


def _taxes(line: LineRow, amounts: Sequence[int]) -> tuple[LineTax, ...]:
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


async def _content(
    session: Session,
    order: OrderRow,
    seller: dict[str, str],
    kind: str,
    lines: Sequence[DocumentLine],
    payment: str,
    corrects: DocumentRow | None,
) -> ReceiptDocument:
    locale, now = _locale(order), datetime.now(UTC).isoformat(timespec="seconds")
    taxes = _tax_rows(lines)
    return ReceiptDocument(
        kind=kind,
        number="",
        issued_at=now,
        order_number=order.number,
        seller=Party(seller["name"], _lines(seller["address"]), seller["vat_id"] or None, seller["country"]),
        buyer=await _buyer(session, order),
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
        paid_at=now,
        notes=_notes(locale, str(order.billing_address["country"]), taxes),
    )

"""The content of receipts and credit notes, taken from stored figures: nothing is computed anew."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from domain.allocation import ticks_reversed
from domain.currencies import currency_of
from integrations.documents.content import DocumentLine, LineTax, Party, ReceiptDocument, TaxRow
from models.database import Session
from models.queries import documents, orders, payments, people, refunds
from models.queries.documents import DocumentRow
from models.queries.orders import LineRow, OrderRow
from models.queries.refunds import RefundRow

_LOCALES = {"US": "en_US", "GB": "en_GB", "IE": "en_IE", "DE": "de_DE", "AT": "de_AT", "FR": "fr_FR"}


async def receipt_body(session: Session, order: OrderRow, *, seller: dict[str, str]) -> dict[str, Any]:
    """The receipt of a paid order: what was bought, its tax by rate, and how it was paid."""
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
        )
        for line in await orders.lines(session, order.id)
    ]
    return await _content(session, order, seller, "receipt", shown, f"Card, {reference}", None)


async def credit_note_body(
    session: Session, order: OrderRow, refund: RefundRow, *, seller: dict[str, str]
) -> dict[str, Any]:
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
            )
        )
    receipt = await documents.of_order(session, order.id, "receipt")
    method = f"Card, {refund.provider_refund_id or refund.id}"
    return await _content(session, order, seller, "credit_note", shown, method, receipt)


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


async def _content(
    session: Session,
    order: OrderRow,
    seller: dict[str, str],
    kind: str,
    lines: Sequence[DocumentLine],
    payment: str,
    corrects: DocumentRow | None,
) -> dict[str, Any]:
    user = await people.get(session, order.user_id)
    address = order.billing_address
    country = str(address["country"])
    place = " ".join(str(address[part]) for part in ("postal_code", "city", "state") if address.get(part))
    buyer_lines = [*(str(address[part]) for part in ("line1", "line2") if address.get(part)), place]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return ReceiptDocument(
        kind=kind,
        number="",
        issued_at=now,
        order_number=order.number,
        seller=Party(seller["name"], (seller["address"],), seller["vat_id"] or None, seller["country"]),
        buyer=Party(
            name=str(address.get("name") or (user.full_name if user else order.number)),
            lines=tuple(line for line in buyer_lines if line),
            vat_id=address.get("vat_id"),
            country=country,
            email=None if user is None else user.email,
        ),
        currency=order.currency,
        exponent=currency_of(order.currency).exponent,
        locale=_LOCALES.get(country, "en_GB"),
        lines=tuple(lines),
        taxes=_tax_rows(lines),
        net=sum(line.net for line in lines),
        tax=sum(line.tax for line in lines),
        total=sum(line.gross for line in lines),
        payment=payment,
        reference=None if corrects is None else corrects.number,
        reference_issued_at=None if corrects is None else corrects.body["issued_at"],
        paid_at=now,
    ).to_json()

"""The content of receipts and credit notes, taken from stored figures: nothing is computed anew."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from domain.allocation import ticks_reversed
from integrations.documents.content import (
    DocumentLine,
    DocumentReference,
    LineTax,
    Party,
    PaymentInfo,
    ReceiptDocument,
    tax_table_of,
    totals_of,
)
from models.database import Session
from models.queries import documents, orders, payments, people, refunds
from models.queries.orders import LineRow, OrderRow
from models.queries.refunds import RefundRow

_LOCALES = {"US": "en_US", "GB": "en_GB", "IE": "en_IE", "DE": "de_DE", "AT": "de_AT", "FR": "fr_FR"}
# Replaced by the number that the issuing statement gives.
_UNNUMBERED = "unnumbered"


async def receipt_body(session: Session, order: OrderRow, *, seller: dict[str, str]) -> dict[str, Any]:
    """The receipt of a paid order: what was bought, its tax by rate, and how it was paid."""
    reference = next((p.intent_id for p in await payments.of_order(session, order.id) if p.applied), None)
    shown = [
        DocumentLine(
            description=line.title,
            quantity=1,
            unit_net=line.list_net,
            discount=line.discount_net,
            net=line.net,
            taxes=_taxes(line, [int(tax["amount"]) for tax in line.taxes]),
            gross=line.gross,
        )
        for line in await orders.lines(session, order.id)
    ]
    return await _content(session, order, seller, "receipt", shown, f"Card, {reference}", None)


async def credit_note_body(
    session: Session, order: OrderRow, refund: RefundRow, *, seller: dict[str, str]
) -> dict[str, Any]:
    """The credit note of a refund: per line what went back, net and taxes as the ledger reversed them."""
    taken = await refunds.lines_of(session, refund.id)
    receipt = await documents.of_order(session, order.id, "receipt")
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
                unit_net=net,
                discount=0,
                net=net,
                taxes=_taxes(line, taxes),
                gross=taken[line.id],
            )
        )
    reference = None
    if receipt is not None:
        issued_at = datetime.fromisoformat(receipt.body["issued_at"])
        reference = DocumentReference(receipt.number, issued_at)
    method = f"Back to the card, {refund.provider_refund_id or refund.id}"
    return await _content(session, order, seller, "credit_note", shown, method, reference)


def _taxes(line: LineRow, amounts: Sequence[int]) -> tuple[LineTax, ...]:
    return tuple(
        LineTax(tax["jurisdiction"], tax["ppm"], amount)
        for tax, amount in zip(line.taxes, amounts, strict=True)
    )


async def _content(
    session: Session,
    order: OrderRow,
    seller: dict[str, str],
    kind: str,
    lines: Sequence[DocumentLine],
    method: str,
    reference: DocumentReference | None,
) -> dict[str, Any]:
    user = await people.get(session, order.user_id)
    address = order.billing_address
    country = str(address["country"])
    place = " ".join(str(address[part]) for part in ("postal_code", "city", "state") if address.get(part))
    buyer_lines = [*(str(address[part]) for part in ("line1", "line2") if address.get(part)), place]
    now = datetime.now(UTC).replace(microsecond=0)
    return ReceiptDocument(
        kind=kind,
        number=_UNNUMBERED,
        issued_at=now,
        order_number=order.number,
        seller=Party(seller["name"], (seller["address"],), seller["country"], seller["vat_id"] or None),
        buyer=Party(
            name=str(address.get("name") or (user.full_name if user else order.number)),
            address_lines=tuple(line for line in buyer_lines if line),
            country=country,
            vat_id=address.get("vat_id"),
            email=None if user is None else user.email,
        ),
        currency=order.currency,
        locale=_LOCALES.get(country, "en_GB"),
        lines=tuple(lines),
        totals=totals_of(lines),
        tax_table=tax_table_of(lines),
        payment=PaymentInfo(now, method),
        reference=reference,
    ).to_json()

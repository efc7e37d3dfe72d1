"""The content of receipts and credit notes, taken from stored figures: nothing is computed anew."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from domain.allocation import ticks_reversed
from domain.currencies import currency_of
from integrations.documents.receipt import DocumentLine, Party, ReceiptDocument, TaxRow
from models.database import Session
from models.queries import documents, orders, payments, people, refunds
from models.queries.orders import LineRow, OrderRow
from models.queries.refunds import RefundRow

_LOCALES = {"US": "en_US", "GB": "en_GB", "DE": "en_DE", "FR": "en_FR", "IE": "en_IE", "NL": "en_NL"}


async def receipt_body(session: Session, order: OrderRow, *, seller: dict[str, str]) -> dict[str, Any]:
    """The receipt of a paid order: what was bought, its tax by rate, and how it was paid."""
    lines = await orders.lines(session, order.id)
    reference = next((p.intent_id for p in await payments.of_order(session, order.id) if p.applied), None)
    shown = [
        DocumentLine(line.title, 1, line.list_net, line.discount_net, line.net, line.tax, line.gross)
        for line in lines
    ]
    amounts = [{tax["jurisdiction"]: tax["amount"] for tax in line.taxes} for line in lines]
    return await _content(
        session,
        order,
        seller=seller,
        kind="receipt",
        lines=shown,
        taxes=_tax_rows(lines, [line.net for line in lines], amounts),
        payment=f"Paid by card on {datetime.now(UTC):%Y-%m-%d}, reference {reference}.",
        reference=None,
    )


async def credit_note_body(
    session: Session, order: OrderRow, refund: RefundRow, *, seller: dict[str, str]
) -> dict[str, Any]:
    """The credit note of a refund: per line what went back, net and taxes as the ledger reversed them."""
    taken = await refunds.lines_of(session, refund.id)
    lines = [line for line in await orders.lines(session, order.id) if line.id in taken]
    receipt = await documents.of_order(session, order.id, "receipt")
    shown, nets, taxes = [], [], []
    for line in lines:
        parts = [line.net, *(tax["amount"] for tax in line.taxes)]
        before = await refunds.taken_before(session, line.id, refund.id)
        earlier = ticks_reversed(parts, before)
        now = ticks_reversed(parts, before + taken[line.id])
        net, *tax_amounts = [a - b for a, b in zip(now, earlier, strict=True)]
        shown.append(DocumentLine(line.title, 1, net, 0, net, sum(tax_amounts), taken[line.id]))
        nets.append(net)
        jurisdictions = [tax["jurisdiction"] for tax in line.taxes]
        taxes.append(dict(zip(jurisdictions, tax_amounts, strict=True)))
    return await _content(
        session,
        order,
        seller=seller,
        kind="credit_note",
        lines=shown,
        taxes=_tax_rows(lines, nets, taxes),
        payment="The amount goes back to the payment method of the order.",
        reference=None if receipt is None else receipt.number,
    )


def _tax_rows(
    lines: Sequence[LineRow], nets: Sequence[int], amounts: Sequence[dict[str, int]]
) -> list[TaxRow]:
    rows: dict[tuple[str, int], tuple[int, int]] = {}
    for line, net, by_jurisdiction in zip(lines, nets, amounts, strict=True):
        for tax in line.taxes:
            key = (tax["jurisdiction"], tax["ppm"])
            taxable, amount = rows.get(key, (0, 0))
            rows[key] = (taxable + net, amount + by_jurisdiction[tax["jurisdiction"]])
    return [TaxRow(name, ppm, taxable, amount) for (name, ppm), (taxable, amount) in rows.items()]


async def _content(
    session: Session,
    order: OrderRow,
    *,
    seller: dict[str, str],
    kind: str,
    lines: Sequence[DocumentLine],
    taxes: Sequence[TaxRow],
    payment: str,
    reference: str | None,
) -> dict[str, Any]:
    user = await people.get(session, order.user_id)
    address = order.billing_address
    country = str(address["country"])
    place = " ".join(str(address[part]) for part in ("postal_code", "city", "state") if address.get(part))
    buyer_lines = [str(address[part]) for part in ("line1", "line2") if address.get(part)]
    name = str(address.get("name") or (user.full_name if user else ""))
    return ReceiptDocument(
        kind=kind,
        number="",
        issued_at=datetime.now(UTC).isoformat(timespec="seconds"),
        order_number=order.number,
        seller=Party(seller["name"], (seller["address"], seller["country"]), seller["vat_id"]),
        buyer=Party(name, tuple(part for part in (*buyer_lines, place, country) if part), address.get("vat_id")),
        currency=order.currency,
        exponent=currency_of(order.currency).exponent,
        locale=_LOCALES.get(country, "en_GB"),
        lines=tuple(lines),
        taxes=tuple(taxes),
        net=sum(line.net for line in lines),
        tax=sum(line.tax for line in lines),
        total=sum(line.gross for line in lines),
        payment=payment,
        reference=reference,
    ).to_json()

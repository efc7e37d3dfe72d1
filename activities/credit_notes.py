"""Documents that correct others: credit notes of money that went back, and what corrects a credit note.

On paper, as in the ledger, a line's net and taxes follow from the gross that was credited of it so far: so
all documents of an order come to what the order keeps, whatever came in which order. Callers hold its lock.
"""

from collections.abc import Mapping, Sequence

from activities.documents import content_of, taxes_of, wording_of
from domain.allocation import ticks_reversed
from domain.errors import CommerceError
from integrations.documents.content import DocumentLine
from models.database import Session
from models.queries import documents, order_lines, refunds
from models.queries.documents import DocumentRow, Draft
from models.queries.order_lines import LineRow
from models.queries.orders import OrderRow
from models.queries.refunds import RefundRow

CREDIT_NOTE = "credit_note"
Seller = dict[str, str]


async def refund_draft(
    session: Session, order: OrderRow, refund: RefundRow, *, seller: Seller
) -> Draft | None:
    """The credit note of a refund; None when all of it was credited before."""
    taken = await refunds.lines_of(session, refund.id)
    current = await refunds.get(session, refund.id) or refund  # the processor's id may be just there
    paid_by = wording_of(order).means_of_payment(
        card=current.provider_refund_id or refund.id,
        card_amount=refund.card_amount,
        credit_amount=refund.credit_amount,
    )
    return await _credit_note(session, order, taken, paid_by, seller, refund_id=refund.id, paid=True)


async def dispute_draft(
    session: Session,
    order: OrderRow,
    taken: Mapping[str, int],
    *,
    dispute_id: str,
    provider_id: str,
    seller: Seller,
) -> Draft | None:
    """The credit note of a lost dispute, which took so much (gross minor units) of each line; None when
    nothing of the sale was left."""
    why = wording_of(order).labels.disputed.format(reference=provider_id)
    return await _credit_note(session, order, taken, why, seller, dispute_id=dispute_id)


async def late_failure_draft(
    session: Session, order: OrderRow, *, intent_id: str, seller: Seller
) -> Draft | None:
    """The credit note of a payment that the bank returned: of all that was not credited before."""
    why = wording_of(order).labels.returned.format(reference=intent_id)
    taken = {line.id: line.gross for line in await order_lines.of_order(session, order.id)}
    return await _credit_note(session, order, taken, why, seller)


async def canceled_refund_draft(
    session: Session, order: OrderRow, refund: RefundRow, *, seller: Seller
) -> Draft | None:
    """The invoice or receipt that takes back the credit note of a refund which was never paid out; None
    when it had none."""
    issued = await documents.of_order(session, order.id)
    note = next((one for one in issued if one.kind == CREDIT_NOTE and one.refund_id == refund.id), None)
    sale = await documents.of_sale(session, order.id)
    if note is None or sale is None:
        return None
    credited = _credited(issued)
    again = {line["reference"]: int(line["gross"]) for line in note.body["lines"]}
    shown = [
        _between(line, credited[str(line.ordinal)] - again[str(line.ordinal)], credited[str(line.ordinal)])
        for line in await order_lines.of_order(session, order.id)
        if str(line.ordinal) in again
    ]
    why = wording_of(order).labels.refund_canceled.format(reference=refund.provider_refund_id or refund.id)
    content = await content_of(session, order, seller, sale.kind, shown, why, note, paid=False)
    return Draft(sale.kind, sale.country, order.id, content.to_json(), refund_id=refund.id)


async def _credit_note(
    session: Session,
    order: OrderRow,
    taken: Mapping[str, int],
    payment: str,
    seller: Seller,
    *,
    paid: bool = False,
    refund_id: str | None = None,
    dispute_id: str | None = None,
) -> Draft | None:
    """Credits `taken` (gross minor units by line id) as far as it is not credited yet."""
    sale = await documents.of_sale(session, order.id)
    if sale is None:
        raise CommerceError(f"order {order.id} gave money back and has no invoice or receipt")
    credited = _credited(await documents.of_order(session, order.id))
    shown = []
    for line in await order_lines.of_order(session, order.id):
        before = credited.get(str(line.ordinal), 0)
        after = min(line.gross, before + taken.get(line.id, 0))
        if after > before:
            shown.append(_between(line, before, after))
    if not shown:
        return None
    content = await content_of(session, order, seller, CREDIT_NOTE, shown, payment, sale, paid=paid)
    return Draft(
        CREDIT_NOTE,
        sale.country,
        order.id,
        content.to_json(),
        refund_id=refund_id,
        dispute_id=dispute_id,
    )


def _credited(issued: Sequence[DocumentRow]) -> dict[str, int]:
    """Gross minor units that stand as credited, by the ordinal of the order line."""
    credited: dict[str, int] = {}
    for document in issued:
        if document.corrects is None:
            continue
        sign = 1 if document.kind == CREDIT_NOTE else -1
        for line in document.body["lines"]:
            name = str(line["reference"])
            credited[name] = credited.get(name, 0) + sign * int(line["gross"])
    return credited


def _between(line: LineRow, before: int, after: int) -> DocumentLine:
    """What lies between two credited amounts of the line, as the ledger reverses it."""
    parts = [line.net, *(int(tax["amount"]) for tax in line.taxes)]
    lower, upper = ticks_reversed(parts, before), ticks_reversed(parts, after)
    net, *taxes = [high - low for high, low in zip(upper, lower, strict=True)]
    return DocumentLine(
        description=line.title,
        quantity=1,
        list_net=net,
        discount=0,
        net=net,
        tax=sum(taxes),
        gross=after - before,
        taxes=taxes_of(line, taxes),
        unit_net=net,
        reference=str(line.ordinal),
    )

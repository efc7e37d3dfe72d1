"""An order's whole money story in one reading: what was paid, what went back, the books, who earned."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from domain.ledger import LineLedger
from domain.orders import RefundStatus
from models.database import Session
from models.queries import disputes, documents, journals, order_lines, payments, refunds, store_credit
from models.queries.balances import Balance
from models.queries.disputes import DisputeRow
from models.queries.documents import DocumentRow
from models.queries.journals import EntryRow
from models.queries.order_lines import LineRow
from models.queries.orders import OrderRow
from models.queries.payments import PaymentRow
from models.queries.refunds import RefundRow
from models.queries.store_credit import GrantRow

# An order has tens of entries; this many would be a fault in itself.
_ALL_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class LineMoney:
    """One line: the row, and its state in the ledger (None before payment)."""

    row: LineRow
    ledger: LineLedger | None

    @property
    def refundable(self) -> int:
        """What can still go back, minor units."""
        return 0 if self.ledger is None else self.ledger.refundable_gross

    @property
    def taken(self) -> int:
        """What went back or is promised: refunds, chargebacks, late failures; minor units."""
        return 0 if self.ledger is None else self.ledger.taken_gross


@dataclass(frozen=True, slots=True)
class ProcessorMovement:
    """A balance transaction of the processor; minor units of `currency`, which may be another."""

    id: str
    category: str
    amount: int
    fee: int
    net: int
    currency: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OrderMoney:
    """All that the database knows of an order's money; lists are oldest first."""

    order: OrderRow
    lines: list[LineMoney]
    payments: list[PaymentRow]
    refunds: list[RefundRow]
    grants: list[GrantRow]
    disputes: list[DisputeRow]
    documents: list[DocumentRow]
    entries: list[EntryRow]
    balances: list[Balance]
    movements: list[ProcessorMovement]

    @property
    def refund_pending(self) -> int:
        """What is promised back and not gone yet, minor units; a failed refund is still owed."""
        return sum(
            refund.amount
            for refund in self.refunds
            if refund.kind.takes_from_lines
            and refund.status is not RefundStatus.SUCCEEDED
            and refund.canceled_at is None
        )

    @property
    def refundable(self) -> int:
        """What can still go back, minor units."""
        return sum(line.refundable for line in self.lines)


async def of_order(session: Session, order: OrderRow) -> OrderMoney:
    """The whole story; every part by the order's index."""
    entries = await journals.page(
        session, order_id=order.id, account=None, since=None, until=None, before=None, limit=_ALL_ENTRIES
    )
    return OrderMoney(
        order=order,
        lines=[
            LineMoney(line, None if line.ledger is None else LineLedger.from_dict(line.ledger))
            for line in await order_lines.of_order(session, order.id)
        ],
        payments=await payments.of_order(session, order.id),
        refunds=await refunds.of_order(session, order.id),
        grants=await store_credit.grants_of_order(session, order.id),
        disputes=await disputes.of_order(session, order.id),
        documents=await documents.of_order(session, order.id),
        entries=entries[::-1],
        balances=await _balances(session, order.id),
        movements=await _movements(session, order.id),
    )


async def _balances(session: Session, order_id: str) -> list[Balance]:
    rows = await session.execute(
        text(
            "SELECT p.account, p.sub, p.currency, sum(p.amount) AS amount FROM posting p "
            "JOIN journal_entry e ON e.id = p.entry_id WHERE e.order_id = :id "
            "GROUP BY 1, 2, 3 HAVING sum(p.amount) <> 0 ORDER BY 1, 2, 3"
        ),
        {"id": order_id},
    )
    return [Balance(row.account, row.sub, row.currency, int(row.amount)) for row in rows]


async def _movements(session: Session, order_id: str) -> list[ProcessorMovement]:
    rows = await session.execute(
        text("SELECT * FROM balance_transaction WHERE order_id = :id ORDER BY created_at, id"),
        {"id": order_id},
    )
    return [
        ProcessorMovement(
            row.id, row.reporting_category, row.amount, row.fee, row.net, row.currency, row.created_at
        )
        for row in rows
    ]

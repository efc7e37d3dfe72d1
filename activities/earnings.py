"""Between order lines and the ledger: their state in it, and the earning events that follow from it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from activities.boundary import Transaction
from domain.ids import payee_stream
from domain.ledger import LineLedger, Outcome, capture
from models.queries import ledger, orders
from models.queries.orders import LineRow, OrderRow
from models.queries.outbox import Publication


def ledger_of(line: LineRow) -> LineLedger:
    """The line's state in the ledger, or its state before anything was posted."""
    if line.ledger is not None:
        return LineLedger.from_dict(line.ledger)
    return LineLedger.new(
        line=line.id,
        currency="",
        list_net=line.list_net,
        net=line.net,
        tax={tax["jurisdiction"]: int(tax["amount"]) for tax in line.taxes},
        split=line.split,
        recognition=line.recognition,
    )

"""Whether what an order line says of itself follows from its rule, and stands in the books."""

from dataclasses import replace
from typing import Any

from domain.accounts import Account
from domain.errors import CommerceError
from domain.ledger import LineLedger, Outcome, split_rows
from domain.ledger import settled as payees_settled
from models.database import Database
from models.queries import order_lines


async def lines_off(database: Database) -> list[str]:
    """In words, each line whose state is not what its rule divides or what was posted for it."""
    async with database.transaction() as session:
        return [
            f"line {line.line_id} of order {line.order_number}: {told}"
            async for line in order_lines.line_states(session)
            for told in _off(line.ledger, line.deferred)
        ]


def _off(stored: dict[str, Any], deferred: int) -> list[str]:
    try:
        line = LineLedger.from_dict(stored)
        found = []
        if line.rows and not _as_the_rule_divides(line):
            found.append("its split rows are not what its rule divides")
        wanted = line.balances().get((Account.DEFERRED_REVENUE, line.line), 0)
        if wanted != deferred:
            found.append(f"{deferred} is deferred in the ledger, {wanted} by its state")
        payees_settled(Outcome(lines=(line,)))
    except (CommerceError, KeyError, TypeError, ValueError) as error:
        return [f"its state makes no sense: {error}"]
    return found


def _as_the_rule_divides(line: LineLedger) -> bool:
    """Reassignments change who holds a row, never its amount."""
    whole = all(sum(part for _, part in row.holders) == row.amount for row in line.rows)
    divided = split_rows(replace(line, rows=()), dict(line.volumes))
    return whole and [(r.kind, r.amount) for r in divided] == [(r.kind, r.amount) for r in line.rows]

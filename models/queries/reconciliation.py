"""Runs of the reconciliation: periods, cash, entries that the processor does not know, ageing."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.accounts import Account
from models.database import Session

EPOCH = "1970-01-01T00:00:00+00:00"


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run; `report` is None until it has ended."""

    id: str
    workflow_id: str
    period_from: datetime
    period_to: datetime
    continues: bool
    state: str
    pages: int
    transactions: int
    report: dict[str, Any] | None
    started_at: datetime
    finished_at: datetime | None


def _run(row: Row[Any]) -> RunRow:
    return RunRow(
        str(row.id),
        row.workflow_id,
        row.period_from,
        row.period_to,
        row.continues,
        row.state,
        row.pages,
        row.transactions,
        row.report,
        row.started_at,
        row.finished_at,
    )


async def continued_from(session: Session) -> datetime:
    """Where the next run begins: the end of the last completed one that continued; the epoch at first."""
    found = await session.execute(
        text(
            "SELECT coalesce(max(period_to), CAST(:epoch AS timestamptz)) FROM reconciliation_run "
            "WHERE continues AND state = 'completed'"
        ),
        {"epoch": EPOCH},
    )
    return found.scalar_one()  # type: ignore[no-any-return]


async def begin_run(
    session: Session, run_id: str, workflow_id: str, since: datetime, until: datetime, *, continues: bool
) -> RunRow:
    """The run's row, made at the first call."""
    await session.execute(
        text(
            "INSERT INTO reconciliation_run (id, workflow_id, period_from, period_to, continues) "
            "VALUES (CAST(:id AS uuid), :workflow_id, :since, :until, :continues) ON CONFLICT DO NOTHING"
        ),
        {
            "id": run_id,
            "workflow_id": workflow_id,
            "since": since,
            "until": until,
            "continues": continues,
        },
    )
    row = await run(session, run_id)
    assert row is not None
    return row


async def run(session: Session, run_id: str) -> RunRow | None:
    """One run."""
    row = (
        await session.execute(
            text("SELECT * FROM reconciliation_run WHERE id = CAST(:id AS uuid)"), {"id": run_id}
        )
    ).one_or_none()
    return None if row is None else _run(row)


async def runs(session: Session, *, before: str | None, limit: int) -> list[RunRow]:
    """Newest first, keyset."""
    rows = await session.execute(
        text(
            "SELECT * FROM reconciliation_run WHERE CAST(:before AS uuid) IS NULL "
            "OR id < CAST(:before AS uuid) ORDER BY id DESC LIMIT :limit"
        ),
        {"before": before, "limit": limit},
    )
    return [_run(row) for row in rows]


async def count_page(session: Session, run_id: str, *, page: int, transactions: int) -> None:
    """How far the run is: the numbers of pages and transactions so far."""
    await session.execute(
        text(
            "UPDATE reconciliation_run SET pages = :page, transactions = :transactions "
            "WHERE id = CAST(:id AS uuid) AND state = 'running'"
        ),
        {"id": run_id, "page": page, "transactions": transactions},
    )


async def finish_run(session: Session, run_id: str, report: dict[str, Any]) -> None:
    """The run has ended; its report is kept as it was first written."""
    await session.execute(
        text(
            "UPDATE reconciliation_run SET state = 'completed', report = CAST(:report AS jsonb), "
            "finished_at = now() WHERE id = CAST(:id AS uuid) AND state = 'running'"
        ),
        {"id": run_id, "report": json.dumps(report)},
    )


async def counts(session: Session, since: datetime, until: datetime) -> dict[str, dict[str, int]]:
    """Transactions of a period by standing and reporting category."""
    rows = await session.execute(
        text(
            "SELECT standing, reporting_category, count(*) AS n FROM balance_transaction "
            "WHERE created_at >= :since AND created_at < :until GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        {"since": since, "until": until},
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row.standing, {})[row.reporting_category] = row.n
    return found


@dataclass(frozen=True, slots=True)
class Cash:
    """A period's cash in one currency, minor units: the sum of `net`, and the change of 1010.

    `explained` is what its differences say that the two differ by; `foreign` belongs to others.
    """

    currency: str
    processor: int
    ledger: int
    explained: int
    foreign: int

    @property
    def unexplained(self) -> int:
        """What the processor has and neither the books nor any difference know of."""
        return self.processor - self.ledger - self.explained


async def cash(session: Session, since: datetime, until: datetime, *, margin_seconds: float) -> list[Cash]:
    """Compare the cash of a period by currency.

    An entry belongs to the time of its balance transaction; one without, to its own, `margin_seconds`
    late: its transaction may be on the way. Each conversion moves cash in two currencies, so what the
    processor says is counted as each part's own currency has it.
    """
    rows = await session.execute(
        text(_CASH),
        {
            "since": since,
            "until": until,
            "margin": margin_seconds,
            "cash": Account.PROCESSOR_CLEARING,
        },
    )
    return [
        Cash(row.currency, int(row.processor), int(row.ledger), int(row.explained), int(row.foreign_net))
        for row in rows
    ]


_CASH = """
WITH period AS (
    SELECT * FROM balance_transaction WHERE created_at >= :since AND created_at < :until),
processor AS (
    SELECT currency, coalesce(sum(net) FILTER (WHERE standing <> 'foreign'), 0) AS net,
        coalesce(sum(net) FILTER (WHERE standing = 'foreign'), 0) AS foreign_net
    FROM period GROUP BY currency),
entries AS (
    SELECT m.entry_id FROM balance_match m JOIN period t ON t.id = m.transaction_id
    UNION
    SELECT e.id FROM journal_entry e WHERE NOT EXISTS (SELECT FROM balance_match m WHERE m.entry_id = e.id)
        AND e.occurred_at >= CAST(:since AS timestamptz) - make_interval(secs => :margin)
        AND e.occurred_at < CAST(:until AS timestamptz) - make_interval(secs => :margin)),
books AS (
    SELECT p.currency, sum(p.amount) AS amount FROM posting p JOIN entries e ON e.entry_id = p.entry_id
    WHERE p.account = :cash GROUP BY p.currency),
known AS (
    SELECT d.currency, sum(d.expected - d.found) AS amount FROM reconciliation_difference d
    LEFT JOIN period t ON t.id = d.transaction_id
    LEFT JOIN journal_entry e ON d.kind = 'transaction_missing' AND e.event_key = d.subject
    LEFT JOIN entries x ON x.entry_id = e.id
    WHERE d.state IN ('open', 'accepted') AND (t.id IS NOT NULL OR x.entry_id IS NOT NULL)
    GROUP BY d.currency)
SELECT currency, coalesce(p.net, 0) AS processor, coalesce(p.foreign_net, 0) AS foreign_net,
    coalesce(b.amount, 0) AS ledger, coalesce(k.amount, 0) AS explained
FROM processor p FULL JOIN books b USING (currency) FULL JOIN known k USING (currency) ORDER BY currency
"""


@dataclass(frozen=True, slots=True)
class UnmatchedEntry:
    """An entry that moves cash and has no balance transaction; `amount` in minor units."""

    event_key: str
    order_id: str | None
    currency: str
    amount: int


async def unmatched_entries(
    session: Session, since: datetime, until: datetime, *, margin_seconds: float
) -> list[UnmatchedEntry]:
    """Entries of the period (both ends `margin_seconds` earlier) whose cash the processor does not know."""
    rows = await session.execute(
        text(
            "SELECT e.event_key, e.order_id, p.currency, sum(p.amount) AS amount FROM journal_entry e "
            "JOIN posting p ON p.entry_id = e.id AND p.account = :cash "
            "WHERE e.occurred_at >= CAST(:since AS timestamptz) - make_interval(secs => :margin) "
            "AND e.occurred_at < CAST(:until AS timestamptz) - make_interval(secs => :margin) "
            "AND NOT EXISTS (SELECT FROM balance_match m WHERE m.entry_id = e.id) "
            "GROUP BY e.id, p.currency HAVING sum(p.amount) <> 0 ORDER BY e.id"
        ),
        {"cash": Account.PROCESSOR_CLEARING, "since": since, "until": until, "margin": margin_seconds},
    )
    return [
        UnmatchedEntry(
            row.event_key, None if row.order_id is None else str(row.order_id), row.currency, int(row.amount)
        )
        for row in rows
    ]


async def is_matched(session: Session, event_key: str) -> bool:
    """Whether the entry stands for a balance transaction."""
    found = await session.execute(
        text(
            "SELECT EXISTS (SELECT FROM journal_entry e JOIN balance_match m ON m.entry_id = e.id "
            "WHERE e.event_key = :key)"
        ),
        {"key": event_key},
    )
    return bool(found.scalar_one())


@dataclass(frozen=True, slots=True)
class AgedAmount:
    """An amount (minor units, debit > 0) that has stood on an account since before the cutoff."""

    account: str
    order_id: str | None
    currency: str
    amount: int


async def aged(session: Session, account: Account, cutoff: datetime) -> list[AgedAmount]:
    """What is left of the balance at `cutoff`, by order; later postings of the other side reduce it first."""
    rows = await session.execute(
        text(
            """
            WITH sides AS (
                SELECT e.order_id, p.currency,
                    sum(p.amount) FILTER (WHERE e.occurred_at < :cutoff) AS before,
                    coalesce(sum(least(p.amount, 0)) FILTER (WHERE e.occurred_at >= :cutoff), 0) AS credits,
                    coalesce(sum(greatest(p.amount, 0)) FILTER (WHERE e.occurred_at >= :cutoff), 0)
                        AS debits
                FROM posting p JOIN journal_entry e ON e.id = p.entry_id
                WHERE p.account = :account GROUP BY 1, 2)
            SELECT order_id, currency, amount FROM (
                SELECT order_id, currency,
                    CASE WHEN before < 0 THEN least(0, before + debits) ELSE greatest(0, before + credits) END
                        AS amount
                FROM sides WHERE before IS NOT NULL) left_over
            WHERE amount <> 0 ORDER BY order_id, currency
            """
        ),
        {"account": account, "cutoff": cutoff},
    )
    return [
        AgedAmount(
            account, None if row.order_id is None else str(row.order_id), row.currency, int(row.amount)
        )
        for row in rows
    ]

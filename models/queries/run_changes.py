"""Changes of dated runs: who is concerned, who was asked, who is still to be asked."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.resolutions import RunChangeKind
from models.database import Session


@dataclass(frozen=True, slots=True)
class RunChangeRow:
    """A run that was cancelled or rescheduled; `superseded` by a later change of the same run."""

    id: str
    item_id: str
    title: str
    kind: RunChangeKind
    reason: str
    started_at: datetime | None
    starts_at: datetime | None
    deadline: datetime
    requested_by: str
    created_at: datetime
    done_at: datetime | None
    superseded: bool


# Whether the change `c` is followed by a later one of the same run.
SUPERSEDED_SQL = (
    "EXISTS (SELECT FROM run_change n WHERE n.item_id = c.item_id AND n.created_at > c.created_at)"
)

_SELECT = (
    f"SELECT c.*, i.title, {SUPERSEDED_SQL} AS superseded "
    "FROM run_change c JOIN catalog_item i ON i.id = c.item_id "
)


def _change(row: Row[Any]) -> RunChangeRow:
    return RunChangeRow(
        id=str(row.id),
        item_id=str(row.item_id),
        title=row.title,
        kind=RunChangeKind(row.kind),
        reason=row.reason,
        started_at=row.started_at,
        starts_at=row.starts_at,
        deadline=row.deadline,
        requested_by=str(row.requested_by),
        created_at=row.created_at,
        done_at=row.done_at,
        superseded=row.superseded,
    )


async def insert(session: Session, change: dict[str, Any], *, days: float) -> None:
    """Keep the change; the keys are the columns. The item's lock is held: the clock counts from there.

    Buyers have `days` to answer, but not longer than until the new date: who has attended keeps it.
    """
    await session.execute(
        text(
            "INSERT INTO run_change (id, item_id, kind, reason, started_at, starts_at, requested_by, "
            "created_at, deadline) VALUES (:id, :item_id, :kind, :reason, :started_at, :starts_at, "
            ":requested_by, clock_timestamp(), least(clock_timestamp() + make_interval(secs => :seconds), "
            "CAST(:starts_at AS timestamptz)))"
        ),
        {**change, "seconds": days * 86_400},
    )


async def get(session: Session, change_id: str, *, lock: bool = False) -> RunChangeRow | None:
    """One change; with `lock`, nobody finds somebody more to be asked until the commit. Lines are locked
    before it."""
    suffix = " FOR NO KEY UPDATE OF c" if lock else ""
    row = (
        await session.execute(text(_SELECT + "WHERE c.id = :id" + suffix), {"id": change_id})
    ).one_or_none()
    return None if row is None else _change(row)


async def page(
    session: Session, *, item_id: str | None, before: str | None, limit: int
) -> list[RunChangeRow]:
    """Newest first, keyset."""
    rows = await session.execute(
        text(
            _SELECT + "WHERE (CAST(:item_id AS uuid) IS NULL OR c.item_id = CAST(:item_id AS uuid)) "
            "AND (CAST(:before AS uuid) IS NULL OR c.id < CAST(:before AS uuid)) "
            "ORDER BY c.id DESC LIMIT :limit"
        ),
        {"item_id": item_id, "before": before, "limit": limit},
    )
    return [_change(row) for row in rows]


async def set_done(session: Session, change_id: str) -> None:
    """Every buyer's line is decided."""
    await session.execute(
        text("UPDATE run_change SET done_at = now() WHERE id = :id AND done_at IS NULL"), {"id": change_id}
    )


async def reopen(session: Session, order_id: str) -> None:
    """An order, which was made before its runs changed, is worth something again: the changes look anew.

    A change that is being ended at this moment is waited for, whatever it will find.
    """
    await session.execute(
        text(
            "UPDATE run_change c SET done_at = NULL FROM order_line l JOIN orders o ON o.id = l.order_id "
            "WHERE o.id = :id AND c.item_id = l.item_id AND o.created_at < c.created_at "
            f"AND NOT {SUPERSEDED_SQL}"
        ),
        {"id": order_id},
    )


async def superseded_questions(session: Session, change: RunChangeRow, *, at_most: int) -> list[str]:
    """Open questions about the run's earlier changes, which are moot now."""
    rows = await session.execute(
        text(
            "SELECT r.id FROM resolution r JOIN run_change c ON c.id = r.run_change_id "
            "WHERE c.item_id = :item_id AND c.created_at < :cutoff AND r.state = 'open' "
            "ORDER BY r.id LIMIT :at_most"
        ),
        {"cutoff": change.created_at, "item_id": change.item_id, "at_most": at_most},
    )
    return [str(row.id) for row in rows]


async def unasked_questions(session: Session, change_id: str) -> list[str]:
    """Open questions that no workflow has asked yet."""
    rows = await session.execute(
        text(
            "SELECT id FROM resolution WHERE run_change_id = :id AND state = 'open' AND asked_at IS NULL "
            "ORDER BY id"
        ),
        {"id": change_id},
    )
    return [str(row.id) for row in rows]


# Of the change `c`, a line `l` and its order `o`: it was paid for, is still worth something to the buyer (a
# right to access, or one that a dispute suspends), and nobody has asked since the change. Who moved here from
# another run after it knew of it. A question that was withdrawn, or whose refund an operator canceled, has
# settled nothing. After the new date nobody is asked any more.
TO_ASK_SQL = (
    "o.created_at < c.created_at AND o.payment_state = 'paid' "
    "AND (c.starts_at IS NULL OR now() < c.starts_at) "
    "AND (EXISTS (SELECT FROM justification j WHERE j.line_id = l.id AND j.active) "
    "OR l.holds_seat AND o.dispute_state = 'open') "
    "AND NOT EXISTS (SELECT FROM resolution r WHERE r.line_id = l.id "
    "AND (r.run_change_id = c.id AND r.state <> 'withdrawn' AND NOT EXISTS (SELECT FROM refund f "
    "WHERE f.id = r.id AND f.canceled_at IS NOT NULL) "
    "OR r.item_id = l.item_id AND r.decided_at > c.created_at))"
)
_LINES_OF_CHANGE = (
    "FROM run_change c JOIN order_line l ON l.item_id = c.item_id JOIN orders o ON o.id = l.order_id "
)
_NO_OTHER_QUESTION = (
    "NOT EXISTS (SELECT FROM resolution r WHERE r.line_id = l.id AND r.state IN ('open', 'decided'))"
)


async def waiting_for(session: Session, line_ids: list[str]) -> list[str]:
    """Changes that have to ask about one of these lines, and may now."""
    rows = await session.execute(
        text(
            f"SELECT DISTINCT c.id {_LINES_OF_CHANGE} WHERE l.id = ANY(CAST(:ids AS uuid[])) "
            f"AND c.done_at IS NULL AND NOT {SUPERSEDED_SQL} AND {TO_ASK_SQL} AND {_NO_OTHER_QUESTION} "
            "ORDER BY c.id"
        ),
        {"ids": line_ids},
    )
    return [str(row.id) for row in rows]


async def open_questions(session: Session, change: RunChangeRow, *, at_most: int) -> int:
    """Open a question for the next buyers who have none; returns how many.

    A line that has another question open waits for its end. Who paid late has as long as anybody to answer,
    up to two days, and not longer than until the new date.
    """
    rows = await session.execute(
        text(
            "INSERT INTO resolution (line_id, lms_course_id, cause, run_change_id, reason, deadline) "
            "SELECT l.id, l.lms_course_id, :cause, c.id, c.reason, least(c.starts_at, "
            "greatest(c.deadline, now() + least(interval '2 days', c.deadline - c.created_at))) "
            f"{_LINES_OF_CHANGE} WHERE c.id = :id AND {TO_ASK_SQL} AND {_NO_OTHER_QUESTION} "
            "ORDER BY l.id LIMIT :at_most ON CONFLICT DO NOTHING RETURNING id"
        ),
        {"id": change.id, "cause": change.kind.cause, "at_most": at_most},
    )
    return len(rows.all())


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What a change still waits for: lines without a question, questions without an end, orders that may
    still be paid (`pending`: they can be canceled)."""

    unasked: int
    unsettled: int
    pending: tuple[str, ...]
    processing: int

    @property
    def nothing(self) -> bool:
        """Whether every buyer's line is decided."""
        return not (self.unasked or self.unsettled or self.pending or self.processing)


async def outstanding(session: Session, change: RunChangeRow) -> Outstanding:
    """What is left to do; one statement, so that nobody who pays meanwhile falls between two."""
    row = (
        await session.execute(
            text(
                f"SELECT (SELECT count(*) {_LINES_OF_CHANGE} WHERE c.id = :id AND {TO_ASK_SQL}) AS unasked, "
                "(SELECT count(*) FROM resolution r WHERE r.run_change_id = :id "
                "AND r.state IN ('open', 'decided')) AS unsettled, "
                "(SELECT coalesce(jsonb_agg(DISTINCT o.id), '[]') FROM order_line l "
                "JOIN orders o ON o.id = l.order_id "
                "WHERE l.item_id = :item_id AND o.created_at < :cutoff AND o.payment_state = 'pending') "
                "AS pending, (SELECT count(DISTINCT o.id) FROM order_line l JOIN orders o "
                "ON o.id = l.order_id WHERE l.item_id = :item_id AND o.created_at < :cutoff "
                "AND o.payment_state = 'processing') AS processing"
            ),
            {"id": change.id, "item_id": change.item_id, "cutoff": change.created_at},
        )
    ).one()
    return Outstanding(row.unasked, row.unsettled, tuple(row.pending), row.processing)


async def any_unsettled(session: Session, change_id: str) -> bool:
    """Whether a buyer who was asked has not decided, or is not told of it yet."""
    found = await session.execute(
        text(
            "SELECT EXISTS (SELECT FROM resolution WHERE run_change_id = :id "
            "AND state IN ('open', 'decided'))"
        ),
        {"id": change_id},
    )
    return bool(found.scalar_one())


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of the buyers who were asked did what."""

    asked: int
    open: int
    other_run: int
    store_credit: int
    refund: int
    keep: int
    withdrawn: int


async def tally(session: Session, change_id: str) -> Tally:
    """The answers so far."""
    row = (
        await session.execute(
            text(
                "SELECT count(*) AS asked, count(*) FILTER (WHERE state = 'open') AS open, "
                "count(*) FILTER (WHERE choice = 'other_run') AS other_run, "
                "count(*) FILTER (WHERE choice = 'store_credit') AS store_credit, "
                "count(*) FILTER (WHERE choice = 'refund') AS refund, "
                "count(*) FILTER (WHERE choice = 'keep') AS keep, "
                "count(*) FILTER (WHERE state = 'withdrawn') AS withdrawn "
                "FROM resolution WHERE run_change_id = :id"
            ),
            {"id": change_id},
        )
    ).one()
    return Tally(row.asked, row.open, row.other_run, row.store_credit, row.refund, row.keep, row.withdrawn)

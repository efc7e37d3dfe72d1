"""Questions to buyers about what they bought, and their answers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.resolutions import ResolutionCause, ResolutionChoice, ResolutionState, choices_of
from models.database import Session
from models.queries.run_changes import SUPERSEDED_SQL

# The unsettled ones, for other queries.
UNSETTLED_SQL = "state IN ('open', 'decided')"


@dataclass(frozen=True, slots=True)
class ResolutionRow:
    """One question about one line. `lms_course_id` is the course that the buyer was asked about,
    `course_now` the one that the line names now; `access` is the status of what it gives access to,
    `justified` whether it (still) does, `has_refund` whether it led to one, `superseded` whether the run
    that it is about was changed again; `may_move` of an open one: whether another run has a place."""

    id: str
    line_id: str
    order_id: str
    order_number: str
    user_id: str
    lms_user_id: str
    title: str
    line_item_id: str
    course_now: str
    lms_course_id: str
    cause: ResolutionCause
    run_change_id: str | None
    reason: str
    state: ResolutionState
    asked_at: datetime | None
    deadline: datetime | None
    choice: ResolutionChoice | None
    item_id: str | None
    decided_by: str | None
    decision_key: str | None
    decided_at: datetime | None
    created_at: datetime
    access: str
    justified: bool
    has_refund: bool
    superseded: bool
    may_move: bool

    @property
    def choices(self) -> tuple[ResolutionChoice, ...]:
        """What is offered; no other run while none has a place."""
        offered = choices_of(self.cause)
        return tuple(one for one in offered if self.may_move or one is not ResolutionChoice.OTHER_RUN)


# Runs `i` that a line `l` of an order `o` may move to, when `r` asks about it: of the same course, on sale,
# and at the same price, as the line was sold or as its own item is sold now. The same tax code and behaviour,
# because the invoice stands. What the LMS refused is no other run.
_OTHER_RUNS = (
    "(SELECT i.* FROM catalog_item was JOIN catalog_item i ON coalesce(i.run_of, i.lms_course_id) = "
    "coalesce(was.run_of, was.lms_course_id) AND i.id <> was.id AND i.type <> 'bundle' "
    "AND i.tax_code = was.tax_code AND i.tax_behavior = was.tax_behavior "
    "JOIN item_price p ON p.item_id = i.id AND p.currency = o.currency "
    "WHERE was.id = l.item_id AND (p.amount = l.unit_price OR p.amount = (SELECT present.amount "
    "FROM item_price present WHERE present.item_id = was.id AND present.currency = o.currency)) "
    "AND i.available AND i.cancelled_at IS NULL "
    "AND (i.available_from IS NULL OR i.available_from <= now()) "
    "AND (i.available_until IS NULL OR now() < i.available_until) "
    "AND (i.starts_at IS NULL OR now() < i.starts_at) "
    "AND (r.cause <> 'lms_refused' OR i.lms_course_id <> l.lms_course_id))"
)

_SELECT = (
    "SELECT r.*, l.order_id, l.title, l.item_id AS line_item_id, l.lms_course_id AS course_now, "
    "o.number AS order_number, o.user_id, u.lms_user_id, coalesce(e.status, 'none') AS access, "
    "coalesce(j.active, false) AS justified, "
    "EXISTS (SELECT FROM refund f WHERE f.id = r.id) AS has_refund, "
    f"EXISTS (SELECT FROM run_change c WHERE c.id = r.run_change_id AND {SUPERSEDED_SQL}) AS superseded, "
    f"r.state <> 'open' OR EXISTS (SELECT FROM {_OTHER_RUNS} i "
    "WHERE i.capacity IS NULL OR i.seats_taken < i.capacity) AS may_move "
    "FROM resolution r JOIN order_line l ON l.id = r.line_id JOIN orders o ON o.id = l.order_id "
    "JOIN commerce_user u ON u.id = o.user_id LEFT JOIN justification j ON j.line_id = l.id "
    "LEFT JOIN entitlement e ON e.id = j.entitlement_id "
)


def _resolution(row: Row[Any]) -> ResolutionRow:
    return ResolutionRow(
        id=str(row.id),
        line_id=str(row.line_id),
        order_id=str(row.order_id),
        order_number=row.order_number,
        user_id=str(row.user_id),
        lms_user_id=row.lms_user_id,
        title=row.title,
        line_item_id=str(row.line_item_id),
        course_now=row.course_now,
        lms_course_id=row.lms_course_id,
        cause=ResolutionCause(row.cause),
        run_change_id=None if row.run_change_id is None else str(row.run_change_id),
        reason=row.reason,
        state=ResolutionState(row.state),
        asked_at=row.asked_at,
        deadline=row.deadline,
        choice=None if row.choice is None else ResolutionChoice(row.choice),
        item_id=None if row.item_id is None else str(row.item_id),
        decided_by=row.decided_by,
        decision_key=row.decision_key,
        decided_at=row.decided_at,
        created_at=row.created_at,
        access=row.access,
        justified=row.justified,
        has_refund=row.has_refund,
        superseded=row.superseded,
        may_move=row.may_move,
    )


async def open_refused(session: Session, *, entitlement_id: str | None = None, order_id: str = "") -> None:
    """Open a question about every paid line whose access the LMS refused for good; once a line.

    Of one entitlement, or of one order.
    """
    await session.execute(
        text(
            "INSERT INTO resolution (line_id, lms_course_id, cause, reason) "
            "SELECT l.id, l.lms_course_id, 'lms_refused', "
            "coalesce(e.failure_detail, e.failure_code, 'no reason given') "
            "FROM entitlement e JOIN justification j ON j.entitlement_id = e.id AND j.active "
            "JOIN order_line l ON l.id = j.line_id JOIN orders o ON o.id = l.order_id "
            "WHERE e.status = 'failed' AND coalesce(e.failed_action, 'grant') = 'grant' "
            "AND o.payment_state = 'paid' AND (e.id = CAST(:entitlement AS uuid) OR o.id::text = :order_id) "
            f"AND NOT EXISTS (SELECT FROM resolution r WHERE r.line_id = l.id AND r.{UNSETTLED_SQL}) "
            # What an answer gives back is decided, also while the refund is under way or owed.
            "AND NOT EXISTS (SELECT FROM resolution g JOIN refund f ON f.id = g.id "
            "WHERE g.line_id = l.id AND f.canceled_at IS NULL) "
            "ORDER BY l.id ON CONFLICT DO NOTHING"
        ),
        {"entitlement": entitlement_id, "order_id": order_id},
    )


async def unsettled_of_lines(session: Session, line_ids: list[str]) -> list[str]:
    """Questions about these lines that still have something to do."""
    rows = await session.execute(
        text(
            f"SELECT id FROM resolution WHERE line_id = ANY(CAST(:ids AS uuid[])) AND {UNSETTLED_SQL} "
            "ORDER BY id"
        ),
        {"ids": line_ids},
    )
    return [str(row.id) for row in rows]


async def get(session: Session, resolution_id: str) -> ResolutionRow | None:
    """One question."""
    row = (await session.execute(text(_SELECT + "WHERE r.id = :id"), {"id": resolution_id})).one_or_none()
    return None if row is None else _resolution(row)


async def lock(session: Session, resolution_id: str) -> None:
    """Nobody else decides it until the commit; the order and its lines are locked before."""
    await session.execute(text("SELECT id FROM resolution WHERE id = :id FOR UPDATE"), {"id": resolution_id})


async def latest_of_line(session: Session, line_id: str) -> ResolutionRow | None:
    """The last question about a line."""
    row = (
        await session.execute(
            text(_SELECT + "WHERE r.line_id = :id ORDER BY r.id DESC LIMIT 1"), {"id": line_id}
        )
    ).one_or_none()
    return None if row is None else _resolution(row)


async def of_order(session: Session, order_id: str) -> list[ResolutionRow]:
    """The questions about an order's lines, oldest first."""
    rows = await session.execute(text(_SELECT + "WHERE l.order_id = :id ORDER BY r.id"), {"id": order_id})
    return [_resolution(row) for row in rows]


async def page(
    session: Session,
    *,
    user_id: str | None,
    state: ResolutionState | None,
    run_change_id: str | None,
    before: str | None,
    limit: int,
) -> list[ResolutionRow]:
    """Newest first, keyset."""
    rows = await session.execute(
        text(
            _SELECT + "WHERE (CAST(:user_id AS uuid) IS NULL OR o.user_id = CAST(:user_id AS uuid)) "
            "AND (CAST(:state AS text) IS NULL OR r.state = :state) "
            "AND (CAST(:change AS uuid) IS NULL OR r.run_change_id = CAST(:change AS uuid)) "
            "AND (CAST(:before AS uuid) IS NULL OR r.id < CAST(:before AS uuid)) "
            "ORDER BY r.id DESC LIMIT :limit"
        ),
        {"user_id": user_id, "state": state, "change": run_change_id, "before": before, "limit": limit},
    )
    return [_resolution(row) for row in rows]


async def ask(session: Session, resolution_id: str, days: float) -> bool:
    """The buyer is asked now, with `days` to answer unless a deadline stands already; once."""
    asked = await session.execute(
        text(
            "UPDATE resolution SET asked_at = now(), "
            "deadline = coalesce(deadline, now() + make_interval(secs => :seconds)) "
            "WHERE id = :id AND state = 'open' AND asked_at IS NULL RETURNING id"
        ),
        {"id": resolution_id, "seconds": days * 86_400},
    )
    return asked.one_or_none() is not None


async def decide(
    session: Session,
    resolution_id: str,
    *,
    choice: ResolutionChoice,
    item_id: str | None,
    by: str,
    key: str,
) -> None:
    """Keep the choice; what it means stands in the same transaction."""
    await session.execute(
        text(
            "UPDATE resolution SET state = 'decided', choice = :choice, item_id = CAST(:item_id AS uuid), "
            "decided_by = :by, decision_key = :key, decided_at = now() WHERE id = :id AND state = 'open'"
        ),
        {"id": resolution_id, "choice": choice, "item_id": item_id, "by": by, "key": key},
    )


async def end(session: Session, resolution_id: str, state: ResolutionState) -> None:
    """`done` after a decision, `withdrawn` without one."""
    await session.execute(
        text("UPDATE resolution SET state = :state WHERE id = :id"), {"id": resolution_id, "state": state}
    )


@dataclass(frozen=True, slots=True)
class RunRow:
    """An item that a line may move to."""

    item_id: str
    slug: str
    title: str
    lms_course_id: str
    starts_at: datetime | None
    seats_left: int | None
    has_seats: bool


async def runs_for(session: Session, resolution_id: str, item_id: str | None = None) -> list[RunRow]:
    """Other runs of the line's course that are on sale at its price, soonest first; of them one."""
    rows = await session.execute(
        text(
            "SELECT i.id, i.slug, i.title, i.lms_course_id, i.starts_at, i.type, "
            "i.capacity - i.seats_taken AS seats_left FROM resolution r "
            "JOIN order_line l ON l.id = r.line_id JOIN orders o ON o.id = l.order_id "
            f"JOIN LATERAL {_OTHER_RUNS} i ON true "
            "WHERE r.id = :id AND (CAST(:item AS uuid) IS NULL OR i.id = CAST(:item AS uuid)) "
            "ORDER BY i.starts_at NULLS LAST, i.id LIMIT 50"
        ),
        {"id": resolution_id, "item": item_id},
    )
    return [
        RunRow(
            str(row.id),
            row.slug,
            row.title,
            row.lms_course_id,
            row.starts_at,
            row.seats_left,
            row.type == "registration",
        )
        for row in rows
    ]


async def move_line(session: Session, line_id: str, run: RunRow) -> None:
    """The line is of the other run now, and holds a seat where there are seats; money stays as it is."""
    await session.execute(
        text(
            "UPDATE order_line SET item_id = CAST(:item AS uuid), title = :title, lms_course_id = :course, "
            "holds_seat = :seat WHERE id = :id"
        ),
        {
            "id": line_id,
            "item": run.item_id,
            "title": run.title,
            "course": run.lms_course_id,
            "seat": run.has_seats,
        },
    )


async def move_right(session: Session, line_id: str) -> None:
    """The line gives access to the course that it names now, and to no other."""
    await session.execute(
        text(
            "INSERT INTO entitlement (user_id, lms_course_id, status) "
            "SELECT o.user_id, l.lms_course_id, 'pending' FROM order_line l "
            "JOIN orders o ON o.id = l.order_id WHERE l.id = :id ON CONFLICT DO NOTHING"
        ),
        {"id": line_id},
    )
    # What the LMS refused the user before is asked anew.
    await session.execute(
        text(
            "UPDATE entitlement e SET status = 'pending', failed_action = NULL, changed_at = now(), "
            "version = version + 1 FROM order_line l JOIN orders o ON o.id = l.order_id WHERE l.id = :id "
            "AND e.user_id = o.user_id AND e.lms_course_id = l.lms_course_id AND e.status = 'failed'"
        ),
        {"id": line_id},
    )
    await session.execute(
        text(
            "UPDATE justification j SET entitlement_id = e.id FROM order_line l "
            "JOIN orders o ON o.id = l.order_id JOIN entitlement e ON e.user_id = o.user_id "
            "AND e.lms_course_id = l.lms_course_id WHERE l.id = :id AND j.line_id = l.id"
        ),
        {"id": line_id},
    )

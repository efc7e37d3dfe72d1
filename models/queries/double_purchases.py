"""Courses that one person paid for twice, with two accounts that the LMS made one: asked about once."""

from sqlalchemy import Uuid, bindparam, text

from models.database import Session
from models.queries import people

# Lines that cost something and give access, whose course an earlier line of the same person does, too, that
# was bought with another account: a merge moved the order of one of them when the order of the other stood
# already. What somebody buys again afterwards, in a bundle, they buy knowingly. What an answer of the buyer
# gives back is not theirs any more, also while its refund is under way.
UNASKED_SQL = """
WITH bought AS (SELECT l.id AS line_id, l.lms_course_id, o.id AS order_id, o.number, o.user_id, o.paid_at,
        o.created_at
    FROM justification j JOIN order_line l ON l.id = j.line_id JOIN orders o ON o.id = l.order_id
    WHERE j.active AND o.payment_state = 'paid' AND l.gross > 0 AND {whose} AND NOT EXISTS (SELECT
        FROM resolution g JOIN refund f ON f.id = g.id WHERE g.line_id = l.id AND f.canceled_at IS NULL))
SELECT later.line_id, later.lms_course_id, later.number, earlier.number AS first_number
FROM bought later CROSS JOIN LATERAL (SELECT e.number FROM bought e
    WHERE e.user_id = later.user_id AND e.lms_course_id = later.lms_course_id
        AND (e.paid_at, e.line_id) < (later.paid_at, later.line_id)
        AND EXISTS (SELECT FROM order_event m WHERE m.kind = 'person_merged' AND (
            (m.order_id = e.order_id AND later.created_at <= m.at AND NOT EXISTS (SELECT FROM order_event s
                WHERE s.order_id = later.order_id AND s.event_key = m.event_key))
            OR (m.order_id = later.order_id AND e.created_at <= m.at AND NOT EXISTS (SELECT FROM order_event s
                WHERE s.order_id = e.order_id AND s.event_key = m.event_key))))
    ORDER BY e.paid_at, e.line_id LIMIT 1) earlier
WHERE NOT EXISTS (SELECT FROM resolution r WHERE r.line_id = later.line_id
    AND (r.state IN ('open', 'decided') OR (r.cause = 'bought_twice' AND r.state <> 'withdrawn')))
"""

_ASK = (
    "INSERT INTO resolution (line_id, lms_course_id, cause, reason) "
    "SELECT line_id, lms_course_id, 'bought_twice', 'orders ' || first_number || ' and ' || number FROM ("
    + UNASKED_SQL.format(whose="o.user_id = :user")
    + ") b ORDER BY line_id ON CONFLICT DO NOTHING RETURNING id"
)


async def ask(session: Session, user_id: str) -> list[str]:
    """Open a question about every purchase but the first of what two accounts of theirs had paid for; returns
    the questions that are new.

    A line about which another question is open is left alone: this is asked again when that one ends. So it
    is when an order is paid, or gives access again, that stood when the accounts were merged.
    """
    # A merge that is being moved is seen, or sees what this transaction wrote.
    await people.hold_still(session, user_id)
    merged = await session.execute(
        text("SELECT EXISTS (SELECT FROM person_merge WHERE into_user_id = :user)").bindparams(
            bindparam("user", user_id, Uuid(as_uuid=False))
        )
    )
    if not merged.scalar_one():
        return []
    rows = await session.execute(text(_ASK).bindparams(bindparam("user", user_id, Uuid(as_uuid=False))))
    return [str(one) for one in rows.scalars()]

"""What must hold of questions to buyers: each is asked, and decided in time."""

from models.queries import double_purchases, run_changes
from models.queries.invariants.invariant import Invariant

QUESTIONS = (
    Invariant(
        "runs.nobody_forgotten",
        "who paid for a run that was cancelled, or given a date that is to come, has been asked, or moved, "
        "or paid back (once the change has settled)",
        "SELECT 'order ' || o.number || ' was paid for ' || i.slug || ' before it was ' || c.kind || "
        "', and nobody asked' FROM run_change c JOIN catalog_item i ON i.id = c.item_id "
        "JOIN order_line l ON l.item_id = c.item_id JOIN orders o ON o.id = l.order_id "
        "WHERE c.done_at IS NOT NULL AND o.dispute_state <> 'open' "
        f"AND NOT {run_changes.SUPERSEDED_SQL} AND {run_changes.TO_ASK_SQL}",
    ),
    Invariant(
        "resolutions.decided_in_time",
        "a question to a buyer is decided by its deadline, unless a dispute or a refund under way decides",
        "SELECT 'order ' || o.number || ': the question about ' || l.title || ' was due at ' || r.deadline "
        "FROM resolution r JOIN order_line l ON l.id = r.line_id JOIN orders o ON o.id = l.order_id "
        "WHERE r.state = 'open' AND r.deadline < now() - interval '1 day' AND o.dispute_state <> 'open' "
        "AND NOT EXISTS (SELECT FROM refund f WHERE f.order_id = o.id AND f.status <> 'succeeded' "
        "AND f.canceled_at IS NULL)",
    ),
    Invariant(
        "merges.double_purchases_asked",
        "who paid twice for a course, with two accounts that were merged, was asked about it",
        "SELECT 'orders ' || first_number || ' and ' || number || ' paid for ' || lms_course_id "
        "|| ', and nobody asked' FROM ("
        + double_purchases.UNASKED_SQL.format(
            whose="o.user_id IN (SELECT into_user_id FROM person_merge WHERE moved_at IS NOT NULL)"
        )
        + ") u",
    ),
)

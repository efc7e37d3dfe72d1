"""What must hold of access to courses, and of the accounts that have it."""

from models.queries.invariants.invariant import Invariant

# Moved and looked at for the last time. An account is nobody's again when somebody signed in with it since
# (the LMS let them in), or when the account that it was merged into was later merged into this one.
MERGED_PERSONS = Invariant(
    "merges.nothing_left_behind",
    "an account that ended in a merge has no orders and gives no access, and stays with the one that goes on",
    """
    WITH ended AS (SELECT u.id, u.merged_into, u.lms_deleted_at, m.id AS merge_id, m.into_user_id
        FROM person_merge m JOIN commerce_user u ON u.id = m.user_id WHERE m.done_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM person_merge o WHERE o.user_id = u.id AND o.id > m.id))
    SELECT 'order ' || o.number || ' is left with user ' || e.id || ', who was merged into ' || e.merged_into
    FROM ended e JOIN orders o ON o.user_id = e.id WHERE e.merged_into IS NOT NULL
    UNION ALL SELECT 'access to ' || a.lms_course_id || ' is left with user ' || e.id ||
        ', who was merged into ' || e.merged_into
    FROM ended e JOIN entitlement a ON a.user_id = e.id WHERE e.merged_into IS NOT NULL
        AND EXISTS (SELECT FROM justification j WHERE j.entitlement_id = a.id AND j.active)
    UNION ALL SELECT 'user ' || e.id || ' ended in merge ' || e.merge_id || ', and goes on'
    FROM ended e JOIN commerce_user s ON s.id = e.into_user_id WHERE e.merged_into IS NULL
        AND e.lms_deleted_at IS NOT NULL AND s.merged_into IS DISTINCT FROM e.id
    UNION ALL SELECT 'user ' || u.id || ' was merged into ' || s.id || ', who was merged into ' ||
        s.merged_into
    FROM commerce_user u JOIN commerce_user s ON s.id = u.merged_into WHERE s.merged_into IS NOT NULL
    """,
)

ACCESS = (
    Invariant(
        "entitlements.justified",
        "access is granted exactly where a paid line justifies it (once it has had a minute to settle)",
        "SELECT 'entitlement ' || e.id || ' of course ' || e.lms_course_id || ' is ' || e.status "
        "FROM entitlement e WHERE e.changed_at < now() - interval '1 minute' AND ("
        "(e.status = 'granted' AND NOT EXISTS (SELECT FROM justification j WHERE j.entitlement_id = e.id "
        "AND j.active)) OR (e.status = 'revoked' AND EXISTS (SELECT FROM justification j "
        "WHERE j.entitlement_id = e.id AND j.active)))",
    ),
    MERGED_PERSONS,
)

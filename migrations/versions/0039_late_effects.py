"""calls of the LMS whose outcome is open, and whether access was ever there"""

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

CREATE = """
ALTER TABLE entitlement ADD COLUMN grant_may_land_until timestamptz;
ALTER TABLE entitlement ADD COLUMN revoke_may_land_until timestamptz;
ALTER TABLE entitlement ADD COLUMN granted_at timestamptz;
UPDATE entitlement e SET granted_at = coalesce(
    (SELECT min(o.created_at) FROM outbound_event o
     WHERE o.stream = 'entitlement/' || e.id AND o.type = 'entitlement.granted'),
    CASE WHEN e.status = 'granted' THEN e.changed_at END);
"""
DROP = """
ALTER TABLE entitlement DROP COLUMN granted_at;
ALTER TABLE entitlement DROP COLUMN revoke_may_land_until;
ALTER TABLE entitlement DROP COLUMN grant_may_land_until;
"""


def upgrade() -> None:
    """Of calls that were under way before, nothing is known."""
    op.execute(CREATE)


def downgrade() -> None:
    """Accesses stay as they are."""
    op.execute(DROP)

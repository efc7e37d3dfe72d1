"""waiting for the LMS: the next try of an access, and the LMS's maintenance"""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

CREATE = """
ALTER TABLE entitlement ADD COLUMN attempts integer NOT NULL DEFAULT 0;
ALTER TABLE entitlement ADD COLUMN next_try_at timestamptz;
ALTER TABLE entitlement ADD COLUMN waits_for varchar CONSTRAINT entitlement_waits_for
    CHECK (waits_for IN ('lms_unavailable', 'lms_maintenance', 'lms_busy'));
CREATE TABLE lms_maintenance (
    id integer PRIMARY KEY CONSTRAINT lms_maintenance_only_one CHECK (id = 1),
    reason varchar NOT NULL,
    until timestamptz NOT NULL,
    set_by uuid NOT NULL REFERENCES commerce_user (id),
    set_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON lms_maintenance TO commerce_app;
"""
DROP = """
DROP TABLE lms_maintenance;
ALTER TABLE entitlement DROP COLUMN waits_for;
ALTER TABLE entitlement DROP COLUMN next_try_at;
ALTER TABLE entitlement DROP COLUMN attempts;
"""


def upgrade() -> None:
    """Learners read when the LMS is asked again; operators let it rest."""
    op.execute(CREATE)


def downgrade() -> None:
    """Accesses stay as they are."""
    op.execute(DROP)

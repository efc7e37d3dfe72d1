"""what the LMS last told of a person, and when their account there ended"""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Both are unknown of those who are here already: any event is news."""
    op.execute(
        "ALTER TABLE commerce_user ADD COLUMN lms_updated_at timestamptz, ADD COLUMN lms_deleted_at timestamptz"
    )


def downgrade() -> None:
    """The inbox still has the events."""
    op.execute("ALTER TABLE commerce_user DROP COLUMN lms_updated_at, DROP COLUMN lms_deleted_at")

"""request ids of outbound events"""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What an event was published for."""
    op.execute("ALTER TABLE outbound_event ADD COLUMN request_id varchar")


def downgrade() -> None:
    """Events go without it."""
    op.execute("ALTER TABLE outbound_event DROP COLUMN request_id")

"""since when a receiver that is on again was off"""

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Known from the next time on."""
    op.execute("ALTER TABLE webhook_endpoint ADD COLUMN last_disabled_at timestamptz")


def downgrade() -> None:
    """It is forgotten."""
    op.execute("ALTER TABLE webhook_endpoint DROP COLUMN last_disabled_at")

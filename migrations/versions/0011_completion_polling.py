"""when an LMS that sends no events was last asked for a completion"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Who was not asked for longest is asked next."""
    op.add_column("entitlement", sa.Column("polled_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """All are asked anew."""
    op.drop_column("entitlement", "polled_at")

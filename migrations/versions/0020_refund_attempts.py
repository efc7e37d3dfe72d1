"""failed refunds: what an operator wishes for them, and whether they were given up"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A failed refund is still owed until it is given up."""
    op.add_column("refund", sa.Column("canceled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("refund", sa.Column("wish", sa.String(), nullable=True))
    op.create_check_constraint("refund_wish", "refund", "wish IN ('reissue', 'cancel')")
    op.create_check_constraint("refund_canceled", "refund", "canceled_at IS NULL OR status = 'failed'")


def downgrade() -> None:
    """Wishes that were not carried out are lost."""
    op.drop_constraint("refund_canceled", "refund")
    op.drop_constraint("refund_wish", "refund")
    op.drop_column("refund", "wish")
    op.drop_column("refund", "canceled_at")

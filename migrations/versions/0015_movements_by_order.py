"""the processor's movements of an order"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """An order's money story reads them by order."""
    op.execute("CREATE INDEX ix_balance_transaction_order_id ON balance_transaction (order_id)")


def downgrade() -> None:
    """Read them all again."""
    op.execute("DROP INDEX ix_balance_transaction_order_id")

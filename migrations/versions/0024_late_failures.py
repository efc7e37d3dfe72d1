"""payments that failed after they had counted as paid"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_STATES = "'pending', 'processing', 'paid', 'canceled', 'expired'"


def upgrade() -> None:
    """An order's payment may fail after it was paid."""
    op.drop_constraint("payment_state", "orders")
    op.create_check_constraint("payment_state", "orders", f"payment_state IN ({_STATES}, 'failed')")


def downgrade() -> None:
    """Refused by the constraint while an order is in that state."""
    op.drop_constraint("payment_state", "orders")
    op.create_check_constraint("payment_state", "orders", f"payment_state IN ({_STATES})")

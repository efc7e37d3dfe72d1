"""the lines of a payee are found by an index"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """For the earnings of a payee, who may have a few lines among millions."""
    op.execute("CREATE INDEX lines_by_payee ON order_line USING gin ((ledger->'payees') jsonb_path_ops)")


def downgrade() -> None:
    """Every line is read again."""
    op.execute("DROP INDEX lines_by_payee")

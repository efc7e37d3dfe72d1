"""which lines still wait for their recognition or for a release"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A flag that follows from a line's state in the ledger, so that the recovery need not read all states."""
    op.execute("ALTER TABLE order_line ADD COLUMN awaits_revenue boolean NOT NULL DEFAULT true")
    op.execute(
        "UPDATE order_line l SET awaits_revenue = false WHERE ledger IS NOT NULL AND NOT EXISTS ("
        "SELECT FROM jsonb_array_elements(ledger->'payees') p WHERE (p->>'accrued')::bigint "
        "> (p->>'released')::bigint + (p->>'reversed_held')::bigint) AND ((ledger->>'recognized')::boolean "
        "OR (gross > 0 AND gross = (SELECT sum((t->>'gross')::bigint) "
        "FROM jsonb_array_elements(ledger->'takings') t)))"
    )


def downgrade() -> None:
    """The recovery reads the states again."""
    op.execute("ALTER TABLE order_line DROP COLUMN awaits_revenue")

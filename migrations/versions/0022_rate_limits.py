"""counts of attempts, shared by all gateways"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# Unlogged: a crash forgets the counts, and an attempt costs no write to the log.
TABLE = """
CREATE UNLOGGED TABLE rate_limit (key varchar PRIMARY KEY, even_until timestamptz NOT NULL);
CREATE INDEX ix_rate_limit_even_until ON rate_limit (even_until);
GRANT SELECT, INSERT, UPDATE, DELETE ON rate_limit TO commerce_app;
"""


def upgrade() -> None:
    """Empty to begin with."""
    op.execute(TABLE)


def downgrade() -> None:
    """Forget the counts."""
    op.execute("DROP TABLE rate_limit")

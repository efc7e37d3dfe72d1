"""tax rates are only added to"""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A version stays as it was entered."""
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON tax_rate FROM commerce_app")


def downgrade() -> None:
    """As it was."""
    op.execute("GRANT UPDATE, DELETE ON tax_rate TO commerce_app")

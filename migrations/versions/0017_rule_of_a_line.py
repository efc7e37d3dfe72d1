"""a split rule for one order line"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Without a foreign key: lines name their rule already."""
    op.execute(
        "ALTER TABLE split_rule ADD COLUMN order_line_id uuid, DROP CONSTRAINT split_rule_overlap, "
        "ADD CONSTRAINT split_rule_overlap EXCLUDE USING gist ("
        "coalesce(order_line_id::text, '') WITH =, coalesce(item_id::text, '') WITH =, "
        "coalesce(channel, '') WITH =, coalesce(payee, '') WITH =, coalesce(currency, '') WITH =, "
        "priority WITH =, tstzrange(valid_from, valid_to) WITH &&)"
    )


def downgrade() -> None:
    """Rules of lines would overlap those of the platform."""
    raise RuntimeError("rules of lines can't be told apart without it")

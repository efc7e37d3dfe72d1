"""two versions of a split rule never overlap"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One rule for each scope, priority and moment. btree_gist is a trusted extension: no superuser."""
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    op.execute(
        "ALTER TABLE split_rule "
        "ADD CONSTRAINT split_rule_period CHECK (valid_to IS NULL OR valid_to > valid_from), "
        "ADD CONSTRAINT split_rule_overlap EXCLUDE USING gist ("
        "coalesce(item_id::text, '') WITH =, coalesce(channel, '') WITH =, coalesce(payee, '') WITH =, "
        "priority WITH =, tstzrange(valid_from, valid_to) WITH &&)"
    )


def downgrade() -> None:
    """Overlaps are allowed again; the extension stays."""
    op.execute("ALTER TABLE split_rule DROP CONSTRAINT split_rule_overlap, DROP CONSTRAINT split_rule_period")

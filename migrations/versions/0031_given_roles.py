"""roles that operators give, beside those of the LMS"""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A login brings the LMS's roles up to date and leaves these as they are."""
    op.execute(
        "ALTER TABLE commerce_user ADD COLUMN given_roles text[] NOT NULL DEFAULT '{}' "
        "CONSTRAINT given_roles CHECK (given_roles <@ ARRAY['instructor', 'operator'])"
    )


def downgrade() -> None:
    """What was given is in the audit log."""
    op.execute("ALTER TABLE commerce_user DROP COLUMN given_roles")

"""changes of accounts that the LMS told of, until all that follows from them was done"""

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

CREATE = """
CREATE TABLE account_change (
    user_id uuid PRIMARY KEY REFERENCES commerce_user (id),
    told integer NOT NULL DEFAULT 1,
    followed integer NOT NULL DEFAULT 0,
    changed text[] NOT NULL DEFAULT '{}',
    published integer NOT NULL DEFAULT 0,
    told_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT account_followed CHECK (followed >= 0 AND followed <= told)
);
CREATE INDEX open_account_changes ON account_change (told_at) WHERE followed < told;
GRANT SELECT, INSERT, UPDATE ON account_change TO commerce_app;
"""


def upgrade() -> None:
    """What was told before was taken over when it came."""
    op.execute(CREATE)


def downgrade() -> None:
    """The inbox still knows who was concerned."""
    op.execute("DROP TABLE account_change")

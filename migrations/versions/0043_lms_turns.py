"""the pace of calls to the LMS is kept by turns that are given back when it has answered"""

from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

TURNS = """
CREATE TABLE lms_turn (number integer PRIMARY KEY, free_at timestamptz NOT NULL, holder uuid)
    WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE ON lms_turn TO commerce_app;
DELETE FROM rate_limit WHERE key = 'lms/calls';
"""


def upgrade() -> None:
    """As many rows as calls may be on their way, made as they are needed."""
    op.execute(TURNS)


def downgrade() -> None:
    """The pace is kept by a row of `rate_limit` again."""
    op.execute("DROP TABLE lms_turn")

"""a buyer whose question about a run was withdrawn may be asked about it again"""

from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

AGAIN = """
ALTER TABLE resolution DROP CONSTRAINT resolution_run_change_id_line_id_key;
CREATE INDEX ix_resolution_run_change_id ON resolution (run_change_id);
"""
ONCE = """
DELETE FROM resolution r USING resolution n
    WHERE n.run_change_id = r.run_change_id AND n.line_id = r.line_id AND n.id > r.id;
DROP INDEX ix_resolution_run_change_id;
ALTER TABLE resolution ADD UNIQUE (run_change_id, line_id);
"""


def upgrade() -> None:
    """One open question a line at a time, as before; of those that ended, as many as it takes."""
    op.execute(AGAIN)


def downgrade() -> None:
    """The last question about a line is kept."""
    op.execute(ONCE)

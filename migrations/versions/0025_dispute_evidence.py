"""evidence of disputes in time"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

CHANGE = """
ALTER TABLE dispute ADD COLUMN missed_at timestamptz;
ALTER TABLE dispute DROP CONSTRAINT dispute_wish;
ALTER TABLE dispute ADD CONSTRAINT dispute_wish
    CHECK (wish IN ('submit', 'submit_before_deadline', 'accept'));
CREATE INDEX ix_inbound_event_dispute ON inbound_event ((payload->'data'->'object'->>'id'))
    WHERE source = 'stripe' AND type LIKE 'charge.dispute.%';
"""
BACK = """
DROP INDEX ix_inbound_event_dispute;
UPDATE dispute SET wish = 'submit' WHERE wish = 'submit_before_deadline';
ALTER TABLE dispute DROP CONSTRAINT dispute_wish;
ALTER TABLE dispute ADD CONSTRAINT dispute_wish CHECK (wish IN ('submit', 'accept'));
ALTER TABLE dispute DROP COLUMN missed_at;
"""


def upgrade() -> None:
    """Evidence may go out by itself before its deadline; a missed deadline is kept."""
    op.execute(CHANGE)


def downgrade() -> None:
    """What was to be submitted later is submitted now."""
    op.execute(BACK)

"""runs of a course; questions to buyers about what they bought"""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

CREATE = """
ALTER TABLE catalog_item ADD COLUMN run_of varchar;
ALTER TABLE catalog_item ADD COLUMN cancelled_at timestamptz;
CREATE TABLE run_change (
    id uuid PRIMARY KEY,
    item_id uuid NOT NULL REFERENCES catalog_item (id),
    kind varchar NOT NULL CONSTRAINT run_change_kind CHECK (kind IN ('cancelled', 'rescheduled')),
    reason varchar NOT NULL,
    started_at timestamptz,
    starts_at timestamptz,
    deadline timestamptz NOT NULL,
    requested_by uuid NOT NULL REFERENCES commerce_user (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz,
    CONSTRAINT run_change_date CHECK ((kind = 'rescheduled') = (starts_at IS NOT NULL))
);
CREATE INDEX ix_run_change_item_id ON run_change (item_id);
CREATE TABLE resolution (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    line_id uuid NOT NULL REFERENCES order_line (id),
    lms_course_id varchar NOT NULL,
    cause varchar NOT NULL CONSTRAINT resolution_cause
        CHECK (cause IN ('lms_refused', 'run_cancelled', 'run_rescheduled')),
    run_change_id uuid REFERENCES run_change (id),
    reason varchar NOT NULL,
    state varchar NOT NULL DEFAULT 'open' CONSTRAINT resolution_state
        CHECK (state IN ('open', 'decided', 'done', 'withdrawn')),
    asked_at timestamptz,
    deadline timestamptz,
    choice varchar CONSTRAINT resolution_choice
        CHECK (choice IN ('other_run', 'store_credit', 'refund', 'keep')),
    item_id uuid REFERENCES catalog_item (id),
    decided_by varchar,
    decision_key varchar,
    decided_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT resolution_decided
        CHECK ((state IN ('decided', 'done')) = (choice IS NOT NULL AND decided_at IS NOT NULL)),
    CONSTRAINT resolution_run CHECK ((choice = 'other_run') = (item_id IS NOT NULL)),
    CONSTRAINT resolution_of_change CHECK ((cause = 'lms_refused') = (run_change_id IS NULL)),
    UNIQUE (run_change_id, line_id)
);
CREATE INDEX ix_resolution_line_id ON resolution (line_id);
CREATE UNIQUE INDEX one_open_resolution ON resolution (line_id) WHERE state = 'open';
CREATE INDEX unsettled_resolutions ON resolution (created_at) WHERE state IN ('open', 'decided');
GRANT SELECT, INSERT, UPDATE ON run_change, resolution TO commerce_app;
"""
DROP = """
DROP TABLE resolution;
DROP TABLE run_change;
ALTER TABLE catalog_item DROP COLUMN cancelled_at;
ALTER TABLE catalog_item DROP COLUMN run_of;
"""


def upgrade() -> None:
    """Buyers choose what becomes of a line that can't be had as it was sold."""
    op.execute(CREATE)


def downgrade() -> None:
    """What was decided stays in orders and refunds."""
    op.execute(DROP)

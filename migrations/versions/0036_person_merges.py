"""persons whom the LMS had twice"""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

MERGES = """
ALTER TABLE commerce_user ADD COLUMN merged_into uuid REFERENCES commerce_user (id);
CREATE INDEX merged_users ON commerce_user (merged_into) WHERE merged_into IS NOT NULL;
CREATE TABLE person_merge (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    lms_event_id varchar NOT NULL UNIQUE,
    user_id uuid NOT NULL REFERENCES commerce_user (id),
    into_lms_user_id varchar NOT NULL,
    into_user_id uuid REFERENCES commerce_user (id),
    waits_for text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    moved_at timestamptz,
    done_at timestamptz,
    CONSTRAINT merge_moved CHECK ((moved_at IS NULL) = (into_user_id IS NULL)),
    CONSTRAINT merge_done CHECK (done_at IS NULL OR moved_at IS NOT NULL)
);
CREATE INDEX ix_person_merge_user_id ON person_merge (user_id);
CREATE INDEX ix_person_merge_into_user_id ON person_merge (into_user_id);
CREATE INDEX open_merges ON person_merge (id) WHERE done_at IS NULL;
GRANT SELECT, INSERT, UPDATE ON person_merge TO commerce_app;
GRANT UPDATE (lms_user_id) ON completion_revocation TO commerce_app;
"""

CAUSES = """
ALTER TABLE resolution DROP CONSTRAINT resolution_cause, DROP CONSTRAINT resolution_of_change;
ALTER TABLE resolution
    ADD CONSTRAINT resolution_cause
        CHECK (cause IN ('lms_refused', 'run_cancelled', 'run_rescheduled', 'bought_twice')),
    ADD CONSTRAINT resolution_of_change
        CHECK ((cause IN ('run_cancelled', 'run_rescheduled')) = (run_change_id IS NOT NULL));
"""
WITHOUT_CAUSES = """
DELETE FROM resolution WHERE cause = 'bought_twice';
ALTER TABLE resolution DROP CONSTRAINT resolution_cause, DROP CONSTRAINT resolution_of_change;
ALTER TABLE resolution
    ADD CONSTRAINT resolution_cause CHECK (cause IN ('lms_refused', 'run_cancelled', 'run_rescheduled')),
    ADD CONSTRAINT resolution_of_change CHECK ((cause = 'lms_refused') = (run_change_id IS NULL));
"""


def upgrade() -> None:
    """Nobody was merged yet."""
    op.execute(MERGES)
    op.execute(CAUSES)


def downgrade() -> None:
    """What was moved stays moved; that it was is lost."""
    op.execute(WITHOUT_CAUSES)
    op.execute("REVOKE UPDATE (lms_user_id) ON completion_revocation FROM commerce_app")
    op.execute("DROP TABLE person_merge")
    op.execute("ALTER TABLE commerce_user DROP COLUMN merged_into")

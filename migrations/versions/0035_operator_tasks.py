"""tasks of operators; completions that the LMS takes back"""

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

TASKS = """
CREATE TABLE operator_task (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    task_key varchar NOT NULL UNIQUE,
    kind varchar NOT NULL,
    user_id uuid REFERENCES commerce_user (id),
    order_id uuid REFERENCES orders (id),
    what varchar NOT NULL,
    note varchar,
    created_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    closed_by uuid REFERENCES commerce_user (id),
    CONSTRAINT task_closed CHECK ((closed_at IS NULL) = (closed_by IS NULL))
);
CREATE INDEX ix_operator_task_user_id ON operator_task (user_id);
CREATE INDEX ix_operator_task_order_id ON operator_task (order_id);
CREATE INDEX open_tasks ON operator_task (id) WHERE closed_at IS NULL;
GRANT SELECT, INSERT, UPDATE ON operator_task TO commerce_app;
"""

COMPLETIONS = """
ALTER TABLE completion ADD COLUMN taken_back_at timestamptz;
CREATE TABLE completion_revocation (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    lms_event_id varchar NOT NULL UNIQUE,
    lms_user_id varchar NOT NULL,
    lms_course_id varchar NOT NULL,
    revoked_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX completion_revocation_of ON completion_revocation (lms_user_id, lms_course_id);
GRANT SELECT, INSERT ON completion_revocation TO commerce_app;
"""


def upgrade() -> None:
    """Both begin empty."""
    op.execute(TASKS)
    op.execute(COMPLETIONS)


def downgrade() -> None:
    """What was decided is lost."""
    op.execute("DROP TABLE operator_task, completion_revocation")
    op.execute("ALTER TABLE completion DROP COLUMN taken_back_at")

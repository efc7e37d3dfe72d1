"""disputes"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

CREATE = """
CREATE TABLE dispute (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    provider_id varchar NOT NULL UNIQUE,
    order_id uuid NOT NULL REFERENCES orders (id),
    payment_id uuid NOT NULL REFERENCES payment (id),
    amount bigint NOT NULL,
    withdrawn bigint NOT NULL DEFAULT 0 CONSTRAINT dispute_withdrawn CHECK (withdrawn >= 0),
    currency varchar(3) NOT NULL,
    reason varchar NOT NULL,
    status varchar NOT NULL,
    state varchar NOT NULL
        CONSTRAINT dispute_state CHECK (state IN ('inquiry', 'open', 'won', 'lost', 'closed')),
    evidence_due_by timestamptz,
    evidence jsonb,
    evidence_submitted_at timestamptz,
    reminded_at timestamptz,
    suspended_lines jsonb NOT NULL,
    wish varchar CONSTRAINT dispute_wish CHECK (wish IN ('submit', 'accept')),
    created_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz
);
CREATE INDEX ix_dispute_order_id ON dispute (order_id);
CREATE INDEX ix_dispute_payment_id ON dispute (payment_id);
GRANT SELECT, INSERT, UPDATE ON dispute TO commerce_app;
"""


def upgrade() -> None:
    """One row a dispute or inquiry."""
    op.execute(CREATE)


def downgrade() -> None:
    """What the processor knows can be read there again."""
    op.execute("DROP TABLE dispute")

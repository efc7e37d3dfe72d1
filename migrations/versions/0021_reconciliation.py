"""the processor's balance transactions beside their journal entries; runs and differences"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE balance_transaction
    ADD COLUMN source_amount bigint,
    ADD COLUMN source_currency varchar(3),
    ADD COLUMN intent_id varchar,
    ADD COLUMN refund_id varchar,
    ADD COLUMN standing varchar NOT NULL DEFAULT 'ours';
CREATE INDEX balance_transactions_by_time ON balance_transaction (created_at, id);
CREATE TABLE balance_match (
    transaction_id varchar NOT NULL REFERENCES balance_transaction (id),
    part varchar NOT NULL,
    entry_id uuid NOT NULL REFERENCES journal_entry (id),
    matched_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (transaction_id, part),
    UNIQUE (entry_id)
);
CREATE TABLE reconciliation_run (
    id uuid PRIMARY KEY,
    workflow_id varchar NOT NULL,
    period_from timestamptz NOT NULL,
    period_to timestamptz NOT NULL,
    continues boolean NOT NULL DEFAULT false,
    state varchar NOT NULL DEFAULT 'running',
    pages integer NOT NULL DEFAULT 0,
    transactions integer NOT NULL DEFAULT 0,
    report jsonb,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT run_state CHECK (state IN ('running', 'completed'))
);
CREATE TABLE reconciliation_difference (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    kind varchar NOT NULL,
    subject varchar NOT NULL,
    transaction_id varchar,
    order_id uuid,
    run_id uuid REFERENCES reconciliation_run (id),
    currency varchar(3) NOT NULL,
    expected bigint NOT NULL,
    found bigint NOT NULL,
    detail varchar NOT NULL,
    state varchar NOT NULL DEFAULT 'open',
    resolution varchar,
    resolved_by uuid REFERENCES commerce_user (id),
    resolved_at timestamptz,
    opened_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT difference_state CHECK (state IN ('open', 'repaired', 'accepted'))
);
CREATE UNIQUE INDEX one_open_difference ON reconciliation_difference (kind, subject) WHERE state = 'open';
CREATE INDEX differences_by_subject ON reconciliation_difference (subject);
CREATE INDEX ix_reconciliation_difference_run_id ON reconciliation_difference (run_id);
GRANT SELECT, INSERT ON balance_match TO commerce_app;
GRANT SELECT, INSERT, UPDATE ON reconciliation_run, reconciliation_difference TO commerce_app;
"""


def upgrade() -> None:
    """Matches are never changed; a run and a difference end once."""
    op.execute(TABLES)


def downgrade() -> None:
    """Forget runs, differences and matches; the entries stay in the ledger."""
    op.execute("DROP TABLE reconciliation_difference, reconciliation_run, balance_match")
    op.execute("DROP INDEX balance_transactions_by_time")
    op.execute(
        "ALTER TABLE balance_transaction DROP COLUMN source_amount, DROP COLUMN source_currency, "
        "DROP COLUMN intent_id, DROP COLUMN refund_id, DROP COLUMN standing"
    )

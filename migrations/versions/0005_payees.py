"""payouts that were settled, corrections of payees' money"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE payout_settlement (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    payout_id varchar NOT NULL,
    payee_ref varchar NOT NULL,
    currency varchar(3) NOT NULL,
    amount bigint NOT NULL,
    excess bigint NOT NULL,
    journal_entry_id uuid NOT NULL REFERENCES journal_entry (id),
    inbox_id uuid NOT NULL REFERENCES inbound_event (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (payout_id, payee_ref),
    CONSTRAINT settlement_amounts CHECK (amount > 0 AND excess BETWEEN 0 AND amount)
);
CREATE INDEX ix_payout_settlement_payee_ref ON payout_settlement (payee_ref);
CREATE TABLE payee_correction (
    id uuid PRIMARY KEY,
    kind varchar NOT NULL,
    payee_ref varchar NOT NULL,
    to_payee_ref varchar,
    line_id uuid REFERENCES order_line (id),
    currency varchar(3) NOT NULL,
    amount bigint NOT NULL,
    reason varchar NOT NULL,
    requested_by uuid NOT NULL REFERENCES commerce_user (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT correction_positive CHECK (amount > 0),
    CONSTRAINT correction_kind CHECK (
        (kind = 'write_off' AND line_id IS NULL AND to_payee_ref IS NULL) OR
        (kind = 'reassignment' AND line_id IS NOT NULL AND to_payee_ref IS NOT NULL))
);
CREATE INDEX ix_payee_correction_payee_ref ON payee_correction (payee_ref);
CREATE INDEX ix_payee_correction_line_id ON payee_correction (line_id);
CREATE INDEX posting_by_payee ON posting (sub, currency) WHERE account IN ('2210', '2220');
CREATE INDEX events_by_payee ON outbound_event ((data->>'payee_ref'), id)
    WHERE data->>'payee_ref' IS NOT NULL;
GRANT SELECT, INSERT ON payout_settlement, payee_correction TO commerce_app;
"""


def upgrade() -> None:
    """The application adds rows and never changes them."""
    op.execute(TABLES)


def downgrade() -> None:
    """Forget payouts and corrections; their entries stay in the ledger."""
    op.execute("DROP INDEX posting_by_payee, events_by_payee")
    op.execute("DROP TABLE payee_correction, payout_settlement")

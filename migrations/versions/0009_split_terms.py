"""split rules by channel, instructor, affiliate and currency; volumes of payees"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

CHANGES = """
CREATE TABLE affiliate (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    code varchar NOT NULL UNIQUE,
    payee_ref varchar NOT NULL,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE payee_volume (
    line_id uuid NOT NULL REFERENCES order_line (id),
    payee_ref varchar NOT NULL,
    currency varchar(3) NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (line_id, payee_ref)
);
CREATE INDEX volume_by_payee ON payee_volume (payee_ref, currency);
GRANT SELECT, INSERT, UPDATE, DELETE ON affiliate, payee_volume TO commerce_app;

ALTER TABLE catalog_item ADD COLUMN payees text[] NOT NULL DEFAULT '{}';
ALTER TABLE orders ADD COLUMN channel varchar, ADD COLUMN affiliate_id uuid REFERENCES affiliate (id);
ALTER TABLE order_line ADD COLUMN release varchar NOT NULL DEFAULT 'after_hold',
    ADD CONSTRAINT line_release CHECK (release IN ('after_hold', 'on_completion'));

ALTER TABLE split_rule DROP COLUMN payees,
    ADD COLUMN currency varchar(3),
    ADD COLUMN referral_bps integer NOT NULL DEFAULT 0,
    ADD COLUMN hold_days integer,
    ADD COLUMN release varchar NOT NULL DEFAULT 'after_hold',
    ADD CONSTRAINT rule_referral CHECK (referral_bps BETWEEN 0 AND 10000),
    ADD CONSTRAINT rule_hold CHECK (hold_days >= 0),
    ADD CONSTRAINT rule_release CHECK (release IN ('after_hold', 'on_completion')),
    DROP CONSTRAINT split_rule_overlap,
    ADD CONSTRAINT split_rule_overlap EXCLUDE USING gist (
        coalesce(item_id::text, '') WITH =, coalesce(channel, '') WITH =, coalesce(payee, '') WITH =,
        coalesce(currency, '') WITH =, priority WITH =, tstzrange(valid_from, valid_to) WITH &&);
"""


def upgrade() -> None:
    """Volumes count from here on."""
    op.execute(CHANGES)


def downgrade() -> None:
    """Rules that differ by currency alone would overlap."""
    raise RuntimeError("rules by currency can't be told apart without it")

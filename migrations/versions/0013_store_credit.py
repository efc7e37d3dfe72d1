"""store credit: given away, reserved by orders, given back by refunds; why a refund was made"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

CHANGES = """
CREATE TABLE store_credit_grant (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES commerce_user (id),
    order_id uuid REFERENCES orders (id),
    currency varchar(3) NOT NULL,
    amount bigint NOT NULL,
    reason varchar NOT NULL,
    requested_by uuid NOT NULL REFERENCES commerce_user (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT grant_positive CHECK (amount > 0)
);
CREATE INDEX ix_store_credit_grant_user_id ON store_credit_grant (user_id);
CREATE INDEX ix_store_credit_grant_order_id ON store_credit_grant (order_id);
GRANT SELECT, INSERT ON store_credit_grant TO commerce_app;
CREATE INDEX posting_by_customer ON posting (sub, currency) WHERE account = '2330';
ALTER TABLE orders
    ADD COLUMN store_credit bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT credit_within_total CHECK (store_credit BETWEEN 0 AND total);
CREATE INDEX orders_reserving_credit ON orders (user_id, currency)
    WHERE store_credit > 0 AND payment_state IN ('pending', 'processing');
ALTER TABLE refund
    ADD COLUMN credit_amount bigint NOT NULL DEFAULT 0,
    ALTER COLUMN payment_id DROP NOT NULL,
    ADD CONSTRAINT refund_kind CHECK (kind IN ('order', 'correction', 'goodwill', 'unapplied')),
    ADD CONSTRAINT refund_credit CHECK (
        credit_amount BETWEEN 0 AND amount AND (payment_id IS NOT NULL OR credit_amount = amount));
"""


def upgrade() -> None:
    """The application adds grants and never changes them."""
    op.execute(CHANGES)


def downgrade() -> None:
    """Forget who was given credit and why; its entries stay in the ledger."""
    op.execute("ALTER TABLE refund DROP COLUMN credit_amount, DROP CONSTRAINT refund_kind")
    op.execute("ALTER TABLE refund ALTER COLUMN payment_id SET NOT NULL")
    op.execute("ALTER TABLE orders DROP COLUMN store_credit")
    op.execute("DROP INDEX posting_by_customer")
    op.execute("DROP TABLE store_credit_grant")

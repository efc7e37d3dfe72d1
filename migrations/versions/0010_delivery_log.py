"""every attempt of a delivery is kept; endpoints say since when they are off, and by whom"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

CHANGES = """
CREATE TABLE webhook_attempt (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    delivery_id uuid NOT NULL REFERENCES webhook_delivery (id),
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoint (id),
    attempt integer NOT NULL,
    outcome varchar NOT NULL,
    url varchar NOT NULL,
    request_headers jsonb NOT NULL,
    request_body varchar NOT NULL,
    status_code integer,
    response_headers jsonb NOT NULL,
    response_body varchar NOT NULL,
    error varchar,
    duration_ms integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT attempt_outcome CHECK (outcome IN ('delivered', 'retry', 'failed'))
);
CREATE INDEX ix_webhook_attempt_delivery_id ON webhook_attempt (delivery_id);
CREATE INDEX accepted_attempts ON webhook_attempt (endpoint_id, created_at) WHERE outcome = 'delivered';
GRANT SELECT, INSERT ON webhook_attempt TO commerce_app;

ALTER TABLE webhook_delivery ADD COLUMN first_attempt_at timestamptz;
CREATE INDEX failed_deliveries ON webhook_delivery (endpoint_id) WHERE status = 'failed';
CREATE INDEX events_by_time ON outbound_event (created_at);

ALTER TABLE webhook_endpoint
    ADD COLUMN active_since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN disabled_at timestamptz,
    ADD COLUMN disabled_by varchar,
    ADD COLUMN deleted_at timestamptz,
    ADD CONSTRAINT endpoint_disabled_by CHECK (disabled_by IN ('operator', 'receiver', 'commerce'));
UPDATE webhook_endpoint SET disabled_at = now(), disabled_by = 'operator' WHERE NOT active;
UPDATE webhook_endpoint SET deleted_at = now() WHERE disabled_reason = 'deleted';
"""


def upgrade() -> None:
    """Attempts of before were not kept."""
    op.execute(CHANGES)


def downgrade() -> None:
    """Forget the attempts."""
    op.execute("DROP INDEX failed_deliveries, events_by_time")
    op.execute("DROP TABLE webhook_attempt")
    op.execute("ALTER TABLE webhook_delivery DROP COLUMN first_attempt_at")
    op.execute(
        "ALTER TABLE webhook_endpoint DROP COLUMN active_since, DROP COLUMN disabled_at, "
        "DROP COLUMN disabled_by, DROP COLUMN deleted_at"
    )

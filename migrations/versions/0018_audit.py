"""the audit log"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE audit_entry (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    actor_kind varchar NOT NULL,
    actor_id varchar NOT NULL,
    action varchar NOT NULL,
    objects text[] NOT NULL DEFAULT '{}',
    status_code integer,
    code varchar,
    reason varchar,
    request jsonb,
    request_id varchar NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audit_actor_kind CHECK (actor_kind IN ('operator', 'machine', 'command'))
);
CREATE INDEX audit_by_object ON audit_entry USING gin (objects);
CREATE INDEX audit_by_actor ON audit_entry (actor_id, id);
CREATE INDEX ix_audit_entry_action ON audit_entry (action);
CREATE INDEX ix_audit_entry_request_id ON audit_entry (request_id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
GRANT SELECT ON audit_entry TO commerce_app;
GRANT INSERT (actor_kind, actor_id, action, objects, status_code, code, reason, request, request_id)
    ON audit_entry TO commerce_app;
"""


def upgrade() -> None:
    """The application adds entries; their ids and times are the database's."""
    op.execute(TABLE)


def downgrade() -> None:
    """The log is not taken away again."""
    raise RuntimeError("the audit log can't be removed")

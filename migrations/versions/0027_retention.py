"""what is kept for a time"""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

INBOX = """
ALTER TABLE inbound_event ADD COLUMN purged_at timestamptz;
CREATE INDEX unpurged_events ON inbound_event (received_at) WHERE purged_at IS NULL;
CREATE INDEX attempts_by_age ON webhook_attempt (created_at);
GRANT DELETE ON webhook_attempt TO commerce_app;
"""

# The floor stands in the database: whatever is asked for, a year of the log can't be taken away.
AUDIT = """
CREATE FUNCTION refuse_change_within_a_year() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.created_at < now() - interval '365 days' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = '42501';
END $$;

DROP TRIGGER append_only ON audit_entry;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION refuse_change_within_a_year();

CREATE FUNCTION purge_audit(older_than interval, at_most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE purged integer;
BEGIN
    DELETE FROM audit_entry WHERE id IN (
        SELECT oldest.id FROM (SELECT id, created_at FROM audit_entry ORDER BY id LIMIT at_most) oldest
        WHERE oldest.created_at < now() - greatest(older_than, interval '365 days')
    );
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END $$;

REVOKE ALL ON FUNCTION purge_audit(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION purge_audit(interval, integer) TO commerce_app;
"""


def upgrade() -> None:
    """Marks and indexes of the purge; the application ends entries of the audit log by one function."""
    op.execute(INBOX)
    op.execute(AUDIT)


def downgrade() -> None:
    """Purged bodies don't come back."""
    raise RuntimeError("what was purged can't be brought back")

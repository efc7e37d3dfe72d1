"""an audit entry is written with the command, and completed by the answer"""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

# The trigger of `0034_erasure`, with one change more that it lets through: an entry that has no answer yet gets
# its status and code, once.
GUARD = """
CREATE OR REPLACE FUNCTION refuse_change_but_scrubs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('commerce.scrubs', true) = 'on'
        AND to_jsonb(NEW) - TG_ARGV = to_jsonb(OLD) - TG_ARGV THEN
        RETURN NEW;
    END IF;
    {answers}
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'audit_entry' THEN
        IF OLD.created_at < now() - interval '365 days' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = '42501';
END $$;
"""
ANSWERS = """
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'audit_entry' THEN
        IF OLD.write_id IS NOT NULL AND OLD.status_code IS NULL AND NEW.status_code IS NOT NULL
            AND to_jsonb(NEW) - ARRAY['status_code', 'code'] = to_jsonb(OLD) - ARRAY['status_code', 'code'] THEN
            RETURN NEW;
        END IF;
    END IF;
"""
COLUMN = """
ALTER TABLE audit_entry ADD COLUMN write_id uuid UNIQUE;
GRANT INSERT (write_id), UPDATE (status_code, code) ON audit_entry TO commerce_app;
"""
WITHOUT = """
REVOKE UPDATE (status_code, code) ON audit_entry FROM commerce_app;
ALTER TABLE audit_entry DROP COLUMN write_id;
"""


def upgrade() -> None:
    """One entry a write, whether it has an answer or not."""
    op.execute(COLUMN)
    op.execute(GUARD.replace("{answers}", ANSWERS.strip()))


def downgrade() -> None:
    """Entries are whole when they are written."""
    op.execute(GUARD.replace("{answers}\n", ""))
    op.execute(WITHOUT)

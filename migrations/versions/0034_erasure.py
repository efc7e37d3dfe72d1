"""a person can be erased"""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

TABLE = """
ALTER TABLE commerce_user ADD COLUMN erased_at timestamptz;
CREATE TABLE person_erasure (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES commerce_user (id),
    source varchar NOT NULL,
    requested_by uuid REFERENCES commerce_user (id),
    waits_for text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    erased_at timestamptz,
    done_at timestamptz,
    CONSTRAINT erasure_source CHECK (source IN ('person', 'operator', 'lms'))
);
CREATE INDEX ix_person_erasure_user_id ON person_erasure (user_id);
CREATE UNIQUE INDEX one_open_erasure ON person_erasure (user_id) WHERE done_at IS NULL;
CREATE INDEX lms_events_by_user ON inbound_event ((payload #>> '{data,user_id}'))
    WHERE source = 'lms' AND purged_at IS NULL;
GRANT SELECT, INSERT, UPDATE ON person_erasure TO commerce_app;
GRANT UPDATE (reason) ON store_credit_grant TO commerce_app;
GRANT UPDATE (request_body, response_headers, response_body, error) ON webhook_attempt TO commerce_app;
"""

# Of strings only: the names of members stay what programs expect.
SCRUB_JSON = """
CREATE FUNCTION scrub_json(given jsonb, pattern text, instead text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, public AS $$
BEGIN
    RETURN CASE jsonb_typeof(given)
        WHEN 'string' THEN to_jsonb(regexp_replace(given #>> '{}', pattern, instead, 'gi'))
        WHEN 'array' THEN (
            SELECT coalesce(jsonb_agg(scrub_json(element, pattern, instead) ORDER BY place), '[]')
            FROM jsonb_array_elements(given) WITH ORDINALITY AS found (element, place)
        )
        WHEN 'object' THEN (
            SELECT coalesce(jsonb_object_agg(name, scrub_json(member, pattern, instead)), '{}')
            FROM jsonb_each(given) AS found (name, member)
        )
        ELSE given
    END;
END $$;
"""

# Audit log, timelines and published events stay append-only for everybody. These functions, the owner's, take
# mentions of a person out of texts; who did what, and when, they can't touch.
SCRUBS = """
CREATE FUNCTION refuse_change_but_scrubs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('commerce.scrubs', true) = 'on'
        AND to_jsonb(NEW) - TG_ARGV = to_jsonb(OLD) - TG_ARGV THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'audit_entry' THEN
        IF OLD.created_at < now() - interval '365 days' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = '42501';
END $$;

DROP TRIGGER append_only ON order_event;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON order_event
    FOR EACH ROW EXECUTE FUNCTION refuse_change_but_scrubs('detail');
DROP TRIGGER append_only ON outbound_event;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON outbound_event
    FOR EACH ROW EXECUTE FUNCTION refuse_change_but_scrubs('data');
DROP TRIGGER append_only ON audit_entry;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION refuse_change_but_scrubs('reason', 'request');
DROP FUNCTION refuse_change_within_a_year();

CREATE FUNCTION scrub_histories(buyer uuid, pattern text, instead text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('commerce.scrubs', 'on', true);
    UPDATE order_event SET detail = regexp_replace(detail, pattern, instead, 'gi')
    WHERE order_id IN (SELECT id FROM orders WHERE user_id = buyer) AND detail ~* pattern;
    UPDATE outbound_event SET data = scrub_json(data, pattern, instead)
    WHERE data::text ~* pattern AND stream IN (
        SELECT 'order/' || id FROM orders WHERE user_id = buyer
        UNION ALL SELECT 'entitlement/' || id FROM entitlement WHERE user_id = buyer
    );
    PERFORM set_config('commerce.scrubs', 'off', true);
END $$;

CREATE FUNCTION scrub_audit(about text[], pattern text, instead text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('commerce.scrubs', 'on', true);
    UPDATE audit_entry SET reason = regexp_replace(reason, pattern, instead, 'gi'),
        request = scrub_json(request, pattern, instead)
    WHERE objects && about AND (reason ~* pattern OR request::text ~* pattern);
    PERFORM set_config('commerce.scrubs', 'off', true);
END $$;

REVOKE ALL ON FUNCTION scrub_histories(uuid, text, text), scrub_audit(text[], text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION scrub_histories(uuid, text, text), scrub_audit(text[], text, text) TO commerce_app;
"""


def upgrade() -> None:
    """Requests for erasure, and what wiping needs to be allowed."""
    op.execute(TABLE)
    op.execute(SCRUB_JSON)
    op.execute(SCRUBS)


def downgrade() -> None:
    """Who was erased stays so."""
    raise RuntimeError("what was erased can't be brought back")

"""an erasure reaches what is about a person by way of a line, a payee or a text"""

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

# Events of payees name the order that they come from.
INDEX = """
CREATE INDEX events_of_payees_by_order ON outbound_event ((data->>'order_id'))
    WHERE data->>'payee_ref' IS NOT NULL;
GRANT UPDATE (reason) ON payee_correction TO commerce_app;
"""

NAMES_ANY = """
CREATE FUNCTION names_any(given jsonb, ids text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public AS $$
    SELECT EXISTS (
        SELECT FROM jsonb_path_query(given, 'strict $.** ? (@.type() == "string")') AS found (member)
        WHERE member #>> '{}' = ANY(ids)
    )
$$;

CREATE FUNCTION events_about(streams text[], payees text[], orders text[]) RETURNS SETOF outbound_event
LANGUAGE sql STABLE AS $$
    SELECT * FROM outbound_event WHERE stream = ANY(streams) OR data->>'payee_ref' = ANY(payees)
        OR (data->>'payee_ref' IS NOT NULL AND data->>'order_id' = ANY(orders))
$$;
"""

# Own words first: they are known by what the refund still says.
SCRUBS = """
DROP FUNCTION scrub_histories(uuid, text, text), scrub_audit(text[], text, text);

CREATE FUNCTION scrub_timelines(orders text[], own_refunds uuid[], pattern text, instead text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('commerce.scrubs', 'on', true);
    UPDATE order_event e SET detail = left(e.detail, position(': ' || r.reason IN e.detail) + 1) || instead
    FROM refund r WHERE r.id = ANY(own_refunds) AND e.order_id = r.order_id
        AND e.event_key = 'refund/' || r.id || '/asked' AND position(': ' || r.reason IN e.detail) > 0;
    UPDATE order_event SET detail = regexp_replace(detail, pattern, instead, 'gi')
    WHERE order_id = ANY(orders::uuid[]) AND detail ~* pattern;
    PERFORM set_config('commerce.scrubs', 'off', true);
END $$;

CREATE FUNCTION scrub_events(
    streams text[], payees text[], orders text[], own_refunds uuid[], pattern text, instead text
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('commerce.scrubs', 'on', true);
    UPDATE outbound_event SET data = data || jsonb_build_object('reason', instead)
    WHERE data ? 'reason' AND stream = ANY(streams) AND data->>'refund_id' = ANY(own_refunds::text[]);
    UPDATE outbound_event SET data = scrub_json(data, pattern, instead)
    WHERE id IN (SELECT id FROM events_about(streams, payees, orders)) AND data::text ~* pattern;
    PERFORM set_config('commerce.scrubs', 'off', true);
END $$;

CREATE FUNCTION scrub_audit(about text[], pattern text, instead text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM set_config('commerce.scrubs', 'on', true);
    UPDATE audit_entry SET reason = regexp_replace(reason, pattern, instead, 'gi'),
        request = scrub_json(request, pattern, instead)
    WHERE (reason ~* pattern OR request::text ~* pattern)
        AND (objects && about OR names_any(request, about));
    PERFORM set_config('commerce.scrubs', 'off', true);
END $$;

REVOKE ALL ON FUNCTION scrub_timelines(text[], uuid[], text, text),
    scrub_events(text[], text[], text[], uuid[], text, text), scrub_audit(text[], text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION scrub_timelines(text[], uuid[], text, text),
    scrub_events(text[], text[], text[], uuid[], text, text), scrub_audit(text[], text, text) TO commerce_app;
"""


def upgrade() -> None:
    """Functions that find what is about a person, and take mentions out of it."""
    op.execute(INDEX)
    op.execute(NAMES_ANY)
    op.execute(SCRUBS)


def downgrade() -> None:
    """Who was erased stays so."""
    raise RuntimeError("what was erased can't be brought back")

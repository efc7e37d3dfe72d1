"""What must hold of events: those that came in, and those that receivers wait for."""

from models.queries.invariants.invariant import Invariant

EVENTS = (
    Invariant(
        "outbox.streams_gapless",
        "each stream of events is numbered 1 to n without a gap",
        "SELECT 'stream ' || s.stream || ' has ' || count(e.id) || ' events, last number ' || s.last_seq "
        "FROM outbound_stream s LEFT JOIN outbound_event e ON e.stream = s.stream "
        "GROUP BY s.stream HAVING count(e.id) <> s.last_seq OR coalesce(max(e.stream_seq), 0) <> s.last_seq",
    ),
    Invariant(
        "outbox.delivered",
        "every event was delivered to each endpoint that wants it, or still is within its retries",
        "SELECT 'delivery ' || d.id || ' of ' || e.type || ' failed: ' || coalesce(d.last_error, "
        "d.last_status_code::text, '') FROM webhook_delivery d JOIN outbound_event e ON e.id = d.event_id "
        "JOIN webhook_endpoint w ON w.id = d.endpoint_id WHERE d.status = 'failed' AND w.active",
    ),
    Invariant(
        "outbox.endpoints_on",
        "no receiver of events was switched off but by an operator",
        "SELECT 'endpoint ' || id || ' is off since ' || disabled_at || ': ' || disabled_reason "
        "FROM webhook_endpoint WHERE NOT active AND disabled_by <> 'operator'",
    ),
    Invariant(
        "inbox.dispatched",
        "every verified inbound event reached its workflow",
        "SELECT source || ' event ' || event_id || ' (' || type || ') waits since ' || received_at "
        "FROM inbound_event WHERE dispatched_at IS NULL "
        "AND received_at < now() - interval '2 minutes'",
    ),
)

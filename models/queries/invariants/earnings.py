"""What must hold of the revenue that is split: the payees' earnings, and their payouts."""

from models.queries.invariants.invariant import Invariant

# What a payee was told (and tells us of payouts) against what stands in the ledger.
EARNINGS_IDENTITY = Invariant(
    "earnings.events_equal_ledger",
    "per payee and currency: accrued - released - reversed(held) is 2210, "
    "released - reversed(released) - settled + written off is 2220",
    """
    WITH told AS (
        SELECT data->>'payee_ref' AS payee, data->>'currency' AS currency, type, data->>'bucket' AS bucket,
            (data->>'amount')::bigint AS amount FROM outbound_event
        WHERE type IN ('earning.accrued', 'earning.released', 'earning.reversed', 'payee.written_off')
        UNION ALL
        SELECT payee_ref, currency, 'payout.settled', NULL, amount FROM payout_settlement),
    events AS (
        SELECT payee, currency,
            sum(CASE WHEN type = 'earning.accrued' THEN amount WHEN type = 'earning.released' THEN -amount
                WHEN type = 'earning.reversed' AND bucket = 'held' THEN -amount ELSE 0 END) AS held,
            sum(CASE WHEN type IN ('earning.released', 'payee.written_off') THEN amount
                WHEN type = 'payout.settled' THEN -amount
                WHEN type = 'earning.reversed' AND bucket = 'released' THEN -amount ELSE 0 END) AS released
        FROM told GROUP BY 1, 2),
    books AS (
        SELECT sub AS payee, currency, coalesce(-sum(amount) FILTER (WHERE account = '2210'), 0) AS held,
            coalesce(-sum(amount) FILTER (WHERE account = '2220'), 0) AS released
        FROM posting WHERE account IN ('2210', '2220') GROUP BY 1, 2)
    SELECT coalesce(e.payee, b.payee) || ' ' || coalesce(e.currency, b.currency) || ': events say held ' ||
        coalesce(e.held, 0) || ' released ' || coalesce(e.released, 0) || ', ledger ' ||
        coalesce(b.held, 0) || ' and ' || coalesce(b.released, 0)
    FROM events e FULL JOIN books b ON b.payee = e.payee AND b.currency = e.currency
    WHERE coalesce(e.held, 0) <> coalesce(b.held, 0) OR coalesce(e.released, 0) <> coalesce(b.released, 0)
    """,
)

EARNINGS = (
    Invariant(
        "splits.payees_as_posted",
        "what each payee holds and was handed of a line is what was posted for it",
        """
        WITH said AS (SELECT l.id, p->>'payee' AS payee,
                (p->>'accrued')::bigint - (p->>'released')::bigint - (p->>'reversed_held')::bigint AS held,
                (p->>'released')::bigint - (p->>'reversed_released')::bigint AS released
            FROM order_line l, jsonb_array_elements(l.ledger->'payees') p),
        booked AS (SELECT l.id, p.sub AS payee,
                coalesce(-sum(p.amount) FILTER (WHERE p.account = '2210'), 0) AS held,
                coalesce(-sum(p.amount) FILTER (WHERE p.account = '2220'), 0) AS released
            FROM order_line l JOIN journal_entry e ON e.order_id = l.order_id
                AND (e.event_key LIKE 'line:' || l.id || ':%' OR e.event_key LIKE '%:line:' || l.id)
            JOIN posting p ON p.entry_id = e.id AND p.account IN ('2210', '2220') GROUP BY 1, 2)
        SELECT 'line ' || id || ': ' || payee || ' holds ' || coalesce(s.held, 0) || ' and was handed ' ||
            coalesce(s.released, 0) || ', posted ' || coalesce(b.held, 0) || ' and ' ||
            coalesce(b.released, 0)
        FROM said s FULL JOIN booked b USING (id, payee)
        WHERE (coalesce(s.held, 0), coalesce(s.released, 0))
            <> (coalesce(b.held, 0), coalesce(b.released, 0))
        """,
    ),
    Invariant(
        "earnings.none_released_while_frozen",
        "no earning was released between its freezing and its unfreezing",
        """
        SELECT 'earning ' || (r.data->>'earning_id') || ' was released while it was frozen'
        FROM outbound_event f JOIN outbound_event r ON r.stream = f.stream AND r.stream_seq > f.stream_seq
            AND r.type = 'earning.released' AND r.data->>'earning_id' = f.data->>'earning_id'
        WHERE f.type = 'earning.frozen' AND NOT EXISTS (SELECT FROM outbound_event u
            WHERE u.stream = f.stream AND u.type = 'earning.unfrozen'
            AND u.data->>'earning_id' = f.data->>'earning_id'
            AND u.stream_seq BETWEEN f.stream_seq AND r.stream_seq)
        """,
    ),
    Invariant(
        "payouts.settled_once",
        "every payout that the payout system told of stands in the books as it was told",
        """
        SELECT 'payout ' || (e.payload#>>'{data,payout_id}') || ' of ' || (e.payload#>>'{data,amount}') ||
            ' ' || (e.payload#>>'{data,currency}') || ' to ' || (e.payload#>>'{data,payee_ref}') ||
            ' is not in the books'
        FROM inbound_event e WHERE e.source = 'payout' AND e.type = 'payout.settled'
            AND e.dispatched_at < now() - interval '1 minute' AND NOT EXISTS (
            SELECT FROM payout_settlement s WHERE s.payout_id = e.payload#>>'{data,payout_id}'
            AND s.payee_ref = e.payload#>>'{data,payee_ref}' AND s.currency = e.payload#>>'{data,currency}'
            AND s.amount::text = e.payload#>>'{data,amount}')
        """,
    ),
    Invariant(
        "payouts.within_released",
        "no payout went beyond the released earnings, unless later ones or a write-off have covered it",
        """
        SELECT 'payout ' || s.payout_id || ' paid ' || s.amount || ' ' || s.currency || ' to ' ||
            s.payee_ref || ', ' || s.excess || ' more than was released'
        FROM payout_settlement s WHERE s.excess > 0 AND (SELECT sum(p.amount) FROM posting p
            WHERE p.account = '2220' AND p.sub = s.payee_ref AND p.currency = s.currency) > 0
        """,
    ),
    EARNINGS_IDENTITY,
)

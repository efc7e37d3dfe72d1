"""Each invariant as a query that returns its violations, in words; no row means it holds."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from models.database import Session
from models.queries import double_purchases, lms_calls, run_changes


@dataclass(frozen=True, slots=True)
class Invariant:
    """A name, what must hold, and a query of one text column `violation`."""

    name: str
    meaning: str
    query: str


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

# Moved and looked at for the last time. An account is nobody's again when somebody signed in with it since
# (the LMS let them in), or when the account that it was merged into was later merged into this one.
MERGED_PERSONS = Invariant(
    "merges.nothing_left_behind",
    "an account that ended in a merge has no orders and gives no access, and stays with the one that goes on",
    """
    WITH ended AS (SELECT u.id, u.merged_into, u.lms_deleted_at, m.id AS merge_id, m.into_user_id
        FROM person_merge m JOIN commerce_user u ON u.id = m.user_id WHERE m.done_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM person_merge o WHERE o.user_id = u.id AND o.id > m.id))
    SELECT 'order ' || o.number || ' is left with user ' || e.id || ', who was merged into ' || e.merged_into
    FROM ended e JOIN orders o ON o.user_id = e.id WHERE e.merged_into IS NOT NULL
    UNION ALL SELECT 'access to ' || a.lms_course_id || ' is left with user ' || e.id ||
        ', who was merged into ' || e.merged_into
    FROM ended e JOIN entitlement a ON a.user_id = e.id WHERE e.merged_into IS NOT NULL
        AND EXISTS (SELECT FROM justification j WHERE j.entitlement_id = a.id AND j.active)
    UNION ALL SELECT 'user ' || e.id || ' ended in merge ' || e.merge_id || ', and goes on'
    FROM ended e JOIN commerce_user s ON s.id = e.into_user_id WHERE e.merged_into IS NULL
        AND e.lms_deleted_at IS NOT NULL AND s.merged_into IS DISTINCT FROM e.id
    UNION ALL SELECT 'user ' || u.id || ' was merged into ' || s.id || ', who was merged into ' ||
        s.merged_into
    FROM commerce_user u JOIN commerce_user s ON s.id = u.merged_into WHERE s.merged_into IS NOT NULL
    """,
)

DATABASE_INVARIANTS = (
    Invariant(
        "ledger.entries_balance",
        "every journal entry has two postings or more and sums to zero per currency",
        "SELECT 'entry ' || e.event_key || ' is off by ' || coalesce(sum(p.amount), 0) || ' ' || "
        "coalesce(p.currency, '(no postings)') FROM journal_entry e LEFT JOIN posting p ON p.entry_id = e.id "
        "GROUP BY e.id, e.event_key, p.currency HAVING coalesce(sum(p.amount), 1) <> 0",
    ),
    Invariant(
        "ledger.sums_to_zero",
        "the whole ledger sums to zero per currency",
        "SELECT currency || ' is off by ' || sum(amount) FROM posting "
        "GROUP BY currency HAVING sum(amount) <> 0",
    ),
    Invariant(
        "ledger.facts_posted_once",
        "each business fact has one journal entry",
        "SELECT 'fact ' || event_key || ' is posted ' || count(*) || ' times' FROM journal_entry "
        "GROUP BY entity, event_key HAVING count(*) > 1",
    ),
    Invariant(
        "ledger.capture_equals_paid",
        "what the ledger captured for an order is what was paid for it",
        "SELECT 'order ' || o.number || ' was paid ' || o.amount_paid || ', captured ' || "
        "coalesce(c.amount, 0) "
        "FROM orders o LEFT JOIN LATERAL (SELECT sum(p.amount) AS amount FROM journal_entry e "
        "JOIN posting p ON p.entry_id = e.id AND p.account IN ('1010', '2330') WHERE e.order_id = o.id "
        "AND e.kind = 'payment_captured') c ON true WHERE coalesce(c.amount, 0) <> o.amount_paid",
    ),
    Invariant(
        "ledger.credit_spent_as_reserved",
        "the store credit that a paid order spent in the ledger is what it had reserved, of its own user "
        "or of one who was merged into them",
        "SELECT 'order ' || o.number || ' reserved ' || o.store_credit || ', spent ' || "
        "coalesce(c.amount, 0) "
        "FROM orders o LEFT JOIN LATERAL (SELECT sum(p.amount) AS amount FROM journal_entry e "
        "JOIN posting p ON p.entry_id = e.id AND p.account = '2330' AND (p.sub = o.user_id::text "
        "OR p.sub IN (SELECT m.user_id::text FROM person_merge m WHERE m.into_user_id = o.user_id)) "
        "WHERE e.order_id = o.id AND e.kind = 'payment_captured') c ON true "
        "WHERE o.payment_state = 'paid' AND coalesce(c.amount, 0) <> o.store_credit",
    ),
    Invariant(
        "store_credit.never_overspent",
        "no user's store credit is below what open orders reserve of it, in any currency",
        "SELECT 'user ' || c.user_id || ' has ' || sum(c.balance) || ' ' || c.currency || ', reserved ' || "
        "sum(c.reserved) FROM (SELECT sub AS user_id, currency, -sum(amount) AS balance, 0 AS reserved "
        "FROM posting WHERE account = '2330' GROUP BY 1, 2 UNION ALL "
        "SELECT user_id::text, currency, 0, sum(store_credit) FROM orders "
        "WHERE store_credit > 0 AND payment_state IN ('pending', 'processing') GROUP BY 1, 2) c "
        "GROUP BY c.user_id, c.currency HAVING sum(c.balance) < sum(c.reserved)",
    ),
    Invariant(
        "orders.one_applied_payment",
        "a paid order has one applied payment of its total less store credit in its currency; "
        "one that was free or paid with credit alone has none",
        "SELECT 'order ' || o.number || ': ' || count(p.id) || ' applied payments, ' || "
        "coalesce(sum(p.amount), 0) || ' of ' || o.total - o.store_credit FROM orders o "
        "LEFT JOIN payment p ON p.order_id = o.id AND p.applied WHERE o.payment_state = 'paid' "
        "GROUP BY o.id HAVING o.amount_paid <> o.total OR (o.total > o.store_credit AND (count(p.id) <> 1 "
        "OR min(p.amount) <> o.total - o.store_credit OR min(p.currency) <> o.currency)) "
        "OR (o.total = o.store_credit AND count(p.id) > 0)",
    ),
    Invariant(
        "orders.dead_orders_keep_no_money",
        "money of a succeeded payment that no order took is refunded or on its way back",
        "SELECT 'payment ' || p.intent_id || ' of order ' || o.number || ' keeps ' || "
        "p.amount - coalesce(r.amount, 0) || ' ' || p.currency FROM payment p "
        "JOIN orders o ON o.id = p.order_id LEFT JOIN LATERAL (SELECT sum(amount) AS amount FROM refund "
        "WHERE payment_id = p.id AND status IN ('pending', 'succeeded')) r ON true "
        "WHERE p.status = 'succeeded' AND NOT p.applied AND coalesce(r.amount, 0) < p.amount "
        "AND p.succeeded_at < now() - interval '1 minute'",
    ),
    Invariant(
        "orders.failed_keep_no_money",
        "an order whose payment the bank returned has given back all the cash that it captured",
        "SELECT 'order ' || o.number || ' keeps ' || sum(p.amount) || ' ' || p.currency || ' in ' || "
        "p.account FROM orders o JOIN journal_entry e ON e.order_id = o.id "
        "AND e.kind IN ('payment_captured', 'payment_failed_late') "
        "JOIN posting p ON p.entry_id = e.id AND p.account = '1010' WHERE o.payment_state = 'failed' "
        "GROUP BY o.id, p.account, p.currency HAVING sum(p.amount) <> 0 "
        "UNION ALL SELECT 'order ' || o.number || ' failed, and its payment ' || p.intent_id || ' is ' || "
        "p.status FROM orders o JOIN payment p ON p.order_id = o.id AND p.applied "
        "WHERE (o.payment_state = 'failed') <> (p.status = 'failed')",
    ),
    Invariant(
        "reconciliation.no_difference_open",
        "every difference between processor and books was repaired, or accepted by an operator",
        "SELECT kind || ': ' || detail || ', processor ' || expected || ', books ' || found || ' ' || "
        "currency || ' (difference ' || id || ')' FROM reconciliation_difference "
        "WHERE state = 'open' ORDER BY id",
    ),
    Invariant(
        "documents.gapless",
        "the numbers of every series of documents run from 1 without a gap",
        "SELECT 'series ' || c.kind || ' of ' || c.country || ' in ' || c.fiscal_year || ': counter at ' || "
        "c.last_serial || ', ' || count(d.id) || ' documents up to ' || coalesce(max(d.serial), 0) "
        "FROM document_counter c LEFT JOIN document d USING (entity, country, kind, fiscal_year) "
        "GROUP BY c.entity, c.country, c.kind, c.fiscal_year "
        "HAVING count(d.id) <> c.last_serial OR coalesce(max(d.serial), 0) <> c.last_serial",
    ),
    Invariant(
        "documents.issued",
        "a paid order that cost something has one invoice or receipt, of its total",
        "SELECT 'order ' || o.number || ' of ' || o.total || ' has documents of ' || "
        "coalesce(string_agg(d.body->>'total', ', '), 'none') FROM orders o "
        "LEFT JOIN document d ON d.order_id = o.id AND d.kind IN ('invoice', 'receipt') "
        "AND d.refund_id IS NULL WHERE o.payment_state IN ('paid', 'failed') AND o.total > 0 GROUP BY o.id "
        "HAVING count(d.id) <> 1 OR min((d.body->>'total')::bigint) <> o.total",
    ),
    Invariant(
        "documents.come_to_what_is_kept",
        "an order's documents come to what was paid for it less all that went back",
        """
        WITH paper AS (SELECT order_id, sum((CASE kind WHEN 'credit_note' THEN -1 ELSE 1 END) *
                (body->>'total')::bigint) AS amount FROM document GROUP BY 1),
        taken AS (SELECT l.order_id, sum((t->>'gross')::bigint) AS amount FROM order_line l,
            jsonb_array_elements(l.ledger->'takings') t GROUP BY 1),
        unsent AS (SELECT order_id, sum(amount) AS amount FROM refund WHERE kind <> 'unapplied'
            AND settled_at IS NULL AND canceled_at IS NULL GROUP BY 1),
        wanted AS (SELECT o.id, o.number, o.total - coalesce(t.amount, 0) +
                CASE o.payment_state WHEN 'paid' THEN coalesce(u.amount, 0) ELSE 0 END AS amount
            FROM orders o LEFT JOIN taken t ON t.order_id = o.id LEFT JOIN unsent u ON u.order_id = o.id
            WHERE o.payment_state IN ('paid', 'failed'))
        SELECT 'order ' || w.number || ': its documents come to ' || p.amount || ', it keeps ' || w.amount
        FROM wanted w JOIN paper p ON p.order_id = w.id WHERE p.amount <> w.amount
        """,
    ),
    Invariant(
        "taxes.reported",
        "the tax calculator takes every report of a document whose tax it calculated",
        "SELECT d.number || ': ' || r.failure FROM tax_report r JOIN document d ON d.id = r.document_id "
        "WHERE r.failure IS NOT NULL",
    ),
    Invariant(
        "disputes.axis",
        "an order is disputed exactly while one of its disputes is open",
        "SELECT 'order ' || o.number || ' is ' || o.dispute_state || ', open disputes: ' || count(d.id) "
        "FROM orders o LEFT JOIN dispute d ON d.order_id = o.id AND d.state = 'open' "
        "GROUP BY o.id HAVING (o.dispute_state = 'open') <> (count(d.id) > 0)",
    ),
    Invariant(
        "disputes.receivable",
        "what banks took for open disputes stands in 1210, and nothing else does",
        "SELECT 'order ' || o.number || ' has ' || coalesce(sum(p.amount), 0) || ' in 1210, open disputes "
        "of ' || coalesce(max(d.withdrawn), 0) FROM orders o "
        "LEFT JOIN (SELECT order_id, sum(withdrawn) AS withdrawn FROM dispute WHERE state = 'open' "
        "GROUP BY order_id) d ON d.order_id = o.id "
        "LEFT JOIN journal_entry e ON e.order_id = o.id LEFT JOIN posting p ON p.entry_id = e.id "
        "AND p.account = '1210' GROUP BY o.id "
        "HAVING coalesce(sum(p.amount), 0) <> coalesce(max(d.withdrawn), 0)",
    ),
    Invariant(
        "refunds.within_paid",
        "refunds of an order never exceed what was paid for it",
        "SELECT 'order ' || o.number || ' refunds ' || sum(r.amount) || ' of ' || o.amount_paid "
        "FROM orders o JOIN refund r ON r.order_id = o.id AND r.kind <> 'unapplied' "
        "AND r.canceled_at IS NULL GROUP BY o.id HAVING sum(r.amount) > o.amount_paid",
    ),
    Invariant(
        "refunds.as_posted",
        "every refund is what the ledger promised for it, and what its lines come to",
        "SELECT 'refund ' || r.id || ' of order ' || o.number || ' is ' || r.amount || ', posted ' || "
        "coalesce(e.amount, 0) || ', by its lines ' || coalesce(l.amount, 0) "
        "FROM refund r JOIN orders o ON o.id = r.order_id "
        "LEFT JOIN LATERAL (SELECT -sum(p.amount) AS amount FROM journal_entry e JOIN posting p "
        "ON p.entry_id = e.id AND p.account = '2310' WHERE e.order_id = r.order_id "
        "AND e.event_key = 'refund:' || r.id || '\\:initiated') e ON true "
        "LEFT JOIN LATERAL (SELECT sum(gross) AS amount FROM refund_line WHERE refund_id = r.id) l ON true "
        "WHERE coalesce(e.amount, 0) <> r.amount "
        "OR (r.kind <> 'unapplied' AND coalesce(l.amount, 0) <> r.amount)",
    ),
    Invariant(
        "orders.lines_come_to_total",
        "an order's lines come to its total",
        "SELECT 'order ' || o.number || ' is ' || o.total || ', its lines ' || coalesce(sum(l.gross), 0) "
        "FROM orders o LEFT JOIN order_line l ON l.order_id = o.id GROUP BY o.id "
        "HAVING coalesce(sum(l.gross), 0) <> o.total",
    ),
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
        "refunds.counted_once",
        "an order's refunded amount is the sum of its succeeded refunds",
        "SELECT 'order ' || o.number || ' counts ' || o.amount_refunded || ' of ' "
        "|| coalesce(sum(r.amount), 0) "
        "FROM orders o LEFT JOIN refund r ON r.order_id = o.id AND r.kind <> 'unapplied' "
        "AND r.status = 'succeeded' GROUP BY o.id HAVING o.amount_refunded <> coalesce(sum(r.amount), 0)",
    ),
    Invariant(
        "seats.within_capacity",
        "seats taken are exactly the seats that order lines hold, and never exceed the capacity",
        "SELECT 'item ' || i.slug || ' counts ' || i.seats_taken || ', lines hold ' || count(l.id) "
        "FROM catalog_item i LEFT JOIN order_line l ON l.item_id = i.id AND l.holds_seat "
        "GROUP BY i.id HAVING i.seats_taken <> count(l.id) OR i.seats_taken > i.capacity",
    ),
    Invariant(
        "runs.nobody_forgotten",
        "who paid for a run that was cancelled, or given a date that is to come, has been asked, or moved, "
        "or paid back (once the change has settled)",
        "SELECT 'order ' || o.number || ' was paid for ' || i.slug || ' before it was ' || c.kind || "
        "', and nobody asked' FROM run_change c JOIN catalog_item i ON i.id = c.item_id "
        "JOIN order_line l ON l.item_id = c.item_id JOIN orders o ON o.id = l.order_id "
        "WHERE c.done_at IS NOT NULL AND o.dispute_state <> 'open' "
        f"AND NOT {run_changes.SUPERSEDED_SQL} AND {run_changes.TO_ASK_SQL}",
    ),
    Invariant(
        "resolutions.decided_in_time",
        "a question to a buyer is decided by its deadline, unless a dispute or a refund under way decides",
        "SELECT 'order ' || o.number || ': the question about ' || l.title || ' was due at ' || r.deadline "
        "FROM resolution r JOIN order_line l ON l.id = r.line_id JOIN orders o ON o.id = l.order_id "
        "WHERE r.state = 'open' AND r.deadline < now() - interval '1 day' AND o.dispute_state <> 'open' "
        "AND NOT EXISTS (SELECT FROM refund f WHERE f.order_id = o.id AND f.status <> 'succeeded' "
        "AND f.canceled_at IS NULL)",
    ),
    Invariant(
        "promotions.within_limit",
        "promotion uses are exactly the reserved and consumed ones, and never exceed the limit",
        "SELECT 'promotion ' || p.code || ' counts ' || p.uses || ', orders use ' || count(u.id) "
        "FROM promotion p LEFT JOIN promotion_use u ON u.promotion_id = p.id AND u.state <> 'released' "
        "GROUP BY p.id HAVING p.uses <> count(u.id) OR p.uses > p.usage_limit",
    ),
    Invariant(
        "entitlements.justified",
        "access is granted exactly where a paid line justifies it (once it has had a minute to settle)",
        "SELECT 'entitlement ' || e.id || ' of course ' || e.lms_course_id || ' is ' || e.status "
        "FROM entitlement e WHERE e.changed_at < now() - interval '1 minute' AND ("
        "(e.status = 'granted' AND NOT EXISTS (SELECT FROM justification j WHERE j.entitlement_id = e.id "
        "AND j.active)) OR (e.status = 'revoked' AND EXISTS (SELECT FROM justification j "
        "WHERE j.entitlement_id = e.id AND j.active)))",
    ),
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
    MERGED_PERSONS,
    Invariant(
        "merges.double_purchases_asked",
        "who paid twice for a course, with two accounts that were merged, was asked about it",
        "SELECT 'orders ' || first_number || ' and ' || number || ' paid for ' || lms_course_id "
        "|| ', and nobody asked' FROM ("
        + double_purchases.UNASKED_SQL.format(
            whose="o.user_id IN (SELECT into_user_id FROM person_merge WHERE moved_at IS NOT NULL)"
        )
        + ") u",
    ),
    EARNINGS_IDENTITY,
    Invariant(
        "ledger.snapshots_agree",
        "the newest snapshot of balances is the sum of the postings that its block covers",
        """
        WITH newest AS (SELECT number, horizon FROM seal_block
            WHERE number = (SELECT max(block) FROM balance_snapshot)),
        kept AS (SELECT account, coalesce(sub, '') AS sub, currency, amount FROM balance_snapshot, newest
            WHERE block = newest.number),
        summed AS (SELECT p.account, coalesce(p.sub, '') AS sub, p.currency, sum(p.amount) AS amount
            FROM newest JOIN journal_entry e ON e.txid < newest.horizon JOIN posting p ON p.entry_id = e.id
            GROUP BY 1, 2, 3 HAVING sum(p.amount) <> 0)
        SELECT 'snapshot of ' || account || ' ' || sub || ' ' || currency || ' says ' ||
            coalesce(k.amount, 0) || ', the postings ' || coalesce(s.amount, 0)
        FROM kept k FULL JOIN summed s USING (account, sub, currency)
        WHERE k.amount IS DISTINCT FROM s.amount
        """,
    ),
)


async def violations(session: Session, invariant: Invariant, limit: int = 20) -> list[str]:
    """What breaks the invariant, in words."""
    rows = await session.execute(text(invariant.query))
    return [str(row[0]) for row in rows.fetchmany(limit)]


@dataclass(frozen=True, slots=True)
class LineState:
    """What a line says of itself, and what is deferred for it in the ledger (debit > 0)."""

    line_id: str
    order_number: str
    ledger: dict[str, Any]
    deferred: int


async def line_states(session: Session) -> AsyncIterator[LineState]:
    """Every line of which something was posted."""
    rows = await session.stream(
        text(
            "SELECT l.id, o.number, l.ledger, coalesce(p.amount, 0) AS deferred FROM order_line l "
            "JOIN orders o ON o.id = l.order_id LEFT JOIN (SELECT sub, sum(amount) AS amount FROM posting "
            "WHERE account = '2110' GROUP BY sub) p ON p.sub = l.id::text WHERE l.ledger IS NOT NULL "
            "ORDER BY l.id"
        )
    )
    async for row in rows:
        yield LineState(str(row.id), row.number, row.ledger, int(row.deferred))


async def cash(session: Session) -> dict[str, int]:
    """The balance of processor clearing per currency, in minor units."""
    rows = await session.execute(
        text("SELECT currency, sum(amount) AS amount FROM posting WHERE account = '1010' GROUP BY currency")
    )
    return {row.currency: int(row.amount) for row in rows}


async def succeeded_intents(session: Session) -> dict[str, tuple[int, str]]:
    """Intents that we hold to have succeeded, with amount and currency."""
    rows = await session.execute(
        text("SELECT intent_id, amount, currency FROM payment WHERE status = 'succeeded'")
    )
    return {row.intent_id: (row.amount, row.currency) for row in rows}


async def returned_intents(session: Session) -> set[str]:
    """Intents whose money the bank took back: the cash tells of them, whatever the processor calls them."""
    rows = await session.execute(text("SELECT intent_id FROM payment WHERE status = 'failed'"))
    return {row.intent_id for row in rows}


async def our_intents(session: Session) -> set[str]:
    """Ids of all our intents at the processor."""
    rows = await session.execute(text("SELECT intent_id FROM payment"))
    return {row.intent_id for row in rows}


async def known_orders(session: Session) -> set[str]:
    """Ids of all orders, to tell our intents from foreign ones in a shared account."""
    rows = await session.execute(text("SELECT id FROM orders"))
    return {str(row.id) for row in rows}


async def settled_access(session: Session) -> list[tuple[str, str, bool]]:
    """(LMS user, course, granted?) of every entitlement that is at rest, with nothing owed to the LMS."""
    rows = await session.execute(
        text(
            "SELECT u.lms_user_id, e.lms_course_id, e.status = 'granted' AS granted FROM entitlement e "
            "JOIN commerce_user u ON u.id = e.user_id "
            f"WHERE e.status IN ('granted', 'revoked') AND NOT {lms_calls.OWED_SQL} ORDER BY e.id"
        )
    )
    return [(row.lms_user_id, row.lms_course_id, row.granted) for row in rows]

"""What must hold of money that goes back to the buyer: refunds, and disputes at the bank."""

from models.queries.invariants.invariant import Invariant

REFUNDS = (
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
        "refunds.counted_once",
        "an order's refunded amount is the sum of its succeeded refunds",
        "SELECT 'order ' || o.number || ' counts ' || o.amount_refunded || ' of ' "
        "|| coalesce(sum(r.amount), 0) "
        "FROM orders o LEFT JOIN refund r ON r.order_id = o.id AND r.kind <> 'unapplied' "
        "AND r.status = 'succeeded' GROUP BY o.id HAVING o.amount_refunded <> coalesce(sum(r.amount), 0)",
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
)

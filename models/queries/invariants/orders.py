"""What must hold of orders: their payments and lines, and what they take of seats and promotions."""

from models.queries.invariants.invariant import Invariant

ORDERS = (
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
        "orders.lines_come_to_total",
        "an order's lines come to its total",
        "SELECT 'order ' || o.number || ' is ' || o.total || ', its lines ' || coalesce(sum(l.gross), 0) "
        "FROM orders o LEFT JOIN order_line l ON l.order_id = o.id GROUP BY o.id "
        "HAVING coalesce(sum(l.gross), 0) <> o.total",
    ),
    Invariant(
        "seats.within_capacity",
        "seats taken are exactly the seats that order lines hold, and never exceed the capacity",
        "SELECT 'item ' || i.slug || ' counts ' || i.seats_taken || ', lines hold ' || count(l.id) "
        "FROM catalog_item i LEFT JOIN order_line l ON l.item_id = i.id AND l.holds_seat "
        "GROUP BY i.id HAVING i.seats_taken <> count(l.id) OR i.seats_taken > i.capacity",
    ),
    Invariant(
        "promotions.within_limit",
        "promotion uses are exactly the reserved and consumed ones, and never exceed the limit",
        "SELECT 'promotion ' || p.code || ' counts ' || p.uses || ', orders use ' || count(u.id) "
        "FROM promotion p LEFT JOIN promotion_use u ON u.promotion_id = p.id AND u.state <> 'released' "
        "GROUP BY p.id HAVING p.uses <> count(u.id) OR p.uses > p.usage_limit",
    ),
)

"""What must hold of invoices, receipts and credit notes, and of the tax reported from them."""

from models.queries.invariants.invariant import Invariant

DOCUMENTS = (
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
)

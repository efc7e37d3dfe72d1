"""What must hold of the ledger by itself, and against the processor."""

from models.queries.invariants.invariant import Invariant

BOOKS = (
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
        "reconciliation.no_difference_open",
        "every difference between processor and books was repaired, or accepted by an operator",
        "SELECT kind || ': ' || detail || ', processor ' || expected || ', books ' || found || ' ' || "
        "currency || ' (difference ' || id || ')' FROM reconciliation_difference "
        "WHERE state = 'open' ORDER BY id",
    ),
)

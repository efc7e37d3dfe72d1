"""What the database itself enforces: an append-only, balanced ledger, and a lesser application role."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = ("journal_entry", "posting", "outbound_event", "order_event", "document")

# A trigger on postings alone leaks: it lets an empty entry through, and a later balanced pair added to
# an old entry. So the check hangs on the entry, and postings are bound to the entry's own transaction.
LEDGER_TRIGGERS = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = '42501';
END $$;

CREATE FUNCTION posting_in_own_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE entry_txid xid8;
BEGIN
    SELECT txid INTO entry_txid FROM journal_entry WHERE id = NEW.entry_id;
    IF entry_txid IS DISTINCT FROM pg_current_xact_id() THEN
        RAISE EXCEPTION 'posting outside the transaction of its journal entry' USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER posting_in_own_transaction BEFORE INSERT ON posting
    FOR EACH ROW EXECUTE FUNCTION posting_in_own_transaction();

CREATE FUNCTION entry_balances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM posting WHERE entry_id = NEW.id) < 2 THEN
        RAISE EXCEPTION 'journal entry % has fewer than two postings', NEW.event_key USING ERRCODE = '23514';
    END IF;
    IF EXISTS (SELECT FROM posting WHERE entry_id = NEW.id GROUP BY currency HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'journal entry % does not balance', NEW.event_key USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER entry_balances AFTER INSERT ON journal_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION entry_balances();
"""

GRANTS = """
GRANT USAGE ON SCHEMA public TO commerce_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO commerce_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO commerce_app;
REVOKE ALL ON alembic_version FROM commerce_app;
GRANT SELECT ON alembic_version TO commerce_app;
"""

# Clock and transaction of an entry belong to the database: the application can't write them.
LEDGER_GRANTS = """
REVOKE ALL ON journal_entry, posting FROM commerce_app;
GRANT SELECT ON journal_entry, posting TO commerce_app;
GRANT INSERT (id, entity, event_key, kind, order_id, reverses, content_hash, effective_at)
    ON journal_entry TO commerce_app;
GRANT INSERT (id, entry_id, ordinal, account, sub, currency, amount) ON posting TO commerce_app;
"""


def upgrade() -> None:
    """Sequence, triggers, grants."""
    op.execute("CREATE SEQUENCE order_number_seq")
    op.execute(LEDGER_TRIGGERS)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(GRANTS)
    op.execute(LEDGER_GRANTS)
    for table in ("outbound_event", "order_event", "document"):
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM commerce_app")


def downgrade() -> None:
    """The guards of the ledger are not taken off again."""
    raise RuntimeError("the ledger's guards can't be removed")

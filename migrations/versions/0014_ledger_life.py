"""periods of the ledger, its chain of seals, snapshots of balances"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Closing is "through": a closed month closes all before it, so an entry can't slip in under a balance
# that was carried forward. What is closed stays closed; what is soft-closed can be opened again.
PERIODS = """
CREATE TABLE period_change (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity varchar NOT NULL,
    month date NOT NULL,
    status varchar NOT NULL,
    reason varchar,
    changed_by uuid NOT NULL REFERENCES commerce_user (id),
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT period_is_a_month CHECK (extract(day FROM month) = 1),
    CONSTRAINT period_status CHECK (status IN ('open', 'soft_closed', 'closed'))
);
CREATE INDEX period_change_by_entity ON period_change (entity, number);

CREATE FUNCTION ledger_closed_through(varchar) RETURNS date LANGUAGE sql STABLE AS $$
    SELECT max(month) FROM period_change WHERE entity = $1 AND status = 'closed'
$$;

-- The last month into which no automatic fact may be posted: soft-closed or closed.
CREATE FUNCTION ledger_soft_closed_through(varchar) RETURNS date LANGUAGE sql STABLE AS $$
    SELECT greatest(ledger_closed_through($1), (
        SELECT CASE status WHEN 'open' THEN (month - interval '1 month')::date ELSE month END
        FROM period_change WHERE entity = $1 AND status <> 'closed' ORDER BY number DESC LIMIT 1))
$$;

-- A month begins at midnight in UTC.
CREATE FUNCTION month_start(date) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT $1::timestamp AT TIME ZONE 'UTC'
$$;
CREATE FUNCTION month_of(timestamptz) RETURNS date LANGUAGE sql IMMUTABLE AS $$
    SELECT date_trunc('month', $1 AT TIME ZONE 'UTC')::date
$$;

-- Whoever posts shares this lock until the commit, whoever closes has it alone: no entry is on its way
-- into a month while it is being closed.
CREATE FUNCTION period_lock(varchar) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtextextended('ledger/periods/' || $1, 0)
$$;

CREATE FUNCTION entry_in_open_period() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE closed date; soft date;
BEGIN
    NEW.occurred_at := coalesce(NEW.occurred_at, NEW.effective_at);
    PERFORM pg_advisory_xact_lock_shared(period_lock(NEW.entity));
    closed := ledger_closed_through(NEW.entity);
    soft := ledger_soft_closed_through(NEW.entity);
    IF month_of(NEW.effective_at) <= closed THEN
        RAISE EXCEPTION 'the ledger is closed through %', to_char(closed, 'YYYY-MM')
            USING ERRCODE = '23514', CONSTRAINT = 'period_open';
    END IF;
    IF NEW.operator_id IS NULL AND month_of(NEW.effective_at) <= soft THEN
        RAISE EXCEPTION 'the ledger is soft-closed through %', to_char(soft, 'YYYY-MM')
            USING ERRCODE = '23514', CONSTRAINT = 'period_open';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION period_change_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(period_lock(NEW.entity));
    IF NEW.month <= ledger_closed_through(NEW.entity) THEN
        RAISE EXCEPTION 'a closed period stays closed' USING ERRCODE = '23514', CONSTRAINT = 'period_final';
    END IF;
    IF NEW.status <> 'open' AND month_start((NEW.month + interval '1 month')::date) > now() THEN
        RAISE EXCEPTION 'the period is not over' USING ERRCODE = '23514', CONSTRAINT = 'period_over';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER period_change_allowed BEFORE INSERT ON period_change
    FOR EACH ROW EXECUTE FUNCTION period_change_allowed();
"""

ENTRY_COLUMNS = """
ALTER TABLE journal_entry ADD COLUMN occurred_at timestamptz, ADD COLUMN operator_id uuid;
ALTER TABLE journal_entry DISABLE TRIGGER append_only;
UPDATE journal_entry SET occurred_at = effective_at;
ALTER TABLE journal_entry ENABLE TRIGGER append_only;
ALTER TABLE journal_entry ALTER COLUMN occurred_at SET NOT NULL,
    ADD CONSTRAINT late_facts_move_forward CHECK (effective_at >= occurred_at);
CREATE TRIGGER entry_in_open_period BEFORE INSERT ON journal_entry
    FOR EACH ROW EXECUTE FUNCTION entry_in_open_period();
CREATE INDEX journal_by_effective ON journal_entry (effective_at, id);
CREATE INDEX journal_by_txid ON journal_entry (txid, id);
GRANT INSERT (occurred_at, operator_id) ON journal_entry TO commerce_app;
"""

# A block holds every entry of the transactions from the horizon before it up to its own, and its own is
# never above the oldest transaction still running: so nothing can be committed behind a block.
SEALS = """
CREATE TABLE seal_block (
    number bigint PRIMARY KEY,
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    horizon xid8 NOT NULL,
    previous_hash varchar(64) NOT NULL,
    block_hash varchar(64) NOT NULL,
    sealed_at timestamptz NOT NULL,
    CONSTRAINT block_not_empty CHECK (first_position >= 1 AND last_position >= first_position)
);
CREATE TABLE sealed_entry (
    position bigint PRIMARY KEY,
    block bigint NOT NULL REFERENCES seal_block (number),
    entry_id uuid NOT NULL UNIQUE REFERENCES journal_entry (id),
    header_hash varchar(64) NOT NULL,
    postings_hash varchar(64) NOT NULL
);
CREATE INDEX ix_sealed_entry_block ON sealed_entry (block);
CREATE TABLE balance_snapshot (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    block bigint NOT NULL REFERENCES seal_block (number),
    account varchar(4) NOT NULL,
    sub varchar,
    currency varchar(3) NOT NULL,
    amount bigint NOT NULL,
    CONSTRAINT snapshot_once UNIQUE NULLS NOT DISTINCT (block, account, sub, currency)
);

CREATE FUNCTION block_follows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE head seal_block;
BEGIN
    SELECT * INTO head FROM seal_block ORDER BY number DESC LIMIT 1;
    IF NEW.number <> coalesce(head.number, 0) + 1
        OR NEW.first_position <> coalesce(head.last_position, 0) + 1
        OR NEW.previous_hash <> coalesce(head.block_hash, repeat('0', 64))
        OR NEW.horizon <= coalesce(head.horizon, '0'::xid8)
        OR NEW.sealed_at <> now() THEN
        RAISE EXCEPTION 'block % does not follow block %', NEW.number, coalesce(head.number, 0)
            USING ERRCODE = '23514';
    END IF;
    IF NEW.horizon > pg_snapshot_xmin(pg_current_snapshot()) THEN
        RAISE EXCEPTION 'block % would pass over transactions that still run', NEW.number
            USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER block_follows BEFORE INSERT ON seal_block
    FOR EACH ROW EXECUTE FUNCTION block_follows();

CREATE FUNCTION position_in_block() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM seal_block WHERE number = NEW.block
        AND NEW.position BETWEEN first_position AND last_position) THEN
        RAISE EXCEPTION 'position % is not in block %', NEW.position, NEW.block USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER position_in_block BEFORE INSERT ON sealed_entry
    FOR EACH ROW EXECUTE FUNCTION position_in_block();

CREATE FUNCTION block_is_whole() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE since xid8 := coalesce((SELECT horizon FROM seal_block WHERE number = NEW.number - 1), '0'::xid8);
BEGIN
    IF (SELECT count(*) FROM sealed_entry WHERE block = NEW.number)
            <> NEW.last_position - NEW.first_position + 1
        OR (SELECT count(*) FROM journal_entry WHERE txid >= since AND txid < NEW.horizon)
            <> NEW.last_position - NEW.first_position + 1
        OR EXISTS (SELECT FROM journal_entry e WHERE e.txid >= since AND e.txid < NEW.horizon
            AND NOT EXISTS (SELECT FROM sealed_entry s WHERE s.entry_id = e.id AND s.block = NEW.number)) THEN
        RAISE EXCEPTION 'block % leaves entries out', NEW.number USING ERRCODE = '23514';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER block_is_whole AFTER INSERT ON seal_block
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION block_is_whole();

REVOKE ALL ON period_change, seal_block, sealed_entry, balance_snapshot FROM commerce_app;
GRANT SELECT, INSERT ON seal_block, sealed_entry, balance_snapshot TO commerce_app;
GRANT SELECT, INSERT (entity, month, status, reason, changed_by) ON period_change TO commerce_app;
"""

APPEND_ONLY = ("period_change", "seal_block", "sealed_entry", "balance_snapshot")


def upgrade() -> None:
    """What stands in the ledger already is sealed by the first run of the sealer."""
    op.execute(PERIODS)
    op.execute(ENTRY_COLUMNS)
    op.execute(SEALS)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    """The guards of the ledger are not taken off again."""
    raise RuntimeError("the ledger's guards can't be removed")

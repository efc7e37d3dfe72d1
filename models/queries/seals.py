"""The chain of seals: giving entries their positions in blocks, and reading the chain for verification."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.seals import GENESIS, EntryImage, Leaf, PostingImage, block_hash, leaf_of
from models.database import Session

# A snapshot of balances pays when it saves reading at least this many entries.
SNAPSHOT_ENTRIES = 1000

# Of journal_entry `e`: what `image` reads.
ENTRY_COLUMNS = (
    "e.id, e.entity, e.event_key, e.kind, e.order_id, e.reverses, e.operator_id, e.content_hash, "
    "e.occurred_at, e.effective_at, e.recorded_at, (SELECT coalesce(jsonb_agg(jsonb_build_array(p.ordinal, "
    "p.account, p.sub, p.currency, p.amount) ORDER BY p.ordinal, p.id), '[]') FROM posting p "
    "WHERE p.entry_id = e.id) AS postings"
)

# What may be sealed now: entries of transactions below the oldest that still runs, by this statement's
# own snapshot, so that nothing can be committed behind them. A block ends between two transactions:
# `cut` is the transaction in which the limit is passed (never the first one, or a large one would stick).
SEALABLE = (
    "WITH edge AS MATERIALIZED (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xmin), "
    "cut AS MATERIALIZED (SELECT rest.txid FROM (SELECT txid FROM journal_entry WHERE txid >= :since "
    "ORDER BY txid, id OFFSET :limit) AS rest WHERE rest.txid > (SELECT txid FROM journal_entry "
    "WHERE txid >= :since ORDER BY txid, id LIMIT 1) LIMIT 1), "
    "horizon AS MATERIALIZED (SELECT least(edge.xmin, cut.txid) AS value FROM edge LEFT JOIN cut ON true) "
    f"SELECT {ENTRY_COLUMNS}, horizon.value AS horizon FROM journal_entry e, horizon "
    "WHERE e.txid >= :since AND e.txid < horizon.value ORDER BY e.txid, e.id"
)


@dataclass(frozen=True, slots=True)
class Head:
    """The chain's last block."""

    number: int
    position: int
    hash: str
    horizon: str


EMPTY = Head(0, 0, GENESIS, "0")


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A block as it is stored."""

    number: int
    first_position: int
    last_position: int
    horizon: str
    previous_hash: str
    block_hash: str
    sealed_at: datetime


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A sealed entry: what was sealed, and what stands there now (None: deleted)."""

    position: int
    entry_id: str
    leaf: Leaf
    entry: EntryImage | None


async def head(session: Session) -> Head:
    """The last block, or what stands before the first."""
    row = (
        await session.execute(
            text(
                "SELECT number, last_position, block_hash, horizon::text AS horizon FROM seal_block "
                "ORDER BY number DESC LIMIT 1"
            )
        )
    ).one_or_none()
    return EMPTY if row is None else Head(row.number, row.last_position, row.block_hash, row.horizon)


async def seal_next(session: Session, *, limit: int) -> Head | None:
    """Seal the next block, of about `limit` entries; None when there is nothing to seal, or another seals.

    Writers are never waited for and never wait. The database refuses a block that leaves an entry out.
    """
    alone = await session.scalar(text("SELECT pg_try_advisory_xact_lock(hashtextextended('ledger/seal', 0))"))
    if not alone:
        return None
    last = await head(session)
    rows = (await session.execute(text(SEALABLE), {"since": last.horizon, "limit": limit})).all()
    if not rows:
        return None
    sealed_at: datetime = (await session.execute(text("SELECT now()"))).scalar_one()
    number, first, horizon = last.number + 1, last.position + 1, str(rows[0].horizon)
    leaves = [(str(row.id), leaf_of(image(row))) for row in rows]
    digest = block_hash(number, first, last.hash, horizon, sealed_at, leaves)
    await _insert(session, BlockRow(
        number, first, last.position + len(rows), horizon, last.hash, digest, sealed_at
    ), leaves)  # fmt: skip
    return Head(number, last.position + len(rows), digest, horizon)


async def _insert(session: Session, block: BlockRow, leaves: Sequence[tuple[str, Leaf]]) -> None:
    await session.execute(
        text(
            "INSERT INTO seal_block (number, first_position, last_position, horizon, previous_hash, "
            "block_hash, sealed_at) VALUES (:number, :first, :last, CAST(:horizon AS xid8), :previous, "
            ":digest, :sealed_at)"
        ),
        {
            "number": block.number,
            "first": block.first_position,
            "last": block.last_position,
            "horizon": block.horizon,
            "previous": block.previous_hash,
            "digest": block.block_hash,
            "sealed_at": block.sealed_at,
        },
    )
    await session.execute(
        text(
            "INSERT INTO sealed_entry (position, block, entry_id, header_hash, postings_hash) "
            "SELECT :first + place - 1, :block, id, header, postings FROM unnest(CAST(:ids AS uuid[]), "
            "CAST(:headers AS text[]), CAST(:postings AS text[])) "
            "WITH ORDINALITY AS leaf (id, header, postings, place)"
        ),
        {
            "first": block.first_position,
            "block": block.number,
            "ids": [entry_id for entry_id, _ in leaves],
            "headers": [leaf.header for _, leaf in leaves],
            "postings": [leaf.postings for _, leaf in leaves],
        },
    )


async def take_snapshot(session: Session, *, least: int = SNAPSHOT_ENTRIES) -> int:
    """Keep all balances as of the last block, once enough was sealed since the snapshot before.

    Enough is `least` entries, and as many as the snapshot before has rows: so all snapshots together
    never hold more rows than the ledger has entries. Returns the rows written.
    """
    added = await session.execute(
        text(
            "WITH before AS (SELECT max(block) AS block, count(*) AS size FROM balance_snapshot "
            "WHERE block = (SELECT max(block) FROM balance_snapshot)), "
            "old AS (SELECT coalesce(max(last_position), 0) AS position, "
            "coalesce(max(horizon::text), '0')::xid8 AS horizon FROM seal_block, before "
            "WHERE number = before.block), "
            "new AS (SELECT number, last_position, horizon FROM seal_block ORDER BY number DESC LIMIT 1) "
            "INSERT INTO balance_snapshot (block, account, sub, currency, amount) "
            "SELECT new.number, b.account, b.sub, b.currency, sum(b.amount) FROM new, old, before, LATERAL ("
            "SELECT s.account, s.sub, s.currency, s.amount FROM balance_snapshot s "
            "WHERE s.block = before.block UNION ALL "
            "SELECT p.account, p.sub, p.currency, p.amount FROM journal_entry e "
            "JOIN posting p ON p.entry_id = e.id WHERE e.txid >= old.horizon AND e.txid < new.horizon) AS b "
            "WHERE new.last_position - old.position >= greatest(:least, before.size) "
            "GROUP BY 1, 2, 3, 4 HAVING sum(b.amount) <> 0"
        ),
        {"least": least},
    )
    return int(getattr(added, "rowcount", 0))


async def blocks(session: Session) -> AsyncIterator[BlockRow]:
    """All blocks by number."""
    rows = await session.stream(
        text(
            "SELECT number, first_position, last_position, horizon::text AS horizon, previous_hash, "
            "block_hash, sealed_at FROM seal_block ORDER BY number"
        )
    )
    async for row in rows:
        yield BlockRow(*row)


async def sealed_in(session: Session, block: int) -> list[SealedRow]:
    """What a block sealed, by position, with the entries as they stand now."""
    rows = await session.execute(
        text(
            "SELECT s.position, s.entry_id, s.header_hash, s.postings_hash, "
            f"{ENTRY_COLUMNS} FROM sealed_entry s LEFT JOIN journal_entry e ON e.id = s.entry_id "
            "WHERE s.block = :block ORDER BY s.position"
        ),
        {"block": block},
    )
    return [
        SealedRow(
            row.position,
            str(row.entry_id),
            Leaf(row.header_hash, row.postings_hash),
            None if row.id is None else image(row),
        )
        for row in rows
    ]


async def unsealed(session: Session) -> AsyncIterator[tuple[EntryImage, bool]]:
    """Entries in no block; True for one that a block passed over."""
    rows = await session.stream(
        text(
            f"SELECT {ENTRY_COLUMNS}, e.txid < coalesce((SELECT horizon FROM seal_block ORDER BY number DESC "
            "LIMIT 1), '0'::xid8) AS passed FROM journal_entry e "
            "WHERE NOT EXISTS (SELECT FROM sealed_entry s WHERE s.entry_id = e.id) ORDER BY e.id"
        )
    )
    async for row in rows:
        yield image(row), row.passed


async def orphans(session: Session) -> list[str]:
    """Postings whose entry is gone, and seals whose block is, in words."""
    rows = await session.execute(
        text(
            "SELECT 'a posting of ' || amount || ' ' || currency || ' to ' || account || ' has no entry' "
            "FROM posting p WHERE NOT EXISTS (SELECT FROM journal_entry e WHERE e.id = p.entry_id) "
            "UNION ALL SELECT 'position ' || position || ' is sealed in block ' || block || "
            "', which does not exist' FROM sealed_entry s "
            "WHERE NOT EXISTS (SELECT FROM seal_block b WHERE b.number = s.block)"
        )
    )
    return [str(row[0]) for row in rows]


def image(row: Row[Any]) -> EntryImage:
    """The entry of a row with ENTRY_COLUMNS."""
    return EntryImage(
        id=str(row.id),
        entity=row.entity,
        event_key=row.event_key,
        kind=row.kind,
        order_id=None if row.order_id is None else str(row.order_id),
        reverses=None if row.reverses is None else str(row.reverses),
        operator_id=None if row.operator_id is None else str(row.operator_id),
        content_hash=row.content_hash,
        occurred_at=row.occurred_at,
        effective_at=row.effective_at,
        recorded_at=row.recorded_at,
        postings=tuple(PostingImage(*posting) for posting in row.postings),
    )

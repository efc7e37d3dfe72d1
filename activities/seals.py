"""Sealing the ledger, and checking its chain against what stands in the tables now."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.boundary import Transactions, translated
from domain.seals import GENESIS, EntryImage, block_hash, content_hash_of, leaf_of
from models.database import Database, Session, see_one_moment
from models.queries import seals
from models.queries.seals import BlockRow, SealedRow

log = logging.getLogger(__name__)

_BLOCK_ENTRIES = 1000
# An entry may be recorded (its transaction begun) before the last seal; not by as much as this.
_LONGEST_TRANSACTION = timedelta(hours=1)
_OVERDUE = timedelta(minutes=10)
_NAMED = 20


@dataclass(frozen=True)
class Sealed:
    """The head of the chain after a run of the sealer, and how many entries the run sealed."""

    block: int
    position: int
    hash: str
    entries: int


class SealActivities:
    """The step of the sealer; `commerce verify` reads the chain."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    @activity.defn
    @translated
    async def seal_ledger(self) -> Sealed:
        """Seal all that may be sealed now, block by block, a transaction each."""
        async with self._transactions.begin() as tx:
            before = await seals.head(tx.session)
        last = before
        while True:
            async with self._transactions.begin() as tx:
                sealed = await seals.seal_next(tx.session, limit=_BLOCK_ENTRIES)
            if sealed is None:
                break
            last = sealed
        if last.number > before.number:
            async with self._transactions.begin() as tx:
                await seals.take_snapshot(tx.session)
            # Kept outside the database, so that even an owner who rewrites the whole chain is noticed.
            log.info("ledger sealed through block %s, position %s: %s", last.number, last.position, last.hash)
        return Sealed(last.number, last.position, last.hash, last.position - before.position)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A block and its hash as somebody outside the database remembers them."""

    block: int
    hash: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What is wrong with the chain, in words, and its head."""

    violations: list[str]
    head: str


class ChainCheck:
    """Recomputes the chain from the postings. It trusts no stored hash but those that it compares."""

    def __init__(self, database: Database, anchor: Anchor | None = None) -> None:
        self._database = database
        self._anchor = anchor
        self._found: list[str] = []

    async def run(self, progress: Callable[[str], None] = lambda _: None) -> ChainReport:
        """Check the database at one moment."""
        async with self._database.transaction() as session:
            await see_one_moment(session)
            return await self.walk(session, progress)

    async def walk(self, session: Session, progress: Callable[[str], None] = lambda _: None) -> ChainReport:
        """Check every block, what stands in none, and what hangs loose."""
        self._found = []
        last = BlockRow(0, 0, 0, "0", "", GENESIS, datetime.fromtimestamp(0, UTC))
        anchored = self._anchor is None
        for block in [block async for block in seals.blocks(session)]:
            progress(f"ledger.hash_chain, block {block.number}")
            self._follows(block, last)
            self._holds(block, last, await seals.sealed_in(session, block.number))
            if self._anchor is not None and block.number == self._anchor.block:
                anchored = True
                if block.block_hash != self._anchor.hash:
                    self._found.append(f"block {block.number} is not the one that the anchor remembers")
            last = block
        if not anchored and self._anchor is not None:
            self._found.append(f"block {self._anchor.block}, which the anchor remembers, is missing")
        async for entry, passed in seals.unsealed(session):
            self._unsealed(entry, passed=passed)
        self._found += await seals.orphans(session)
        more = len(self._found) - _NAMED
        named = self._found[:_NAMED] + ([f"and {more} more"] if more > 0 else [])
        return ChainReport(named, f"{last.number}:{last.block_hash}")

    def _follows(self, block: BlockRow, last: BlockRow) -> None:
        if block.number > last.number + 1:
            gap = f"block {last.number + 1} is missing"
            if block.number > last.number + 2:
                gap = f"blocks {last.number + 1} to {block.number - 1} are missing"
            self._found.append(gap)
            return
        if block.previous_hash != last.block_hash:
            self._found.append(f"block {block.number} does not follow block {last.number}")
        if block.first_position != last.last_position + 1:
            self._found.append(
                f"block {block.number} begins at position {block.first_position}, "
                f"not at {last.last_position + 1}"
            )

    def _holds(self, block: BlockRow, last: BlockRow, rows: list[SealedRow]) -> None:
        positions = {row.position for row in rows}
        for position in range(block.first_position, block.last_position + 1):
            if position not in positions:
                self._found.append(f"position {position} of block {block.number} is missing")
        for row in rows:
            if not block.first_position <= row.position <= block.last_position:
                self._found.append(f"position {row.position} was added to block {block.number}")
            self._entry(block, last, row)
        leaves = [(row.entry_id, row.leaf) for row in rows]
        digest = block_hash(
            block.number, block.first_position, block.previous_hash, block.horizon, block.sealed_at, leaves
        )
        if digest != block.block_hash:
            self._found.append(
                f"block {block.number} is not what was sealed: entries were reordered, exchanged, added or "
                "removed, or its own row was changed"
            )

    def _entry(self, block: BlockRow, last: BlockRow, row: SealedRow) -> None:
        where = f"at position {row.position} in block {block.number}"
        if row.entry is None:
            self._found.append(f"entry {row.entry_id} {where} was deleted")
            return
        now = leaf_of(row.entry)
        if now.postings != row.leaf.postings:
            self._found.append(f"entry {row.entry.event_key} {where}: its postings were changed")
        if now.header != row.leaf.header:
            self._found.append(f"entry {row.entry.event_key} {where}: its date, key or kind was changed")
        if row.entry.recorded_at < last.sealed_at - _LONGEST_TRANSACTION:
            self._found.append(
                f"entry {row.entry.event_key} {where} was inserted with an old date: "
                f"it says {row.entry.recorded_at:%Y-%m-%d %H:%M}, the block before is of "
                f"{last.sealed_at:%Y-%m-%d %H:%M}"
            )
        if content_hash_of(row.entry) != row.entry.content_hash:
            self._found.append(f"entry {row.entry.event_key} {where}: its content hash does not fit")

    def _unsealed(self, entry: EntryImage, *, passed: bool) -> None:
        if content_hash_of(entry) != entry.content_hash:
            self._found.append(f"entry {entry.event_key}, not sealed yet: its content hash does not fit")
        if passed:
            self._found.append(
                f"entry {entry.event_key} is in no block, and older than the last one: inserted behind the "
                "chain, or its seal was removed"
            )
        elif datetime.now(UTC) - entry.recorded_at > _OVERDUE:
            self._found.append(
                f"entry {entry.event_key} waits for its seal since {entry.recorded_at:%Y-%m-%d %H:%M}"
            )

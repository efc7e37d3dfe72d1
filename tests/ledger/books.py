"""Posting to a ledger, sealing it and checking it, as the product does."""

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from sqlalchemy import text

from activities.seals import Anchor, ChainCheck
from domain.ledger import Account, EntryDraft, EntryKind, Posting
from models.database import Database, Session
from models.queries import balances, ledger, seals
from models.queries.ledger import PostedEntry
from models.queries.seals import Head


def fee(key: str | None = None, *, amount: int = 30, currency: str = "USD") -> EntryDraft:
    """A processor's fee, in minor units."""
    return EntryDraft(
        EntryKind.PROCESSOR_FEE,
        key or f"test:{uuid.uuid4()}",
        (
            Posting(Account.PROCESSOR_FEES, None, currency, amount),
            Posting(Account.PROCESSOR_CLEARING, None, currency, -amount),
        ),
    )


@dataclass
class Books:
    """One ledger."""

    database: Database
    owner_url: str

    async def post(
        self, *drafts: EntryDraft, at: datetime | None = None, operator_id: str | None = None
    ) -> list[PostedEntry]:
        """Entries in one transaction."""
        async with self.database.transaction() as session:
            return await self.post_in(session, *drafts, at=at, operator_id=operator_id)

    async def post_in(
        self,
        session: Session,
        *drafts: EntryDraft,
        at: datetime | None = None,
        operator_id: str | None = None,
    ) -> list[PostedEntry]:
        """Entries in an open transaction."""
        return await ledger.post(
            session,
            drafts or [fee()],
            order_id=None,
            effective_at=at or datetime.now(UTC),
            operator_id=operator_id,
        )

    async def seal(self, limit: int = 1000) -> Head | None:
        """One block."""
        async with self.database.transaction() as session:
            return await seals.seal_next(session, limit=limit)

    async def seal_all(self, limit: int = 1000) -> None:
        """Until nothing is left. Transactions of other tests, on the same server, hold it up for a while."""
        async with asyncio.timeout(20):
            while await self.count("journal_entry") > await self.count("sealed_entry"):
                if await self.seal(limit) is None:
                    await asyncio.sleep(0.01)

    async def check(self, anchor: Anchor | None = None) -> list[str]:
        """What `commerce verify` says of the chain."""
        return (await ChainCheck(self.database, anchor).run()).violations

    async def count(self, table: str) -> int:
        """Rows of a table."""
        return int(await self.scalar(f"SELECT count(*) FROM {table}"))

    async def scalar(self, query: str) -> object:
        """One value."""
        async with self.database.transaction() as session:
            return await session.scalar(text(query))

    async def positions(self) -> list[int]:
        """All positions of the chain, in order."""
        async with self.database.transaction() as session:
            rows = await session.execute(text("SELECT position FROM sealed_entry ORDER BY position"))
            return [row.position for row in rows]

    async def balances(self) -> dict[tuple[str, str], int]:
        """Balances now by account and currency."""
        async with self.database.transaction() as session:
            found = await balances.trial(session, at=None, recorded_at=None)
        return {(balance.account, balance.currency): balance.amount for balance in found}

    def as_owner(self, *statements: str) -> None:
        """Change the tables as their owner, who can put the triggers aside."""
        with psycopg.connect(self.owner_url) as owner:
            for statement in statements:
                owner.execute(statement)  # type: ignore[arg-type]

"""The ledger as text, read on one snapshot of the database and never held in memory whole."""

from collections.abc import AsyncIterator
from datetime import datetime

from domain.seals import PostingImage
from integrations.journal_export import ExportFormat, export
from models.database import Database, see_one_moment
from models.queries import balances, journals


async def export_ledger(
    database: Database, form: ExportFormat, *, since: datetime | None, until: datetime | None
) -> AsyncIterator[str]:
    """Entries by effective time, `until` excluded, in pieces of text."""
    async with database.transaction() as session:
        await see_one_moment(session)
        carried = [] if since is None else await balances.before(session, since)
        opening = [
            PostingImage(number, balance.account, balance.sub, balance.currency, balance.amount)
            for number, balance in enumerate(carried, start=1)
        ]
        entries = journals.stream(session, since=since, until=until)
        async for piece in export(form, entries, opening=opening, since=since):
            yield piece

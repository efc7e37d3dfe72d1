"""Periods that close: what comes late moves on, and what is closed stays as it was."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from temporalio.client import Client

from activities.boundary import Transactions
from activities.payees import PayeeActivities
from domain.errors import Conflict, LedgerError, Unavailable
from domain.ledger import settle_payout
from domain.messages import CorrectionInput
from integrations.dispatch import Dispatcher
from models.queries import balances, orders, periods, recorded_commands
from tests.ledger.books import Books, fee

JANUARY, FEBRUARY, MARCH = date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)
IN_JANUARY = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
IN_FEBRUARY = datetime(2026, 2, 10, tzinfo=UTC)
START_OF_FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
START_OF_MARCH = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def operator_id(books: Books) -> str:
    """Somebody who may close periods."""
    async with books.database.transaction() as session:
        return str(
            await session.scalar(
                text(
                    "INSERT INTO commerce_user (lms_user_id, username, full_name) VALUES ('1', 'o', 'O') "
                    "RETURNING id"
                )
            )
        )


async def close(books: Books, month: date, operator_id: str, *, hard: bool) -> None:
    async with books.database.transaction() as session:
        await periods.close(session, month, hard=hard, operator_id=operator_id, reason=None)


async def reopen(books: Books, month: date, operator_id: str) -> None:
    async with books.database.transaction() as session:
        await periods.reopen(session, month, operator_id=operator_id, reason="a late invoice")


async def dates(books: Books, key: str) -> tuple[datetime, datetime]:
    """(occurred, effective) of an entry."""
    async with books.database.transaction() as session:
        row = (
            await session.execute(
                text("SELECT occurred_at, effective_at FROM journal_entry WHERE event_key = :key"),
                {"key": key},
            )
        ).one()
        return row.occurred_at, row.effective_at


async def statuses(books: Books) -> dict[str, str]:
    async with books.database.transaction() as session:
        rows = await periods.page(session, before=date(2026, 5, 1), limit=100)
        return {row.month.strftime("%m"): row.status for row in rows}


async def fees(books: Books, at: datetime | None, recorded_at: datetime | None = None) -> int:
    """The balance of 5020 in USD at a moment, as it was known at a moment."""
    async with books.database.transaction() as session:
        found = await balances.trial(session, at=at, recorded_at=recorded_at)
        sums: dict[str, int] = {}
        for balance in found:
            sums[balance.currency] = sums.get(balance.currency, 0) + balance.amount
        assert not any(sums.values())
        return sum(b.amount for b in found if b.account == "5020" and b.currency == "USD")


@pytest.mark.parametrize("hard", [False, True])
async def test_a_late_fact_moves_to_the_first_open_month(books: Books, operator_id: str, hard: bool) -> None:
    await books.post(fee("in time"), at=IN_JANUARY)
    await close(books, JANUARY, operator_id, hard=hard)
    await books.post(fee("late"), at=IN_JANUARY)
    await books.post(fee("older"), at=datetime(2025, 6, 1, tzinfo=UTC))
    await books.post(fee("open"), at=IN_FEBRUARY)
    assert await dates(books, "in time") == (IN_JANUARY, IN_JANUARY)
    assert await dates(books, "late") == (IN_JANUARY, START_OF_FEBRUARY)
    assert (await dates(books, "older"))[1] == START_OF_FEBRUARY
    assert await dates(books, "open") == (IN_FEBRUARY, IN_FEBRUARY)
    await close(books, FEBRUARY, operator_id, hard=False)
    await books.post(fee("later"), at=IN_JANUARY)
    assert await dates(books, "later") == (IN_JANUARY, START_OF_MARCH)


async def test_a_fact_that_comes_again_after_the_close_is_the_same(books: Books, operator_id: str) -> None:
    (first,) = await books.post(fee("x"), at=IN_JANUARY)
    (theirs,) = await books.post(fee("y"), at=IN_JANUARY, operator_id=operator_id)
    await close(books, JANUARY, operator_id, hard=True)
    (again,) = await books.post(fee("x"), at=IN_JANUARY)
    assert (again.id, again.fresh) == (first.id, False)
    (again,) = await books.post(fee("y"), at=IN_JANUARY, operator_id=operator_id)
    assert (again.id, again.fresh) == (theirs.id, False)
    with pytest.raises(LedgerError):
        await books.post(fee("x", amount=31), at=IN_JANUARY)


async def test_only_adjustments_go_into_a_soft_closed_month(books: Books, operator_id: str) -> None:
    await books.post(fee(), at=IN_JANUARY)
    await close(books, JANUARY, operator_id, hard=False)
    await books.post(fee("adjustment"), at=IN_JANUARY, operator_id=operator_id)
    assert await dates(books, "adjustment") == (IN_JANUARY, IN_JANUARY)
    await reopen(books, JANUARY, operator_id)
    await books.post(fee("in time after all"), at=IN_JANUARY)
    assert (await dates(books, "in time after all"))[1] == IN_JANUARY
    await close(books, JANUARY, operator_id, hard=True)
    with pytest.raises(Conflict, match="closed through 2026-01") as refusal:
        await books.post(fee("refused"), at=IN_JANUARY, operator_id=operator_id)
    assert refusal.value.code == "period_closed"
    assert await books.count("journal_entry") == 3


async def test_a_write_off_may_go_into_a_soft_closed_month(
    books: Books, operator_id: str, temporal_client: Client
) -> None:
    activities = PayeeActivities(
        Transactions(books.database, Dispatcher(temporal_client, "nobody")),
        Dispatcher(temporal_client, "nobody"),
    )

    async def write_off(amount: int, at: datetime) -> str | None:
        body = {"payee": "lms:1", "currency": "USD", "amount": amount, "reason": "gone"}
        async with books.database.transaction() as session:
            asked = await orders.new_id(session)
            await recorded_commands.record(
                session, asked, "write_off", operator_id, body | {"effective_at": at.isoformat()}
            )
        done = await activities.correct(CorrectionInput(asked))
        return None if done.refusal is None else done.refusal.code

    (debt,) = settle_payout("po_1", "lms:1", amount=500, currency="USD").entries
    await books.post(debt, at=IN_JANUARY)
    await close(books, JANUARY, operator_id, hard=False)
    assert await write_off(100, IN_JANUARY - timedelta(days=1)) == "write_off_exceeds_debt"
    assert await write_off(200, IN_JANUARY) is None
    async with books.database.transaction() as session:
        before = await balances.trial(session, at=IN_JANUARY, recorded_at=None)
    assert {b.account: b.amount for b in before} == {"1090": -500, "2220": 300, "5040": 200}
    await close(books, JANUARY, operator_id, hard=True)
    assert await write_off(200, IN_JANUARY) == "period_closed"
    assert await write_off(300, IN_FEBRUARY) is None
    assert await books.scalar("SELECT count(operator_id) FROM journal_entry") == 2


async def test_closing_closes_all_before_and_reopening_opens_all_after(
    books: Books, operator_id: str
) -> None:
    await books.post(at=datetime(2025, 12, 5, tzinfo=UTC))
    await close(books, FEBRUARY, operator_id, hard=False)
    soft, hard = "soft_closed", "closed"
    assert await statuses(books) == {"12": soft, "01": soft, "02": soft, "03": "open", "04": "open"}
    await reopen(books, JANUARY, operator_id)
    assert await statuses(books) == {"12": soft, "01": "open", "02": "open", "03": "open", "04": "open"}
    await close(books, JANUARY, operator_id, hard=True)
    assert await statuses(books) == {"12": hard, "01": hard, "02": "open", "03": "open", "04": "open"}
    await close(books, JANUARY, operator_id, hard=True)
    assert await books.count("period_change") == 3, "closing again changes nothing"
    for change in (close(books, JANUARY, operator_id, hard=False), reopen(books, JANUARY, operator_id)):
        with pytest.raises(Conflict) as refusal:
            await change
        assert refusal.value.code == "period_closed"


async def test_the_month_that_runs_cannot_be_closed(books: Books, operator_id: str) -> None:
    today = datetime.now(UTC).date().replace(day=1)
    with pytest.raises(Conflict) as refusal:
        await close(books, today, operator_id, hard=False)
    assert refusal.value.code == "period_not_over"


ENTRY = (
    "INSERT INTO journal_entry (entity, event_key, kind, content_hash, effective_at{more}) "
    "VALUES ('main', 'by hand', 'test', 'x', '2026-01-15Z'{value})"
)
CHANGE = "INSERT INTO period_change (entity, month, status, changed_by) VALUES ('main', '{}', '{}', uuidv7())"
TODAY = datetime.now(UTC).date().replace(day=1)


REFUSED_SOFT = {ENTRY.format(more="", value=""): "soft-closed through 2026-01"}
REFUSED_HARD = {
    ENTRY.format(more="", value=""): "closed through 2026-01",
    ENTRY.format(more=", operator_id", value=", uuidv7()"): "closed through 2026-01",
    CHANGE.format("2026-01-01", "open"): "a closed period stays closed",
    CHANGE.format("2025-01-01", "open"): "a closed period stays closed",
    CHANGE.format(TODAY, "closed"): "the period is not over",
    CHANGE.format("2026-02-02", "closed"): "period_is_a_month",
}


async def test_the_database_itself_refuses(books: Books, operator_id: str) -> None:
    for hard, statements in ((False, REFUSED_SOFT), (True, REFUSED_HARD)):
        await close(books, JANUARY, operator_id, hard=hard)
        for statement, told in statements.items():
            with pytest.raises(DBAPIError, match=told) as caught:
                async with books.database.transaction() as session:
                    await session.execute(text(statement))
            assert getattr(caught.value.orig, "sqlstate", None) == "23514"
            with pytest.raises(psycopg.Error, match=told):
                books.as_owner(statement)
    assert await books.count("journal_entry") == 0


async def test_a_close_waits_for_who_is_posting_and_nobody_slips_in(books: Books, operator_id: str) -> None:
    async with books.database.transaction() as session:
        await books.post_in(session, fee("under way"), at=IN_JANUARY)
        with pytest.raises(Unavailable):
            await close(books, JANUARY, operator_id, hard=True)
        closing = asyncio.create_task(close(books, JANUARY, operator_id, hard=True))
        await asyncio.sleep(0.1)
        assert not closing.done()
    await closing
    await books.post(fee("after"), at=IN_JANUARY)
    assert (await dates(books, "under way"))[1] == IN_JANUARY
    assert (await dates(books, "after"))[1] == START_OF_FEBRUARY


async def test_closing_under_writers_leaves_none_behind(books: Books, operator_id: str) -> None:
    """Whatever stands in January was committed before its close."""

    async def write() -> None:
        for _ in range(10):
            await books.post(at=IN_JANUARY)

    async def close_soon() -> int:
        await asyncio.sleep(0.05)
        async with books.database.transaction() as session:
            await periods.close(session, JANUARY, hard=True, operator_id=operator_id, reason=None)
            return int(await session.scalar(text(in_january)) or 0)

    in_january = "SELECT count(*) FROM journal_entry WHERE effective_at < '2026-02-01Z'"
    *written, at_close = await asyncio.gather(
        *(write() for _ in range(8)), close_soon(), return_exceptions=True
    )
    # A posting that read the periods just before the close is refused, and its activity tries again.
    refused = [error for error in written if error is not None]
    assert all(isinstance(error, DBAPIError) and "closed through" in str(error) for error in refused), refused
    assert await books.scalar(in_january) == at_close
    assert isinstance(at_close, int)
    assert at_close < await books.count("journal_entry") or refused, "the close came after all writers"


async def test_a_trial_balance_of_the_past_stays_as_it_was(books: Books, operator_id: str) -> None:
    await books.post(fee(amount=10), at=IN_JANUARY)
    known = await moment(books)
    await books.post(fee(amount=5), at=IN_JANUARY)
    await books.post(fee(amount=7, currency="JPY"), at=IN_JANUARY)
    await close(books, JANUARY, operator_id, hard=True)
    assert await fees(books, IN_JANUARY) == 15
    assert await fees(books, IN_JANUARY, known) == 10
    await books.post(fee(amount=100), at=IN_JANUARY)
    await books.post(fee(amount=1000), at=IN_FEBRUARY)
    assert await fees(books, IN_JANUARY) == 15, "what came late counts in February"
    assert await fees(books, IN_JANUARY, known) == 10
    assert await fees(books, None, known) == 10
    assert await fees(books, IN_FEBRUARY) == 1115
    assert await fees(books, None) == 1115


async def moment(books: Books) -> datetime:
    """Now, by the database's clock, with nothing recorded at the same microsecond."""
    async with books.database.transaction() as session:
        now: datetime = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return now + timedelta(microseconds=1)

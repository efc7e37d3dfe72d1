"""Balances of the ledger, always computed: the newest snapshot and what was posted since, or the past."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from models.database import Session


@dataclass(frozen=True, slots=True)
class Balance:
    """The balance of an account, minor units, debit > 0."""

    account: str
    sub: str | None
    currency: str
    amount: int


# (account, sub or "", currency) of the last balance of a page.
Key = tuple[str, str, str]

_NOW = (
    "WITH newest AS (SELECT number, horizon FROM seal_block "
    "WHERE number = (SELECT max(block) FROM balance_snapshot)), "
    "parts AS (SELECT s.account, s.sub, s.currency, s.amount FROM balance_snapshot s "
    "JOIN newest ON newest.number = s.block UNION ALL "
    "SELECT p.account, p.sub, p.currency, p.amount FROM journal_entry e JOIN posting p ON p.entry_id = e.id "
    "WHERE e.txid >= coalesce((SELECT horizon FROM newest), '0'::xid8)) "
)


async def by_sub(
    session: Session, *, account: str | None, sub: str | None, after: Key | None, limit: int
) -> list[Balance]:
    """Balances of accounts and their subs that are not zero, now; by account, sub and currency."""
    rows = await session.execute(
        text(
            f"{_NOW} SELECT account, sub, currency, sum(amount) AS amount FROM parts "
            "WHERE (CAST(:account AS text) IS NULL OR account = :account) "
            "AND (CAST(:sub AS text) IS NULL OR sub = :sub) "
            "AND (CAST(:after_account AS text) IS NULL OR (account, coalesce(sub, ''), currency) > "
            "(:after_account, :after_sub, :after_currency)) "
            "GROUP BY 1, 2, 3 HAVING sum(amount) <> 0 "
            "ORDER BY account, coalesce(sub, ''), currency LIMIT :limit"
        ),
        {
            "account": account,
            "sub": sub,
            "after_account": None if after is None else after[0],
            "after_sub": None if after is None else after[1],
            "after_currency": None if after is None else after[2],
            "limit": limit,
        },
    )
    return [Balance(row.account, row.sub, row.currency, int(row.amount)) for row in rows]


async def trial(session: Session, *, at: datetime | None, recorded_at: datetime | None) -> list[Balance]:
    """Balances by account that are not zero: of what was effective by `at`, as far as it had been recorded
    by `recorded_at`; now, where they are None. Per currency they sum to zero."""
    if at is None and recorded_at is None:
        parts = _NOW
    else:
        parts = (
            "WITH parts AS (SELECT p.account, p.currency, p.amount FROM journal_entry e "
            "JOIN posting p ON p.entry_id = e.id "
            "WHERE (CAST(:at AS timestamptz) IS NULL OR e.effective_at <= :at) "
            "AND (CAST(:recorded_at AS timestamptz) IS NULL OR e.recorded_at <= :recorded_at)) "
        )
    rows = await session.execute(
        text(
            f"{parts} SELECT account, currency, sum(amount) AS amount FROM parts "
            "GROUP BY 1, 2 HAVING sum(amount) <> 0 ORDER BY 1, 2"
        ),
        {} if at is None and recorded_at is None else {"at": at, "recorded_at": recorded_at},
    )
    return [Balance(row.account, None, row.currency, int(row.amount)) for row in rows]


async def before(session: Session, moment: datetime) -> list[Balance]:
    """Balances by account and sub of what was effective before `moment`: an export's opening."""
    rows = await session.execute(
        text(
            "SELECT p.account, p.sub, p.currency, sum(p.amount) AS amount FROM journal_entry e "
            "JOIN posting p ON p.entry_id = e.id WHERE e.effective_at < :moment "
            "GROUP BY 1, 2, 3 HAVING sum(p.amount) <> 0 ORDER BY 1, coalesce(p.sub, ''), 3"
        ),
        {"moment": moment},
    )
    return [Balance(row.account, row.sub, row.currency, int(row.amount)) for row in rows]


async def cash(session: Session) -> dict[str, int]:
    """The balance of processor clearing per currency, in minor units."""
    rows = await session.execute(
        text("SELECT currency, sum(amount) AS amount FROM posting WHERE account = '1010' GROUP BY currency")
    )
    return {row.currency: int(row.amount) for row in rows}

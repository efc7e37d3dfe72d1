"""Journals as text: what an accountant's own tools make of them agrees with the ledger."""

import csv
import io
import re
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from beancount import loader
from beancount.core.data import Balance, Transaction

from api.ledger_export import export_ledger
from domain.ledger import Account, EntryDraft, EntryKind, Posting
from integrations.journal_export import ExportFormat, decimal
from tests.ledger.books import Books, fee

JANUARY = datetime(2026, 1, 15, 23, 59, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
EXPONENTS = {"USD": 2, "JPY": 0, "KWD": 3}
ODD_PAYEE = 'org:"Ünï\\ço" ; = 1'

Sums = dict[tuple[str, str], Decimal]


def sale(key: str, currency: str, amount: int) -> EntryDraft:
    """A sale with sub-accounts of every kind, one of them hard to write down."""
    return EntryDraft(
        EntryKind.PAYMENT_CAPTURED,
        key,
        (
            Posting(Account.PROCESSOR_CLEARING, None, currency, amount),
            Posting(Account.DEFERRED_REVENUE, "0192-line", currency, -amount + 7),
            Posting(Account.TAX_PAYABLE, "US-NY", currency, -5),
            Posting(Account.PAYEE_HELD, ODD_PAYEE, currency, -2),
        ),
    )


@pytest.fixture
async def traded(books: Books) -> Books:
    """Sales and fees in currencies with two, no and three decimals, in two months."""
    for number, (currency, at) in enumerate(
        [("USD", JANUARY), ("JPY", JANUARY), ("KWD", JANUARY), ("USD", FEBRUARY), ("KWD", FEBRUARY)]
    ):
        await books.post(sale(f"order:{number}:captured", currency, 10_001 + number), at=at)
        await books.post(fee(f"stripe:txn_{number}:fee", amount=33, currency=currency), at=at)
    return books


async def text_of(
    books: Books, form: str, since: datetime | None = None, until: datetime | None = None
) -> str:
    """The whole export."""
    pieces = export_ledger(books.database, ExportFormat(form), since=since, until=until)
    return "".join([piece async for piece in pieces])


async def our_balances(books: Books) -> Sums:
    """The trial balance, in major units."""
    return {
        key: Decimal(amount).scaleb(-EXPONENTS[key[1]]) for key, amount in (await books.balances()).items()
    }


def load(text: str) -> list[Any]:
    """What beancount reads; it must find nothing wrong."""
    entries, errors, _ = loader.load_string(text)
    assert errors == []
    return list(entries)


def beancount_balances(entries: list[Any]) -> Sums:
    sums: Sums = defaultdict(Decimal)
    for entry in entries:
        for posting in entry.postings if isinstance(entry, Transaction) else ():
            code = posting.account.split(":")[1][:4]
            sums[code, posting.units.currency] += posting.units.number
    return {key: amount for key, amount in sums.items() if amount}


async def test_beancount_loads_it_and_balances_agree(traded: Books) -> None:
    entries = load(await text_of(traded, "beancount"))
    assert beancount_balances(entries) == await our_balances(traded)
    transactions = [entry for entry in entries if isinstance(entry, Transaction)]
    assert len(transactions) == await traded.count("journal_entry")
    first = next(entry for entry in transactions if entry.meta["event"] == "order:0:captured")
    assert str(first.date) == "2026-01-15"
    payee = next(posting for posting in first.postings if posting.account.startswith("Liabilities:2210"))
    assert payee.meta["sub"] == ODD_PAYEE
    assert payee.units.number == Decimal("-0.02")
    asserted = {(e.account.split(":")[1][:4], e.amount.currency) for e in entries if isinstance(e, Balance)}
    assert asserted >= set(await our_balances(traded))


async def test_beancount_notices_a_changed_amount(traded: Books) -> None:
    text = await text_of(traded, "beancount")
    changed = text.replace("100.01 USD", "100.02 USD").replace("-99.94 USD", "-99.95 USD")
    assert changed != text
    _, errors, _ = loader.load_string(changed)
    assert len(errors) == 2, "both accounts miss their assertions"


async def test_a_month_alone_opens_with_what_was_carried_into_it(traded: Books) -> None:
    entries = load(await text_of(traded, "beancount", since=FEBRUARY))
    assert beancount_balances(entries) == await our_balances(traded)
    assert sum(isinstance(entry, Transaction) for entry in entries) == 1 + 4
    january = load(await text_of(traded, "beancount", until=FEBRUARY))
    assert sum(isinstance(entry, Transaction) for entry in january) == 6
    assert ("1010", "KWD") in beancount_balances(january)


async def test_csv_round_trips(traded: Books) -> None:
    rows = list(csv.DictReader(io.StringIO(await text_of(traded, "csv"))))
    sums: Sums = defaultdict(Decimal)
    for row in rows:
        assert Decimal(row["amount"]).scaleb(EXPONENTS[row["currency"]]) == int(row["amount_minor"])
        sums[row["account"], row["currency"]] += Decimal(row["amount"])
    assert dict(sums) == await our_balances(traded)
    assert len(rows) == await traded.count("posting")
    assert ODD_PAYEE in {row["sub"] for row in rows}
    opening = list(csv.DictReader(io.StringIO(await text_of(traded, "csv", since=FEBRUARY))))
    assert [row["kind"] for row in opening].count("opening_balance") == 3 * 5


async def test_the_ledger_dialect_round_trips(traded: Books) -> None:
    """Read by its documented grammar: an account ends at two spaces, a comment begins with a semicolon."""
    for since, transactions in ((None, 10), (FEBRUARY, 5)):
        sums: Sums = defaultdict(Decimal)
        text = await text_of(traded, "ledger", since=since)
        assert len(re.findall(r"^\d{4}-\d\d-\d\d \* ", text, re.M)) == transactions
        for line in text.splitlines():
            found = re.fullmatch(r"    \w+:(\d{4})(?: \S+)+  (-?[\d.]+) ([A-Z]{3})(?:  ; sub: .*)?", line)
            if found:
                sums[found[1], found[3]] += Decimal(found[2])
            else:
                assert re.match(r"$|;|    ; |\d{4}-\d\d-\d\d \* \w+$", line), line
        assert dict(sums) == await our_balances(traded)


@pytest.mark.parametrize(
    ("amount", "currency", "told"),
    [
        (0, "JPY", "0"), (-5, "JPY", "-5"), (1, "USD", "0.01"), (-1050, "USD", "-10.50"),
        (1, "KWD", "0.001"), (-1_000_000, "KWD", "-1000.000"),
    ],
)  # fmt: skip
def test_amounts_have_all_places_of_their_currency(amount: int, currency: str, told: str) -> None:
    assert decimal(amount, currency) == told


async def test_an_empty_ledger_is_a_good_file_too(books: Books) -> None:
    assert load(await text_of(books, "beancount", since=FEBRUARY))
    assert (await text_of(books, "csv")).startswith("entry_id,")

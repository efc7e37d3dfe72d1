"""Journals as text for an accountant's own tools: CSV, beancount, ledger-cli (and hledger).

Amounts are decimal, with the currency's own number of places; debit is positive. Dates are effective dates in
UTC. An export that begins in the middle opens with the balances that were carried into it.
"""

import csv
import io
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from domain.accounts import Account
from domain.currencies import currency_of
from domain.seals import EntryImage, PostingImage

_CHUNK = 32_768


class ExportFormat(StrEnum):
    """What the text is written for."""

    CSV = "csv"  # one line a posting, for spreadsheets
    BEANCOUNT = "beancount"  # beancount, Fava
    LEDGER = "ledger"  # ledger-cli, hledger

    @property
    def media_type(self) -> str:
        """The content type of an answer."""
        return "text/csv; charset=utf-8" if self is ExportFormat.CSV else "text/plain; charset=utf-8"

    @property
    def suffix(self) -> str:
        """Of a file's name."""
        return "journal" if self is ExportFormat.LEDGER else self.value


def decimal(amount: int, currency: str) -> str:
    """Minor units as a plain decimal number, with all places of the currency: `-10.50`, `300`, `1.250`."""
    exponent = currency_of(currency).exponent
    whole, part = divmod(abs(amount), 10**exponent)
    return ("-" if amount < 0 else "") + (f"{whole}.{part:0{exponent}d}" if exponent else str(whole))


async def export(
    form: ExportFormat,
    entries: AsyncIterator[EntryImage],
    *,
    opening: Sequence[PostingImage] = (),
    since: datetime | None = None,
) -> AsyncIterator[str]:
    """The text in pieces. `opening` are the balances before `since`, by account, sub and currency."""
    writer = _WRITERS[form]()
    parts = [writer.head()]
    if opening and since is not None:
        parts.append(writer.opening(_day(since), opening))
    size = 0
    async for entry in entries:
        parts.append(writer.entry(entry))
        size += len(parts[-1])
        if size > _CHUNK:
            yield "".join(parts)
            parts, size = [], 0
    parts.append(writer.tail())
    yield "".join(parts)


class _Writer(Protocol):
    def head(self) -> str: ...
    def opening(self, day: date, balances: Sequence[PostingImage]) -> str: ...
    def entry(self, entry: EntryImage) -> str: ...
    def tail(self) -> str: ...


class _Csv:
    """One line a posting; what identifies its entry stands on each."""

    COLUMNS = (
        "entry_id", "event_key", "kind", "effective_at", "occurred_at", "recorded_at", "order_id", "reverses",
        "operator_id", "account", "account_name", "sub", "currency", "amount", "amount_minor",
    )  # fmt: skip

    def head(self) -> str:
        return self._lines([self.COLUMNS])

    def opening(self, day: date, balances: Sequence[PostingImage]) -> str:
        at = f"{day}T00:00:00+00:00"
        first = ("", "", "opening_balance", at, at, "", "", "", "")
        return self._lines([(*first, *self._posting(balance)) for balance in balances])

    def entry(self, entry: EntryImage) -> str:
        first = (
            entry.id,
            entry.event_key,
            entry.kind,
            _moment(entry.effective_at),
            _moment(entry.occurred_at),
            _moment(entry.recorded_at),
            entry.order_id or "",
            entry.reverses or "",
            entry.operator_id or "",
        )
        return self._lines([(*first, *self._posting(posting)) for posting in entry.postings])

    def tail(self) -> str:
        return ""

    def _posting(self, posting: PostingImage) -> tuple[str, ...]:
        return (
            posting.account,
            Account(posting.account).title,
            posting.sub or "",
            posting.currency,
            decimal(posting.amount, posting.currency),
            str(posting.amount),
        )

    def _lines(self, rows: Sequence[Sequence[str]]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerows(rows)
        return text.getvalue()


_GROUPS = {"1": "Assets", "2": "Liabilities", "4": "Income", "5": "Expenses"}


def _group(code: str) -> str:
    # An open position in currencies is neither owned nor owed.
    return "Equity" if code == Account.CURRENCY_CLEARING else _GROUPS[code[0]]


def _facts(entry: EntryImage) -> list[tuple[str, str]]:
    """What identifies an entry beyond its date and kind."""
    found = [("id", entry.id), ("event", entry.event_key), ("recorded", _moment(entry.recorded_at))]
    if entry.occurred_at != entry.effective_at:
        found.append(("occurred", _moment(entry.occurred_at)))
    for name, value in (
        ("order", entry.order_id), ("reverses", entry.reverses), ("operator", entry.operator_id)
    ):  # fmt: skip
        if value is not None:
            found.append((name, value))
    return found


class _Beancount:
    """Sub-accounts are metadata: payees and lines are no beancount account names. Ends with assertions."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], int] = {}
        self._last = date.min

    def head(self) -> str:
        opened = "".join(f"1970-01-01 open {self._account(code)}\n" for code in Account)
        return f'option "title" "Commerce"\n\n{opened}\n'

    def opening(self, day: date, balances: Sequence[PostingImage]) -> str:
        return f'{day} * "opening_balance" "Balances carried forward"\n{self._postings(day, balances)}\n'

    def entry(self, entry: EntryImage) -> str:
        day = _day(entry.effective_at)
        facts = "".join(f"  {name}: {self._string(value)}\n" for name, value in _facts(entry))
        return f'{day} * "{entry.kind}" ""\n{facts}{self._postings(day, entry.postings)}\n'

    def tail(self) -> str:
        if not self._sums:
            return ""
        after = self._last + timedelta(days=1)
        return "".join(
            f"{after} balance {self._account(code)}  {decimal(amount, currency)} ~ 0 {currency}\n"
            for (code, currency), amount in sorted(self._sums.items())
        )

    def _postings(self, day: date, postings: Sequence[PostingImage]) -> str:
        self._last = max(self._last, day)
        lines = []
        for posting in postings:
            key = (posting.account, posting.currency)
            self._sums[key] = self._sums.get(key, 0) + posting.amount
            number = decimal(posting.amount, posting.currency)
            lines.append(f"  {self._account(posting.account)}  {number} {posting.currency}\n")
            if posting.sub is not None:
                lines.append(f"    sub: {self._string(posting.sub)}\n")
        return "".join(lines)

    def _account(self, code: str) -> str:
        words = re.sub(r"[^A-Za-z0-9]+", "-", Account(code).title)
        return f"{_group(code)}:{code}-{words}"

    def _string(self, value: str) -> str:
        return '"' + _one_line(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Ledger:
    """The dialect that ledger-cli and hledger share: facts and subs are tags in comments."""

    def head(self) -> str:
        return "; Commerce\n\n"

    def opening(self, day: date, balances: Sequence[PostingImage]) -> str:
        return f"{day} * opening_balance\n{self._postings(balances)}\n"

    def entry(self, entry: EntryImage) -> str:
        facts = "".join(f"    ; {name}: {_one_line(value)}\n" for name, value in _facts(entry))
        return f"{_day(entry.effective_at)} * {entry.kind}\n{facts}{self._postings(entry.postings)}\n"

    def tail(self) -> str:
        return ""

    def _postings(self, postings: Sequence[PostingImage]) -> str:
        lines = []
        for posting in postings:
            name = f"{_group(posting.account)}:{posting.account} {Account(posting.account).title}"
            sub = "" if posting.sub is None else f"  ; sub: {_one_line(posting.sub)}"
            number = decimal(posting.amount, posting.currency)
            lines.append(f"    {name}  {number} {posting.currency}{sub}\n")
        return "".join(lines)


_WRITERS: dict[ExportFormat, type[_Writer]] = {
    ExportFormat.CSV: _Csv,
    ExportFormat.BEANCOUNT: _Beancount,
    ExportFormat.LEDGER: _Ledger,
}


def _one_line(value: str) -> str:
    return " ".join(value.split())


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()

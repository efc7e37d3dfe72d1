"""Steps of the reconciliation: a period of the processor's balance transactions against the books."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.balance import keep, take_in
from activities.boundary import Transaction, Transactions, translated
from domain.messages import ReconciliationInput
from domain.money import as_read
from domain.reconciliation import (
    AGEING,
    DifferenceKind,
    Observation,
    Standing,
)
from integrations.payments import StripePayments
from models.queries import balance_transactions, differences, reconciliation
from models.queries.reconciliation import RunRow

# What moved in the last minute may be on its way here still.
SETTLE_SECONDS = 60
# A charge may get its balance transaction an hour after its capture.
ENTRY_MARGIN_SECONDS = 3600


@dataclass(frozen=True)
class Period:
    """What a run compares: `[since, until)`, RFC 3339."""

    run_id: str
    since: str
    until: str


@dataclass(frozen=True)
class PageInput:
    """The page of a period that begins after the transaction `after`; `page` counts from 1."""

    run_id: str
    since: str
    until: str
    after: str | None
    page: int
    transactions: int


@dataclass(frozen=True)
class Page:
    """What a page had. `missing` are differences that the webhook's path may repair."""

    transactions: int
    last: str | None
    has_more: bool
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RunReport:
    """What a run found. Amounts in minor units; `open` counts all open differences, older ones too."""

    run_id: str
    since: str
    until: str
    pages: int
    transactions: int
    by_category: dict[str, int]
    foreign: int
    cash: list[dict[str, int | str]]
    opened: int
    open: int

    @property
    def summary(self) -> str:
        """One line for the operator."""
        cash = ", ".join(
            f"{as_read(int(one['processor']), str(one['currency']))} at the processor, "
            f"{as_read(int(one['ledger']), str(one['currency']))} in the books"
            for one in self.cash
        )
        return (
            f"{self.transactions} balance transactions, {self.foreign} of others; {self.opened} new "
            f"differences, {self.open} open; cash: {cash or 'none moved'}"
        )


class ReconciliationActivities:
    """Steps of the reconciliation workflow. Each may be repeated; two runs at once do no harm."""

    def __init__(self, transactions: Transactions, api: StripePayments) -> None:
        self._transactions = transactions
        self._api = api

    @activity.defn
    @translated
    async def begin_reconciliation(self, given: ReconciliationInput) -> Period:
        """Fix the run's period: what was asked for, or what no run has covered yet."""
        now = datetime.now(UTC)
        settled = now.replace(microsecond=0) - timedelta(seconds=SETTLE_SECONDS)
        if given.whole_days:
            settled = now.replace(hour=0, minute=0, second=0, microsecond=0)
        until = settled if given.period_to is None else min(settled, _moment(given.period_to))
        async with self._transactions.begin() as tx:
            since = (
                await reconciliation.continued_from(tx.session)
                if given.period_from is None
                else _moment(given.period_from)
            )
            run = await reconciliation.begin_run(
                tx.session,
                given.run_id,
                str(activity.info().workflow_id),
                since,
                max(since, until),
                continues=given.period_from is None and given.period_to is None,
            )
        return Period(run.id, run.period_from.isoformat(), run.period_to.isoformat())

    @activity.defn
    @translated
    async def reconcile_page(self, given: PageInput) -> Page:
        """Take one page in, oldest first, each transaction in a database transaction of its own."""
        found, has_more = await self._api.balance_page(
            since=_moment(given.since), until=_moment(given.until), after=given.after
        )
        missing = []
        for transaction in reversed(found):
            async with self._transactions.begin() as tx:
                _, seen = await take_in(tx, transaction)
                still_open = await keep(tx, seen, given.run_id)
            # Also those of an earlier try of this page: it may have ended before it could tell of them.
            if any(one.kind is DifferenceKind.ENTRY_MISSING for one in seen):
                missing += still_open
        async with self._transactions.begin() as tx:
            total = given.transactions + len(found)
            await reconciliation.count_page(tx.session, given.run_id, page=given.page, transactions=total)
        return Page(len(found), found[-1].id if found else None, has_more, missing)

    @activity.defn
    @translated
    async def finish_reconciliation(self, period: Period) -> RunReport:
        """Look at what is open again, at entries that the processor does not know, at cash and ageing."""
        await self._look_again_at_open_ones()
        since, until = _moment(period.since), _moment(period.until)
        async with self._transactions.begin() as tx:
            run = await reconciliation.run(tx.session, period.run_id)
            assert run is not None
            await keep(tx, await _unmatched(tx, since, until), run.id)
            await keep(tx, await _unexplained(tx, since, until), run.id)
            await keep(tx, await aged(tx), run.id)
            report = await _report(tx, run)
            await reconciliation.finish_run(tx.session, run.id, asdict(report))
        return report

    async def _look_again_at_open_ones(self) -> None:
        """Close what no longer holds: an entry may have come since."""
        async with self._transactions.begin() as tx:
            found = await differences.open_ones(tx.session)
        for difference_id in [one.id for one in found]:
            async with self._transactions.begin() as tx:
                await look_again(tx, difference_id)


async def look_again(tx: Transaction, difference_id: str) -> bool:
    """Whether a difference is still there, by what is stored here; one that is not is closed."""
    known = await differences.get(tx.session, difference_id, lock=True)
    if known is None or known.state != "open":
        return False
    match known.kind:
        case DifferenceKind.TRANSACTION_MISSING:
            gone = await reconciliation.is_matched(tx.session, known.subject)
        case DifferenceKind.AMOUNT_AGED:
            gone = known.subject not in {one.subject for one in await aged(tx)}
        case DifferenceKind.CASH_DIFFERS:
            run = None if known.run_id is None else await reconciliation.run(tx.session, known.run_id)
            off = [] if run is None else await _unexplained(tx, run.period_from, run.period_to)
            gone = known.subject not in {one.subject for one in off}
        case _:
            transaction = await balance_transactions.get(tx.session, str(known.transaction_id))
            if transaction is None:
                return True
            await take_in(tx, transaction)
            again = await differences.get(tx.session, difference_id)
            return again is not None and again.state == "open"
    if gone:
        await differences.repair(tx.session, difference_id, "it holds now")
    return not gone


async def _unmatched(tx: Transaction, since: datetime, until: datetime) -> list[Observation]:
    found = await reconciliation.unmatched_entries(
        tx.session, since, until, margin_seconds=ENTRY_MARGIN_SECONDS
    )
    return [
        Observation(
            DifferenceKind.TRANSACTION_MISSING,
            one.event_key,
            f"entry {one.event_key} moves cash that the processor does not know of",
            one.currency,
            0,
            one.amount,
            order_id=one.order_id,
        )
        for one in found
    ]


async def _unexplained(tx: Transaction, since: datetime, until: datetime) -> list[Observation]:
    found = await reconciliation.cash(tx.session, since, until, margin_seconds=ENTRY_MARGIN_SECONDS)
    return [
        Observation(
            DifferenceKind.CASH_DIFFERS,
            f"{one.currency}/{since.isoformat()}/{until.isoformat()}",
            f"cash is off by {as_read(one.unexplained, one.currency)} that no difference explains",
            one.currency,
            one.processor,
            one.ledger + one.explained,
        )
        for one in found
        if one.unexplained
    ]


async def aged(tx: Transaction) -> list[Observation]:
    """Amounts that have stood on a passing account for too long."""
    seen = []
    for account, age in AGEING.items():
        for one in await reconciliation.aged(tx.session, account, datetime.now(UTC) - age):
            seen.append(
                Observation(
                    DifferenceKind.AMOUNT_AGED,
                    f"{account}/{one.currency}/{one.order_id or 'no order'}",
                    f"{account} {account.title} holds {as_read(one.amount, one.currency)} for more than "
                    f"{age.days} days",
                    one.currency,
                    0,
                    one.amount,
                    order_id=one.order_id,
                )
            )
    return seen


async def _report(tx: Transaction, run: RunRow) -> RunReport:
    counts = await reconciliation.counts(tx.session, run.period_from, run.period_to)
    cash = await reconciliation.cash(
        tx.session, run.period_from, run.period_to, margin_seconds=ENTRY_MARGIN_SECONDS
    )
    of_run = await differences.count_of_run(tx.session, run.id)
    by_category: dict[str, int] = {}
    for standing, categories in counts.items():
        for category, number in categories.items():
            if standing != Standing.FOREIGN:
                by_category[category] = by_category.get(category, 0) + number
    return RunReport(
        run.id,
        run.period_from.isoformat(),
        run.period_to.isoformat(),
        run.pages,
        sum(sum(categories.values()) for categories in counts.values()),
        by_category,
        sum(counts.get(Standing.FOREIGN, {}).values()),
        [asdict(one) for one in cash],
        of_run,
        len(await differences.open_ones(tx.session)),
    )


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)

"""The processor's own list of events, read for what no webhook brought."""

import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import DataError

from activities.boundary import Transaction, Transactions
from domain.messages import StoredEvent
from domain.tasks import TaskKind
from integrations.payments import StripePayments
from models.queries import inbox, tasks

log = logging.getLogger(__name__)

# Seconds that are read once more by the next look: an event appears in the list a little after its time,
# and the clocks differ.
_OVERLAP_SECONDS = 60
# What appears later than that is found by another look, which comes so long after the time itself.
_LATE_SECONDS = 600
_FIRST_LOOK_SECONDS = 3 * 24 * 3600
# The list begins with the newest, so that only what was read whole is done with. It is read in slices of
# time, the oldest first: a quiet slice makes the next one longer, one of too many pages is read in halves.
_SLICE_SECONDS = 30
_LONGEST_SLICE_SECONDS = 24 * 3600
_PAGES_AT_MOST = 20
_STORED_AT_ONCE = 100

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Look:
    """A stretch of the list, in seconds since the epoch: read on from the cursor, or from `first` where there
    is none, to `until` (None: to its end, for the processor's clock may be ahead of ours), and from
    `done_with` on once more by the next look."""

    cursor: str
    first: int
    until: int | None
    done_with: int


class MissedEvents:
    """Stores what the list has and the inbox has not."""

    def __init__(
        self, transactions: Transactions, api: StripePayments, *, pages_at_most: int = _PAGES_AT_MOST
    ) -> None:
        """`pages_at_most` bounds what is read, and is lost when reading ends early, before it is stored."""
        self._transactions = transactions
        self._api = api
        self._pages_at_most = pages_at_most

    async def take_in(self, ends: float) -> AsyncIterator[list[StoredEvent]]:
        """What is new here, stored slice by slice as it happened; each slice moves the cursor, so that a look
        that ends (at `ends` of the monotonic clock, or with Unavailable) is gone on with by the next one."""
        now = int(datetime.now(UTC).timestamp())
        late = now - _LATE_SECONDS
        # Of the time before the first look nothing is late.
        for look in (
            _Look(inbox.READ_SOON, now - _FIRST_LOOK_SECONDS, None, now - _OVERLAP_SECONDS),
            _Look(inbox.READ_LATE, late - _SLICE_SECONDS, late, late),
        ):
            async for stored in self._read(look, now, ends):
                yield stored

    async def _read(self, look: _Look, now: int, ends: float) -> AsyncIterator[list[StoredEvent]]:
        """One slice at least, however late it is."""
        async with self._transactions.begin() as tx:
            before = await inbox.read_until(tx.session, look.cursor)
        since = look.first if before is None else int(before.timestamp())
        until = look.until or now
        length = _SLICE_SECONDS
        while since < until:
            end = min(since + length, until)
            found = await self._unknown_between(since, look.until if end == until else end, end - since > 1)
            if found is None:
                length = (end - since) // 2
                continue
            events, pages = found
            yield await self._store(events, look.cursor, min(end, look.done_with))
            since = end
            if pages == 1:
                length = min(2 * length, _LONGEST_SLICE_SECONDS)
            if time.monotonic() > ends:
                return

    async def _unknown_between(
        self, since: int, until: int | None, can_be_halved: bool
    ) -> tuple[list[Event], int] | None:
        """Events of the slice that are not here, oldest first, and how many pages it had; None when it has
        too many."""
        unknown: list[Event] = []
        after, more, pages = None, True, 0
        while more:
            if pages == self._pages_at_most and can_be_halved:
                return None
            page, more = await self._api.events_page(since=since, until=until, after=after)
            pages += 1
            if not page:
                break
            after = str(page[-1]["id"])
            async with self._transactions.begin() as tx:
                known = await inbox.known(tx.session, inbox.STRIPE, [str(event["id"]) for event in page])
            unknown += [event for event in page if event["id"] not in known]
        return unknown[::-1], pages

    async def _store(self, events: list[Event], cursor: str, until: int) -> list[StoredEvent]:
        stored: list[StoredEvent] = []
        for start in range(0, len(events), _STORED_AT_ONCE):
            async with self._transactions.begin() as tx:
                for event in events[start : start + _STORED_AT_ONCE]:
                    stored += await _store_one(tx, event)
        async with self._transactions.begin() as tx:
            await inbox.set_read_until(tx.session, cursor, datetime.fromtimestamp(until, UTC))
        return stored


async def _store_one(tx: Transaction, event: Event) -> list[StoredEvent]:
    """Nothing when it can't be stored, as with a NUL in a text: an operator is told, the others go on."""
    try:
        async with tx.session.begin_nested():
            order_id = await inbox.resolve_order(tx.session, event["data"]["object"])
            return [await inbox.store(tx.session, inbox.STRIPE, event, order_id)]
    except (DataError, LookupError, AttributeError, TypeError, ValueError) as error:
        name, kind = (str(event.get(key)).replace("\0", "")[:200] for key in ("id", "type"))
        log.warning("event %s can't be stored: %s", name, type(error).__name__)
        await tasks.open_once(
            tx.session,
            key=f"{TaskKind.EVENT_NOT_STORED}/{name}",
            kind=TaskKind.EVENT_NOT_STORED,
            what=f"Event {name} ({kind}) of the processor can't be stored ({type(error).__name__}): nothing "
            "acted on it. Look it up in the processor's dashboard, and do by hand what follows from it.",
        )
        return []

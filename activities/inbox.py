"""Recovery of what a crash left behind: undispatched events, missed ones, deliveries, lost workflows."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from temporalio import activity

from activities.boundary import Transactions, translated
from activities.missed_events import MissedEvents
from domain import ids
from domain.errors import Unavailable
from domain.messages import StoredEvent
from integrations.dispatch import Dispatcher
from integrations.payments import StripePayments
from models.queries import inbox, lms_events, recovery, webhook_deliveries

log = logging.getLogger(__name__)

_SIDE_BY_SIDE = 20
# Less than the activity is given (workflows/options.py); the next run goes on with what is left.
_SECONDS = 240
# So many in a row that can't be dispatched, and no more are tried.
_AWAY_AFTER = 3
# As often as the Schedule runs: 10,000 waiting lines are all looked at within 25 minutes.
_SHARE = recovery.Share(lines_at_once=200, every_seconds=30)


class InboxActivities:
    """Steps of the inbox recovery, which a Schedule runs."""

    def __init__(self, transactions: Transactions, dispatcher: Dispatcher, api: StripePayments) -> None:
        self._transactions = transactions
        self._dispatcher = dispatcher
        self._missed = MissedEvents(transactions, api)

    @activity.defn
    @translated
    async def fetch_missed_events(self) -> int:
        """Store and dispatch the processor's events that no webhook brought; returns how many were new. What
        is too long for one run is gone on with by the next."""
        fetched = 0
        async for stored in self._missed.take_in(time.monotonic() + _SECONDS):
            for event in stored:
                await self._dispatch_leftover(event)
            fetched += len(stored)
        return fetched

    @activity.defn
    @translated
    async def dispatch_leftovers(self) -> int:
        """Send events that were stored but reached no workflow, in order of arrival and one at a time: what
        comes in meanwhile is dispatched by the gateways, and does not wait for a backlog.

        A workflow that takes no more messages keeps the events of others waiting no longer than it takes to
        hear so; when some in a row find nobody, Temporal is away. Raises Unavailable for both.
        """
        ends = time.monotonic() + _SECONDS
        dispatched, last, away = 0, None, 0
        refusal: Unavailable | None = None
        while time.monotonic() < ends:
            async with self._transactions.begin() as tx:
                events = await inbox.leftovers(tx.session, last)
            for event in events:
                try:
                    dispatched += await self._dispatch_leftover(event)
                    away = 0
                except Unavailable as error:
                    refusal, away = error, away + 1
                    if away == _AWAY_AFTER:
                        raise
            if not events:
                break
            last = events[-1]
        if refusal is not None:
            raise refusal
        return dispatched

    async def _dispatch_leftover(self, event: StoredEvent) -> bool:
        """Whether it went. One that can't be read must not keep the others waiting; `verify` names it."""
        async with self._transactions.begin() as tx:
            if await inbox.is_dispatched(tx.session, event.inbox_id):
                return False  # its webhook came after all, or a gateway was faster
        try:
            await self._dispatch(event)
        except Unavailable:
            raise
        except Exception:
            log.exception("event %s can't be dispatched", event.inbox_id)
            return False
        return True

    async def _dispatch(self, event: StoredEvent) -> None:
        if event.source == inbox.STRIPE:
            outcome = await self._dispatcher.stripe_event(event)
        elif event.source == inbox.PAYOUT:
            outcome = await self._dispatcher.payout_event(event)
        else:
            async with self._transactions.begin() as tx:
                concerned = await lms_events.concerned(tx.session, event)
            outcome = await self._dispatcher.lms_event(concerned)
        async with self._transactions.begin() as tx:
            await inbox.mark_dispatched(tx.session, event.inbox_id, f"recovered: {outcome}")

    @activity.defn
    @translated
    async def wake_deliveries(self) -> int:
        """Wake every delivery that has something pending and no workflow that would send it."""
        async with self._transactions.begin() as tx:
            wakes = await webhook_deliveries.unfinished(tx.session)
        return await self._resume_each(
            (
                ids.delivery_workflow_id(wake.endpoint_id, wake.stream),
                partial(self._dispatcher.wake_delivery, wake.endpoint_id, wake.stream),
            )
            for wake in wakes
        )

    @activity.defn
    @translated
    async def resume_lost_workflows(self) -> int:
        """Start a workflow for rows that are not at their end and have none running: this run's share."""
        return await self.resume_lost(_SHARE)

    async def resume_lost(self, share: recovery.Share | None) -> int:
        """The same for a share of the lines, or for all of them."""
        async with self._transactions.begin() as tx:
            unfinished = await recovery.unfinished(tx.session, share)
        send = self._dispatcher
        return await self._resume_each(
            [
                *((ids.order_workflow_id(o), partial(send.resume_order, o)) for o in unfinished.order_ids),
                *((ids.refund_workflow_id(r), partial(send.resume_refund, r)) for r in unfinished.refund_ids),
                *(
                    (ids.entitlement_workflow_id(user, course), partial(send.wake_entitlement, user, course))
                    for user, course in unfinished.entitlements
                ),
                *((ids.split_workflow_id(li), partial(send.resume_split, li)) for li in unfinished.line_ids),
                *(
                    (ids.late_payment_workflow_id(i), partial(send.resume_late_payment, o, i))
                    for o, i in unfinished.late_payments
                ),
                *(
                    (
                        ids.refund_workflow_id(ids.foreign_refund_id(parked.provider_id, parked.created)),
                        partial(send.wake_parked_refund, parked.provider_id, parked.created),
                    )
                    for parked in unfinished.parked_refunds
                ),
                *(
                    (ids.late_failure_workflow_id(i), partial(send.start_late_failure, o, i))
                    for o, i in unfinished.late_failures
                ),
                *((ids.payout_workflow_id(p), partial(send.start_payout, p)) for p in unfinished.payouts),
                *(
                    (ids.tax_report_workflow_id(d), partial(send.start_tax_report, d))
                    for d in unfinished.tax_reports
                ),
                *((ids.dispute_workflow_id(d), partial(send.resume_dispute, d)) for d in unfinished.disputes),
                *(
                    (ids.resolution_workflow_id(r), partial(send.wake_resolution, r))
                    for r in unfinished.resolutions
                ),
                *(
                    (ids.run_change_workflow_id(c), partial(send.wake_run_change, c))
                    for c in unfinished.run_changes
                ),
                *((ids.erasure_workflow_id(u), partial(send.wake_erasure, u)) for u in unfinished.erasures),
                *((ids.merge_workflow_id(m), partial(send.wake_merge, m)) for m in unfinished.merges),
                *(
                    (ids.account_workflow_id(u), partial(send.wake_account, u))
                    for u in unfinished.account_changes
                ),
            ]
        )

    async def _resume_each(self, wanted: Iterable[tuple[str, Callable[[], Awaitable[None]]]]) -> int:
        """Resume what is not running; returns how many. Some questions are asked side by side. One that fails
        is no reason to leave the others, many are: raises Unavailable at the end."""
        gate = asyncio.Semaphore(_SIDE_BY_SIDE)
        failures: list[Unavailable] = []

        async def look(workflow_id: str, resume: Callable[[], Awaitable[None]]) -> int:
            async with gate:
                if len(failures) >= _SIDE_BY_SIDE:
                    return 0
                try:
                    if await self._dispatcher.is_running(workflow_id):
                        return 0
                    await resume()
                except Unavailable as error:
                    log.warning("%s can't be resumed: %s", workflow_id, error.detail)
                    failures.append(error)
                    return 0
                return 1

        resumed = sum(await asyncio.gather(*(look(*one) for one in wanted)))
        if failures:
            raise Unavailable(f"{resumed} resumed, {len(failures)} not: {failures[-1].detail}")
        return resumed

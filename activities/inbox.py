"""Recovery of what a crash left behind: undispatched events, missed ones, deliveries, lost workflows."""

import logging
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.boundary import Transactions, translated
from domain import ids
from domain.messages import StoredEvent
from integrations.dispatch import Dispatcher
from integrations.payments import StripePayments
from models.queries import completions, inbox, outbox, recovery

log = logging.getLogger(__name__)

# Events may appear in the processor's list a little after their own time.
_OVERLAP = timedelta(minutes=10)
_FIRST_LOOK = timedelta(days=3)


class InboxActivities:
    """Steps of the inbox recovery, which a Schedule runs."""

    def __init__(self, transactions: Transactions, dispatcher: Dispatcher, api: StripePayments) -> None:
        self._transactions = transactions
        self._dispatcher = dispatcher
        self._api = api

    @activity.defn
    @translated
    async def fetch_missed_events(self) -> int:
        """Store the processor's events that no webhook brought; returns how many were new."""
        started = datetime.now(UTC)
        async with self._transactions.begin() as tx:
            until = await inbox.read_until(tx.session, inbox.STRIPE)
        since = (until or started - _FIRST_LOOK) - _OVERLAP
        missed = 0
        async for event in self._api.list_events(created_gte=int(since.timestamp())):
            async with self._transactions.begin() as tx:
                if await inbox.known(tx.session, inbox.STRIPE, event["id"]):
                    continue
                await inbox.store(tx.session, inbox.STRIPE, event, inbox.order_of(event["data"]["object"]))
                missed += 1
        async with self._transactions.begin() as tx:
            await inbox.set_read_until(tx.session, inbox.STRIPE, started)
        return missed

    @activity.defn
    @translated
    async def dispatch_leftovers(self) -> int:
        """Send events that were stored but reached no workflow, in order of arrival."""
        async with self._transactions.begin() as tx:
            events = await inbox.leftovers(tx.session)
        for event in events:
            await self._dispatch(event)
        return len(events)

    async def _dispatch(self, event: StoredEvent) -> None:
        if event.source == inbox.STRIPE:
            outcome = await self._dispatcher.stripe_event(event)
        else:
            async with self._transactions.begin() as tx:
                concerned = await completions.concerned(tx.session, event)
            for user_id, course_id in concerned:
                await self._dispatcher.wake_entitlement(user_id, course_id)
            outcome = f"{len(concerned)} entitlements woken"
        async with self._transactions.begin() as tx:
            await inbox.mark_dispatched(tx.session, event.inbox_id, f"recovered: {outcome}")

    @activity.defn
    @translated
    async def wake_deliveries(self) -> int:
        """Wake every delivery that still has something pending."""
        async with self._transactions.begin() as tx:
            wakes = await outbox.unfinished(tx.session)
        for wake in wakes:
            await self._dispatcher.wake_delivery(wake.endpoint_id, wake.stream)
        return len(wakes)

    @activity.defn
    @translated
    async def resume_lost_workflows(self) -> int:
        """Start a workflow for every row that is not at its end and has none running."""
        async with self._transactions.begin() as tx:
            unfinished = await recovery.unfinished(tx.session)
        resumed = 0
        for order_id in unfinished.order_ids:
            if not await self._dispatcher.is_running(ids.order_workflow_id(order_id)):
                await self._dispatcher.resume_order(order_id)
                resumed += 1
        for refund_id in unfinished.refund_ids:
            if not await self._dispatcher.is_running(ids.refund_workflow_id(refund_id)):
                await self._dispatcher.resume_refund(refund_id)
                resumed += 1
        for user_id, course_id in unfinished.entitlements:
            if not await self._dispatcher.is_running(ids.entitlement_workflow_id(user_id, course_id)):
                await self._dispatcher.wake_entitlement(user_id, course_id)
                resumed += 1
        for line_id in unfinished.line_ids:
            if await self._dispatcher.is_running(ids.split_workflow_id(line_id)) is None:
                await self._dispatcher.start_split(line_id)
                resumed += 1
        return resumed

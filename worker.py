"""The worker: builds clients and activities, and runs the workflows (composition root)."""

import asyncio
import logging
import math
import os
import signal
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.accounts import AccountActivities
from activities.balance import BalanceActivities
from activities.boundary import Transactions
from activities.capture import Capture
from activities.completions import CompletionActivities
from activities.deliveries import DeliveryActivities
from activities.disputes import DisputeActivities
from activities.entitlements import EntitlementActivities
from activities.erasures import ErasureActivities
from activities.foreign_refunds import ForeignRefundActivities
from activities.fulfilment import FulfilmentActivities
from activities.heartbeats import Heartbeats
from activities.identity import EarningsIdentityActivities
from activities.inbox import InboxActivities
from activities.late_failures import LateFailureActivities
from activities.late_payments import LatePaymentActivities
from activities.lms_calls import LmsCalls
from activities.lms_gate import LmsGate
from activities.merges import MergeActivities
from activities.orders import OrderActivities
from activities.payees import PayeeActivities
from activities.payments import PaymentActivities
from activities.placement import PlacementActivities
from activities.reconciliation import ReconciliationActivities, RunReport
from activities.refunds import RefundActivities
from activities.repairs import RepairActivities
from activities.resolutions import ResolutionActivities
from activities.retention import Periods, RetentionActivities
from activities.run_changes import RunChangeActivities
from activities.seals import Anchor, SealActivities
from activities.splits import SplitActivities
from activities.store_credit import StoreCreditActivities
from activities.taxes import TaxActivities
from activities.verification import Report, Verifier
from config import Settings
from domain import ids
from domain.errors import NotFound, Unavailable
from domain.limits import DECLINES
from domain.messages import ReconciliationInput, ReplayInput
from integrations.dispatch import Dispatcher
from integrations.http import make_http_client
from integrations.lms import LmsWatch, PollsCompletion, make_lms
from integrations.logs import configure as configure_logs
from integrations.outbound import OutboundHttp
from integrations.payments import StripePayments
from integrations.sealing import Sealer
from integrations.stripe_tax import StripeTax
from integrations.temporal import connect
from models.database import Database
from models.queries import differences, reconciliation, webhook_endpoints
from models.queries.differences import DifferenceRow
from workflows.account_change import AccountChangeWorkflow
from workflows.checkout import CheckoutWorkflow
from workflows.completion_polling import CompletionPollingWorkflow
from workflows.dispute import DisputeWorkflow
from workflows.entitlement import EntitlementWorkflow
from workflows.erasure import PersonErasureWorkflow
from workflows.late_failure import LateFailureWorkflow
from workflows.late_payment import LatePaymentWorkflow
from workflows.merge import PersonMergeWorkflow
from workflows.payees import CorrectionWorkflow, EarningsIdentityWorkflow, PayoutWorkflow
from workflows.reconciliation import (
    BalanceTransactionWorkflow,
    InboxRecoveryWorkflow,
    ReconciliationWorkflow,
    RepairWorkflow,
)
from workflows.refund import RefundWorkflow
from workflows.resolution import ResolutionWorkflow
from workflows.retention import RetentionWorkflow
from workflows.revenue_split import RevenueSplitWorkflow
from workflows.run_change import RunChangeWorkflow
from workflows.seals import LedgerSealWorkflow
from workflows.store_credit import StoreCreditWorkflow
from workflows.tax_report import TaxReportWorkflow
from workflows.webhook_delivery import WebhookDeliveryWorkflow, WebhookReplayWorkflow

log = logging.getLogger("worker")

WORKFLOWS = [
    CheckoutWorkflow,
    CompletionPollingWorkflow,
    DisputeWorkflow,
    LateFailureWorkflow,
    LatePaymentWorkflow,
    EntitlementWorkflow,
    RevenueSplitWorkflow,
    RefundWorkflow,
    BalanceTransactionWorkflow,
    TaxReportWorkflow,
    InboxRecoveryWorkflow,
    ReconciliationWorkflow,
    RepairWorkflow,
    WebhookDeliveryWorkflow,
    WebhookReplayWorkflow,
    PayoutWorkflow,
    CorrectionWorkflow,
    StoreCreditWorkflow,
    EarningsIdentityWorkflow,
    LedgerSealWorkflow,
    RetentionWorkflow,
    ResolutionWorkflow,
    RunChangeWorkflow,
    PersonErasureWorkflow,
    PersonMergeWorkflow,
    AccountChangeWorkflow,
]
_RECOVERY_EVERY = timedelta(seconds=30)
_SEAL_EVERY = timedelta(minutes=1)
_PURGE_EVERY = timedelta(hours=1)
# Gateways, workers and the database.
_CLOCKS_DIFFER_SECONDS = 5
_SHUTDOWN_GRACE = timedelta(seconds=3)


class WorkerResources:
    """Clients of this process, opened together and closed together."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self.client = client
        self.database = Database(settings.database_url.get_secret_value(), pool_size=20)
        self.payments = StripePayments(
            settings.stripe_secret_key.get_secret_value(), settings.stripe_api_base
        )
        self.taxes = StripeTax(settings.stripe_secret_key.get_secret_value(), settings.stripe_api_base)
        self.http = make_http_client()
        self.lms = make_lms(settings.lms_access, self.http)
        self.outbound = OutboundHttp(allow_private=settings.webhook_private_addresses)
        self.sealer = Sealer(settings.secrets_key.get_secret_value())
        self.dispatcher = Dispatcher(client, settings.temporal_task_queue)
        self.transactions = Transactions(self.database, self.dispatcher)
        # What workflows ask in great numbers goes at the pace of all workers.
        self.lms_gate = LmsGate(self.transactions, calls_per_second=settings.lms_calls_per_second)
        self.paced_http = make_http_client(self.lms_gate.request)
        self.paced_lms = make_lms(settings.lms_access, self.paced_http)

    async def aclose(self) -> None:
        """Close every client."""
        await self.payments.aclose()
        await self.taxes.aclose()
        await self.outbound.aclose()
        await self.http.aclose()
        await self.paced_http.aclose()
        await self.database.aclose()


def make_activities(settings: Settings, resources: WorkerResources) -> list[object]:
    """One object a concern, each with the clients it needs."""
    transactions, dispatcher = resources.transactions, resources.dispatcher
    seller = {
        "name": settings.seller_name,
        "address": settings.seller_address,
        "vat_id": settings.seller_vat_id,
        "country": settings.seller_country,
    }
    capture = Capture(seller)
    last_look_after_seconds = settings.access_token_minutes * 60 + _CLOCKS_DIFFER_SECONDS
    gate, paced = resources.lms_gate, resources.paced_lms
    return [
        PlacementActivities(
            transactions,
            payment_window_seconds=settings.payment_window_minutes * 60,
            refund_window_days=settings.refund_window_days,
            hold_seconds=round(settings.earnings_hold_days * 86400),
        ),
        OrderActivities(transactions, capture),
        FulfilmentActivities(transactions),
        PaymentActivities(
            transactions,
            resources.payments,
            # 0 switches every limit off.
            declines_allowed=math.ceil(DECLINES.times * settings.rate_limit_factor) or None,
        ),
        BalanceActivities(transactions, resources.payments),
        ReconciliationActivities(transactions, resources.payments),
        RepairActivities(transactions, dispatcher, resources.payments),
        TaxActivities(transactions, resources.taxes),
        LateFailureActivities(transactions, resources.payments, dispatcher, seller=seller),
        LatePaymentActivities(transactions, dispatcher, capture),
        EntitlementActivities(
            transactions,
            LmsCalls(transactions, paced, gate, lands_within_seconds=settings.lms_settle_seconds),
            dispatcher,
        ),
        SplitActivities(transactions),
        DisputeActivities(
            transactions,
            resources.payments,
            resources.lms,
            dispatcher,
            access=settings.dispute_access,
            seller=seller,
        ),
        ForeignRefundActivities(transactions, resources.payments, dispatcher),
        RefundActivities(transactions, resources.payments, dispatcher, seller=seller),
        DeliveryActivities(transactions, resources.outbound, resources.sealer, dispatcher),
        InboxActivities(transactions, dispatcher, resources.payments),
        *(
            [CompletionActivities(transactions, paced, dispatcher, gate, at_once=settings.lms_poll_at_once)]
            if isinstance(paced, PollsCompletion)
            else []
        ),
        PayeeActivities(transactions, dispatcher),
        StoreCreditActivities(transactions),
        EarningsIdentityActivities(transactions),
        SealActivities(transactions),
        RetentionActivities(
            transactions,
            Periods(
                inbox_days=settings.inbox_retention_days,
                webhook_log_days=settings.webhook_log_retention_days,
                audit_days=settings.audit_retention_days,
            ),
        ),
        ResolutionActivities(transactions, dispatcher, days=settings.resolution_days),
        RunChangeActivities(transactions, dispatcher),
        ErasureActivities(transactions, last_look_after_seconds=last_look_after_seconds),
        AccountActivities(transactions, paced, dispatcher, gate),
        MergeActivities(transactions, dispatcher, last_look_after_seconds=last_look_after_seconds),
    ]


def activity_methods(holders: list[object]) -> list[object]:
    """Every method of the holders that is an activity."""
    methods = []
    for holder in holders:
        for name in dir(type(holder)):
            method = getattr(holder, name)
            if hasattr(method, "__temporal_activity_definition"):
                methods.append(method)
    return methods


def make_worker(settings: Settings, resources: WorkerResources) -> Worker:
    """The worker on the product's task queue."""
    return Worker(
        resources.client,
        task_queue=settings.temporal_task_queue,
        workflows=WORKFLOWS,
        activities=activity_methods(make_activities(settings, resources)),  # type: ignore[arg-type]
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=settings.temporal_sticky_timeout_seconds),
        graceful_shutdown_timeout=_SHUTDOWN_GRACE,
        interceptors=[Heartbeats()],
        # More than deliveries may take (activities/open_requests.py): they never crowd out a payment.
        max_concurrent_activities=250,
        max_concurrent_local_activities=50,
    )


def _nightly(hour: int, minute: int) -> ScheduleSpec:
    """Once a day, in UTC."""
    at = ScheduleCalendarSpec(hour=[ScheduleRange(hour)], minute=[ScheduleRange(minute)])
    return ScheduleSpec(calendars=[at])


async def ensure_schedules(settings: Settings, client: Client, *, polls: bool) -> None:
    """Have what recurs run on Schedules; one of each is enough, whoever makes it first.

    With `polls` the LMS is asked for completions, because it sends no events.
    """
    queue = settings.temporal_task_queue
    every = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=_RECOVERY_EVERY)])
    polling = ScheduleSpec(
        intervals=[ScheduleIntervalSpec(every=timedelta(seconds=settings.lms_poll_seconds))]
    )
    schedules = [
        (
            "inbox-recovery",
            every,
            ScheduleActionStartWorkflow(InboxRecoveryWorkflow.run, id="inbox-recovery", task_queue=queue),
        ),
        (
            "earnings-identity",
            _nightly(2, 15),
            ScheduleActionStartWorkflow(
                EarningsIdentityWorkflow.run, id="earnings-identity", task_queue=queue
            ),
        ),
        (
            "ledger-seal",
            ScheduleSpec(intervals=[ScheduleIntervalSpec(every=_SEAL_EVERY)]),
            ScheduleActionStartWorkflow(LedgerSealWorkflow.run, id="ledger-seal", task_queue=queue),
        ),
        (
            "retention",
            ScheduleSpec(intervals=[ScheduleIntervalSpec(every=_PURGE_EVERY)]),
            ScheduleActionStartWorkflow(RetentionWorkflow.run, id="retention", task_queue=queue),
        ),
        (
            "reconciliation",
            _nightly(3, 0),
            ScheduleActionStartWorkflow(
                ReconciliationWorkflow.run,
                ReconciliationInput(whole_days=True),
                id="reconciliation",
                task_queue=queue,
            ),
        ),
    ]
    if polls:
        run = ScheduleActionStartWorkflow(
            CompletionPollingWorkflow.run, id="completion-polling", task_queue=queue
        )
        schedules.append(("completion-polling", polling, run))
    for name, spec, action in schedules:
        schedule = Schedule(
            action=action, spec=spec, policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP)
        )
        try:
            await client.create_schedule(name, schedule)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(name).update(partial(_with_spec, spec))
    # What was posted before a stop is not to wait for the next minute.
    await client.get_schedule_handle("ledger-seal").trigger()


def _with_spec(spec: ScheduleSpec, given: ScheduleUpdateInput) -> ScheduleUpdate:
    """The Schedule at the times that the settings say now; one that an operator paused stays so."""
    schedule = given.description.schedule
    schedule.spec = spec
    return ScheduleUpdate(schedule=schedule)


async def connect_to_temporal(settings: Settings) -> Client:
    """The connection that the settings name."""
    return await connect(
        settings.temporal_address,
        settings.temporal_namespace,
        sealer=(
            Sealer(settings.secrets_key.get_secret_value()) if settings.temporal_encrypt_payloads else None
        ),
        tls_cert=settings.temporal_tls_cert,
        tls_key=None if settings.temporal_tls_key is None else settings.temporal_tls_key.get_secret_value(),
        api_key=None if settings.temporal_api_key is None else settings.temporal_api_key.get_secret_value(),
    )


async def verify_with(
    settings: Settings,
    progress: Callable[[str], None] = lambda _: None,
    *,
    anchor: Anchor | None = None,
) -> Report:
    """Check every invariant with clients of its own: `commerce verify`."""
    resources = WorkerResources(settings, await connect_to_temporal(settings))
    try:
        verifier = Verifier(
            resources.database, resources.payments, resources.lms, resources.dispatcher, anchor=anchor
        )
        return await verifier.verify(progress)
    finally:
        await resources.aclose()


async def replay_with(
    settings: Settings,
    endpoint_id: str,
    since: datetime,
    *,
    only_undelivered: bool,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Send events again: `commerce events replay`. Returns how many; their deliveries send them."""
    client = await connect_to_temporal(settings)
    resources = WorkerResources(settings, client)
    try:
        async with resources.transactions.begin() as tx:
            endpoint = await webhook_endpoints.get(tx.session, endpoint_id)
        if endpoint is None or not endpoint.active:
            raise NotFound(f"no endpoint {endpoint_id} that is switched on")
        asked = ReplayInput(endpoint_id, since.astimezone(UTC).isoformat(), only_undelivered)
        workflow_id = await resources.dispatcher.start_replay(str(uuid.uuid4()), asked)
        handle = client.get_workflow_handle(workflow_id)
        result = asyncio.ensure_future(handle.result())
        while not (await asyncio.wait([result], timeout=1))[0]:
            progress(await handle.query(WebhookReplayWorkflow.events))
        return int(await result)
    finally:
        await resources.aclose()


async def reconcile_with(
    settings: Settings,
    *,
    since: datetime | None,
    until: datetime | None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[RunReport, list[DifferenceRow]]:
    """Have processor and books compared by the workers: `commerce reconcile`.

    Returns what the run found, and all differences that are open then. It goes on when this is stopped.
    """
    resources = WorkerResources(settings, await connect_to_temporal(settings))
    run_id = str(uuid.uuid4())
    given = ReconciliationInput(
        period_from=None if since is None else since.isoformat(),
        period_to=None if until is None else until.isoformat(),
        run_id=run_id,
    )
    try:
        handle = await resources.client.start_workflow(
            ReconciliationWorkflow.run,
            given,
            id=ids.reconciliation_workflow_id(run_id),
            task_queue=settings.temporal_task_queue,
        )
        progress(f"{handle.id} waits for a worker")
        result = asyncio.create_task(handle.result())
        while not (await asyncio.wait({result}, timeout=0.5))[0]:
            async with resources.database.transaction() as session:
                run = await reconciliation.run(session, run_id)
            if run is not None:
                progress(f"{run.period_from} to {run.period_to}: {run.transactions} transactions compared")
        async with resources.database.transaction() as session:
            return result.result(), await differences.open_ones(session)
    finally:
        await resources.aclose()


async def recover_with(settings: Settings) -> tuple[str, bool]:
    """Do now what the Schedule does: `commerce recover`. Returns what was found, and whether every step could
    be done; one that can't does not keep the others waiting."""
    resources = WorkerResources(settings, await connect_to_temporal(settings))
    inbox = InboxActivities(resources.transactions, resources.dispatcher, resources.payments)
    steps: list[tuple[str, Callable[[], Awaitable[int]]]] = [
        ("missed", inbox.fetch_missed_events),
        ("dispatched", inbox.dispatch_leftovers),
        ("deliveries woken", inbox.wake_deliveries),
        ("resumed", partial(inbox.resume_lost, None)),
    ]
    found, all_done = [], True
    try:
        for name, step in steps:
            try:
                found.append(f"{await step()} {name}")
            except (ApplicationError, Unavailable) as error:
                found.append(f"{name}: failed ({error})")
                all_done = False
    finally:
        await resources.aclose()
    return ", ".join(found), all_done


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set."""
    client = await connect_to_temporal(settings)
    resources = WorkerResources(settings, client)
    try:
        async with make_worker(settings, resources), LmsWatch(resources.lms):
            await ensure_schedules(settings, client, polls=isinstance(resources.lms, PollsCompletion))
            log.info("worker started on task queue %s", settings.temporal_task_queue)
            ready_file = os.environ.get("WORKER_READY_FILE")
            if ready_file:
                Path(ready_file).touch()
            await stop.wait()
    finally:
        await resources.aclose()


async def main() -> None:
    """Run from the environment until SIGINT or SIGTERM."""
    settings = Settings()
    configure_logs(settings.log_lines)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await run(settings, stop)


if __name__ == "__main__":
    asyncio.run(main())

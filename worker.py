"""The worker: builds clients and activities, and runs the workflows (composition root)."""

import asyncio
import logging
import math
import os
import signal
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
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
from activities.reconciliation import ReconciliationActivities
from activities.refunds import RefundActivities
from activities.repairs import RepairActivities
from activities.resolutions import ResolutionActivities
from activities.retention import Periods, RetentionActivities
from activities.run_changes import RunChangeActivities
from activities.seals import SealActivities
from activities.splits import SplitActivities
from activities.store_credit import StoreCreditActivities
from activities.taxes import TaxActivities
from config import Settings
from domain.limits import DECLINES
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
from workflows.schedules import ensure_schedules
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


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set."""
    client = await connect_to_temporal(settings)
    resources = WorkerResources(settings, client)
    try:
        async with make_worker(settings, resources), LmsWatch(resources.lms):
            polls = isinstance(resources.lms, PollsCompletion)
            await ensure_schedules(
                client,
                settings.temporal_task_queue,
                poll_every=timedelta(seconds=settings.lms_poll_seconds) if polls else None,
            )
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

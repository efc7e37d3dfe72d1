"""Starts what a bench needs: the stand-ins as processes, and the worker in this one."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.testing import TimeSkipper
from temporalio.worker import Worker

from activities.heartbeats import Heartbeats
from config import DEVELOPMENT_STRIPE_KEY, Settings
from devstack.lms_standin.control import LmsControl
from devstack.payout_receiver.control import PayoutControl
from devstack.seed import seed
from devstack.stripe_standin.control import StripeControl
from tests.lms.processes import StandinProcess
from tests.workflows.bench import LMS_TOKEN, SECRET, Bench
from worker import WORKFLOWS, WorkerResources, activity_methods, make_activities

SECRETS_KEY = "test:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@dataclass(frozen=True)
class Standins:
    """The outside systems."""

    stripe: StandinProcess
    lms: StandinProcess
    payout: StandinProcess


@contextmanager
def running_standins(folder: Path) -> Iterator[Standins]:
    """All three, each with a directory of its own, stopped at the end."""
    found = Standins(
        StandinProcess("devstack.stripe_standin", "--data-dir", str(_made(folder / "stripe"))),
        StandinProcess(
            "devstack.lms_standin", "--data-dir", str(_made(folder / "lms")), "--token", LMS_TOKEN
        ),
        StandinProcess(
            "devstack.payout_receiver", "--data-dir", str(_made(folder / "payout")), "--secret", SECRET
        ),
    )
    processes = (found.stripe, found.lms, found.payout)
    started = []
    try:
        for process in processes:
            started.append(process)
            process.start()
        yield found
    finally:
        for process in started:
            process.stop()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def make_settings(database_url: str, standins: Standins, queue: str, **changes: Any) -> Settings:
    """Settings of a product that talks to the stand-ins."""
    values: dict[str, Any] = {
        "commerce_env": "test",
        "database_url": database_url,
        "temporal_task_queue": queue,
        "stripe_secret_key": DEVELOPMENT_STRIPE_KEY,
        "stripe_publishable_key": "pk_test_commerce",
        "stripe_webhook_secret": SECRET,
        "stripe_api_base": standins.stripe.base_url,
        "lms_base_url": standins.lms.base_url,
        "lms_token": LMS_TOKEN,
        "lms_webhook_secret": SECRET,
        "payout_webhook_secret": SECRET,
        "jwt_signing_keys": "unused",
        "secrets_key": SECRETS_KEY,
        "webhook_private_addresses": True,  # the payout system's stand-in is on this machine
        "lms_calls_per_second": 500,  # what a test is not about must not wait
        "lms_settle_seconds": 2,
    }
    return Settings.model_validate(values | changes)


@asynccontextmanager
async def running_bench(
    database_url: str, standins: Standins, skipper: TimeSkipper, queue: str, **changes: Any
) -> AsyncIterator[Bench]:
    """A seeded database and the product's worker on a queue of its own."""
    settings = make_settings(database_url, standins, queue, **changes)
    await seed(
        database_url,
        payout_url=standins.payout.base_url,
        payout_secret=SECRET,
        secrets_key=SECRETS_KEY,
    )
    resources = WorkerResources(settings, skipper.client)
    worker = Worker(
        skipper.client,
        task_queue=queue,
        workflows=WORKFLOWS,
        activities=activity_methods(make_activities(settings, resources)),  # type: ignore[arg-type]
        graceful_shutdown_timeout=timedelta(seconds=1),
        interceptors=[Heartbeats()],
    )
    try:
        async with (
            StripeControl(standins.stripe.base_url) as stripe,
            LmsControl(standins.lms.base_url) as lms,
            PayoutControl(standins.payout.base_url) as payout,
            worker,
        ):
            bench = Bench(
                settings,
                resources,
                skipper,
                stripe,
                standins.stripe,
                lms,
                standins.lms,
                payout,
                standins.payout,
            )
            # What happened before is of benches with other databases.
            await bench.skip_events()
            yield bench
    finally:
        await resources.aclose()

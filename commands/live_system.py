"""What commands do on the live system, with the clients of a worker, opened for it and closed after it.

Imported when a command runs: a worker's imports take a second.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

from temporalio.exceptions import ApplicationError

from activities.inbox import InboxActivities
from activities.reconciliation import RunReport
from activities.seals import Anchor
from activities.verification import Report, Verifier
from config import Settings
from domain import ids
from domain.errors import NotFound, Unavailable
from domain.messages import ReconciliationInput, ReplayInput
from models.queries import differences, reconciliation, webhook_endpoints
from models.queries.differences import DifferenceRow
from worker import WorkerResources, connect_to_temporal
from workflows.reconciliation import ReconciliationWorkflow
from workflows.webhook_delivery import WebhookReplayWorkflow


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

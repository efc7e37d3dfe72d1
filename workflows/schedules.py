"""What recurs: which workflows run on Temporal's Schedules, and when."""

from datetime import timedelta
from functools import partial

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

from domain.messages import ReconciliationInput
from workflows.completion_polling import CompletionPollingWorkflow
from workflows.payees import EarningsIdentityWorkflow
from workflows.reconciliation import InboxRecoveryWorkflow, ReconciliationWorkflow
from workflows.retention import RetentionWorkflow
from workflows.seals import LedgerSealWorkflow

_RECOVERY_EVERY = timedelta(seconds=30)
_SEAL_EVERY = timedelta(minutes=1)
_PURGE_EVERY = timedelta(hours=1)


async def ensure_schedules(client: Client, queue: str, *, poll_every: timedelta | None) -> None:
    """Have what recurs run on Schedules; one of each is enough, whoever makes it first.

    With `poll_every` the LMS is asked for completions, because it sends no events.
    """
    every = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=_RECOVERY_EVERY)])
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
    if poll_every is not None:
        polling = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=poll_every)])
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


def _nightly(hour: int, minute: int) -> ScheduleSpec:
    """Once a day, in UTC."""
    at = ScheduleCalendarSpec(hour=[ScheduleRange(hour)], minute=[ScheduleRange(minute)])
    return ScheduleSpec(calendars=[at])


def _with_spec(spec: ScheduleSpec, given: ScheduleUpdateInput) -> ScheduleUpdate:
    """The Schedule at the times that the settings say now; one that an operator paused stays so."""
    schedule = given.description.schedule
    schedule.spec = spec
    return ScheduleUpdate(schedule=schedule)

"""Keeping the books in step with the processor, and nothing lost: fees, missed events, lost wake-ups."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, ChildWorkflowError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.balance import BalanceActivities
    from activities.inbox import InboxActivities
    from activities.reconciliation import PageInput, Period, ReconciliationActivities, RunReport
    from activities.repairs import RepairActivities
    from domain import messages
    from domain.ids import repair_workflow_id
    from domain.messages import BalanceTransactionInput, DifferenceInput, ReconciliationInput
    from workflows import options

_REPAIRS_AT_ONCE = 10
# Half a second, doubled up to it: about a minute in all. The next run looks again.
_LONGEST_PAUSE = timedelta(minutes=1)
_SIDE_BY_SIDE = "recovery-side-by-side"


@workflow.defn(name=messages.BALANCE_TRANSACTION)
class BalanceTransactionWorkflow:
    """Takes in one balance transaction: its fee, a payout, a conversion."""

    @workflow.run
    async def run(self, transaction: BalanceTransactionInput) -> str:
        """Returns what was posted."""
        return await workflow.execute_activity_method(
            BalanceActivities.post_balance_transaction,
            transaction,
            summary=f"Take in {transaction.transaction_id}",
            **options.PROCESSOR,
        )


@workflow.defn(name=messages.INBOX_RECOVERY)
class InboxRecoveryWorkflow:
    """Run by a Schedule: dispatches what was stored only, fetches what never came, wakes deliveries."""

    @workflow.run
    async def run(self) -> str:
        """Returns what was found, for the operator. A step that takes long or fails does not keep the others
        waiting; the next run of the Schedule goes on with it."""
        steps = [
            self._step("missed", InboxActivities.fetch_missed_events, "Read the processor's events"),
            self._step("dispatched", InboxActivities.dispatch_leftovers, "Dispatch what was only stored"),
            self._step("woken", InboxActivities.wake_deliveries, "Wake deliveries"),
            self._step("resumed", InboxActivities.resume_lost_workflows, "Start lost workflows"),
        ]
        if workflow.patched(_SIDE_BY_SIDE):
            return ", ".join(await asyncio.gather(*steps))
        return ", ".join([await step for step in steps])

    async def _step(self, name: str, method: Callable[..., Awaitable[int]], why: str) -> str:
        try:
            count: int = await workflow.execute_activity(method, summary=why, **options.RECOVERY)
        except ActivityError as error:
            return f"{name}: failed ({error.cause})"
        return f"{name}: {count}"


@workflow.defn(name=messages.RECONCILIATION)
class ReconciliationWorkflow:
    """Compares a period of the processor with the books, page by page; run every night by a Schedule."""

    @workflow.run
    async def run(self, given: ReconciliationInput) -> RunReport:
        """A long period goes on in a new execution after `pages_per_execution` pages."""
        if not given.run_id:
            given = replace(given, run_id=str(workflow.uuid4()))
        period = await workflow.execute_activity_method(
            ReconciliationActivities.begin_reconciliation,
            given,
            summary="Fix the period",
            **options.MESSAGE,
        )
        has_more = True
        for _ in range(given.pages_per_execution):
            given, has_more = await self._page(given, period)
            if not has_more:
                break
        if has_more:
            workflow.continue_as_new(given)
        report = await workflow.execute_activity_method(
            ReconciliationActivities.finish_reconciliation,
            period,
            summary="Compare cash, look at what is left",
            **options.NIGHTLY,
        )
        workflow.set_current_details(f"{period.since} to {period.until}: {report.summary}")
        return report

    async def _page(self, given: ReconciliationInput, period: Period) -> tuple[ReconciliationInput, bool]:
        """Compare the next page, and have what it lacks repaired; returns how far that is."""
        number = given.page + 1
        page = await workflow.execute_activity_method(
            ReconciliationActivities.reconcile_page,
            PageInput(period.run_id, period.since, period.until, given.after, number, given.transactions),
            summary=f"Page {number}",
            **options.PROCESSOR_PAGE,
        )
        seen = given.transactions + page.transactions
        workflow.set_current_details(f"{period.since} to {period.until}: {seen} transactions compared")
        for start in range(0, len(page.missing), _REPAIRS_AT_ONCE):
            chunk = page.missing[start : start + _REPAIRS_AT_ONCE]
            await asyncio.gather(*(self._repair(difference_id) for difference_id in chunk))
        after = page.last if page.last is not None else given.after
        return replace(given, page=number, transactions=seen, after=after), page.has_more

    async def _repair(self, difference_id: str) -> None:
        """One that somebody else has started is left to itself; a failure leaves the difference open."""
        with contextlib.suppress(WorkflowAlreadyStartedError, ChildWorkflowError):
            await workflow.execute_child_workflow(
                RepairWorkflow.run,
                DifferenceInput(difference_id),
                id=repair_workflow_id(difference_id),
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )


@workflow.defn(name=messages.REPAIR)
class RepairWorkflow:
    """Repairs one difference: asks the processor again, sends the message that never came, waits for its
    entry. What it can't repair stays open for an operator."""

    @workflow.run
    async def run(self, given: DifferenceInput) -> str:
        """Returns what was done."""
        step = await workflow.execute_activity_method(
            RepairActivities.repair_difference, given, summary="Ask the processor again", **options.PROCESSOR
        )
        told, pause = step.told, timedelta(milliseconds=500)
        while step.waiting and pause < _LONGEST_PAUSE:
            workflow.set_current_details(f"{told}; waiting for its entry")
            await workflow.sleep(pause, summary="The entry is on its way")
            step = await workflow.execute_activity_method(
                RepairActivities.check_difference, given, summary="Look at the books", **options.MESSAGE
            )
            pause *= 2
        ending = "open: a person decides" if step.is_open else "repaired"
        workflow.set_current_details(f"{told}; {ending}")
        return f"{ending} ({told})"

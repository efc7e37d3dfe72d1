"""Messages to workflows: who receives an inbound event, and how to reach a workflow that may be closed.

Gateway and worker both send; neither may import the other's side, so workflows are named by
`domain.messages`. A message is safe to send again: workflows keep the ids of what they handled, and the
database has the final word.
"""

from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain import ids, messages
from domain.errors import Unavailable
from domain.messages import LmsConcern, StoredEvent
from domain.payouts import SETTLED, settlement_of
from integrations.request_ids import relaying

_RPC_TIMEOUT = timedelta(seconds=8)
# A client that has not reached Temporal yet says so by a plain RuntimeError.
_NO_CONNECTION = RuntimeError


def _failed_late(event_type: str, charge: dict[str, Any]) -> bool:
    """Whether an event tells of a charge whose money the processor took back when it failed."""
    return (
        event_type in ("charge.failed", "charge.updated")
        and charge.get("status") == "failed"
        and charge.get("failure_balance_transaction") is not None
        and charge.get("payment_intent") is not None
    )


class Dispatcher:
    """Sends messages to workflows of this product."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def stripe_event(self, event: StoredEvent) -> str:
        """Send a Stripe event to its writer; returns what was done, for the inbox row."""
        subject: dict[str, Any] = event.payload["data"]["object"]
        kind = event.type.split(".", 1)[0]
        moved = await self._balance_transactions(subject, event)
        if _failed_late(event.type, subject) and event.order_id is not None:
            return await self._late_failure(event.order_id, subject["payment_intent"])
        if kind == "payout" or event.type in ("charge.succeeded", "charge.updated"):
            return moved
        if event.order_id is None:
            return "ignored: not an object of ours"
        if event.type.startswith("charge.dispute."):
            return await self._dispute_event(event, subject)
        if kind == "payment_intent":
            return await self._payment_event(event, subject["id"], event.order_id)
        if kind == "refund":
            refund_id = (subject.get("metadata") or {}).get("refund_id")
            if refund_id is None:
                await self._foreign_refund(subject, event)
                return f"{moved}; refund made at the processor taken in"
            sent = await self._signal(
                ids.refund_workflow_id(refund_id),
                messages.SIGNAL_REFUND,
                messages.RefundEvent(event.inbox_id, event.type),
            )
            if not sent and event.type in ("refund.updated", "refund.failed"):
                await self.resume_refund(refund_id)  # it had closed, and the processor moved it again
            return f"{moved}; refund {'signalled' if sent else 'had closed'}"
        return "ignored: a type that nothing here acts on"

    async def _foreign_refund(self, subject: dict[str, Any], event: StoredEvent) -> None:
        """Have a refund that was made at the processor taken in, or told that it moved."""
        refund_id = ids.foreign_refund_id(subject["id"], subject["created"])
        workflow_id = ids.refund_workflow_id(refund_id)
        message = messages.RefundEvent(event.inbox_id, event.type)
        if not await self._signal(workflow_id, messages.SIGNAL_REFUND, message):
            await self._resume(
                messages.REFUND,
                messages.RefundInput(refund_id, provider_refund_id=subject["id"]),
                workflow_id,
            )

    async def _dispute_event(self, event: StoredEvent, subject: dict[str, Any]) -> str:
        workflow_id = ids.dispute_workflow_id(subject["id"])
        message = messages.DisputeEvent(event.inbox_id, event.type)
        if await self._signal(workflow_id, messages.SIGNAL_DISPUTE, message):
            return "dispute signalled"
        await self._resume(messages.DISPUTE, messages.DisputeInput(subject["id"]), workflow_id)
        return "dispute taken in"

    async def lms_event(self, concerned: LmsConcern) -> str:
        """Wake whom an event of the LMS concerns; returns what was done, for the inbox row."""
        with relaying():
            for user_id, course_id in concerned.accesses:
                await self.wake_entitlement(user_id, course_id)
            if concerned.erasure_of is not None:
                await self.wake_erasure(concerned.erasure_of)
                return "erasure woken"
            if concerned.merge_id is not None:
                await self.wake_merge(concerned.merge_id)
                return "merge woken"
            if concerned.account_of is not None:
                await self.wake_account(concerned.account_of)
                return "account change woken"
        return f"{len(concerned.accesses)} entitlements woken"

    async def wake_resolution(self, resolution_id: str) -> None:
        """Have a question to a buyer looked at again, or asked."""
        await self._signal_with_start(
            messages.RESOLUTION,
            messages.ResolutionInput(resolution_id),
            ids.resolution_workflow_id(resolution_id),
        )

    async def wake_erasure(self, user_id: str) -> None:
        """Have a person erased who is to be, or what is still open of theirs looked at again."""
        await self._signal_with_start(
            messages.PERSON_ERASURE, messages.ErasureInput(user_id), ids.erasure_workflow_id(user_id)
        )

    async def wake_merge(self, merge_id: str) -> None:
        """Have an account merged into another, or what stands against it looked at again."""
        await self._signal_with_start(
            messages.PERSON_MERGE, messages.MergeInput(merge_id), ids.merge_workflow_id(merge_id)
        )

    async def wake_account(self, user_id: str) -> None:
        """Have what follows from a change of a person's account done."""
        await self._signal_with_start(
            messages.ACCOUNT_CHANGE, messages.AccountInput(user_id), ids.account_workflow_id(user_id)
        )

    async def wake_run_change(self, change_id: str) -> None:
        """Have the buyers of a changed run asked, or their answers counted."""
        await self._signal_with_start(
            messages.RUN_CHANGE,
            messages.RunChangeInput(change_id),
            ids.run_change_workflow_id(change_id),
        )

    async def cancel_unpaid_order(self, order_id: str, by: str, update_id: str) -> None:
        """Ask an order's workflow to cancel it; what becomes of it stands in its row."""
        handle = self._client.get_workflow_handle(ids.order_workflow_id(order_id))
        try:
            await handle.start_update(
                messages.UPDATE_CANCEL,
                messages.CancelRequest(by),
                id=update_id,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                rpc_timeout=_RPC_TIMEOUT,
            )
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise Unavailable("the order's workflow does not answer") from error
        except (RPCError, _NO_CONNECTION) as error:
            if isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND:
                return  # it has ended, or the recovery will start it
            raise Unavailable(f"Temporal: {error}") from error

    async def wake_dispute(self, provider_id: str) -> None:
        """Have a dispute read what an operator wishes."""
        await self._resume(
            messages.DISPUTE,
            messages.DisputeInput(provider_id),
            ids.dispute_workflow_id(provider_id),
            signal=messages.SIGNAL_WAKE,
        )

    async def resume_dispute(self, provider_id: str) -> None:
        """Start a dispute's workflow that was lost."""
        await self._resume(
            messages.DISPUTE, messages.DisputeInput(provider_id), ids.dispute_workflow_id(provider_id)
        )

    async def _payment_event(self, event: StoredEvent, intent_id: str, order_id: str) -> str:
        if event.type == "payment_intent.created":
            return "ignored: we have the processor's answer, or ask for it"
        message = messages.PaymentEvent(event.inbox_id, event.type, intent_id)
        if await self._signal(ids.order_workflow_id(order_id), messages.SIGNAL_PAYMENT, message):
            return "order signalled"
        if event.type != "payment_intent.succeeded":
            return "ignored: the order is closed"
        await self._start_once(
            messages.LATE_PAYMENT,
            messages.LatePaymentInput(order_id, intent_id),
            ids.late_payment_workflow_id(intent_id),
        )
        return "late payment started"

    async def _late_failure(self, order_id: str, intent: dict[str, Any] | str) -> str:
        await self.start_late_failure(order_id, intent["id"] if isinstance(intent, dict) else intent)
        return "late failure taken in"

    async def start_late_failure(self, order_id: str, intent_id: str) -> None:
        """Have the sale of a payment that failed after all undone."""
        await self._resume(
            messages.LATE_FAILURE,
            messages.LateFailureInput(order_id, intent_id),
            ids.late_failure_workflow_id(intent_id),
        )

    async def _balance_transactions(self, subject: dict[str, Any], event: StoredEvent) -> str:
        """Have every movement of money that the object names taken in; a dispute carries its own whole."""
        named = [subject.get("balance_transaction"), subject.get("failure_balance_transaction")]
        found = {
            str(one["id"] if isinstance(one, dict) else one)
            for one in [*named, *(subject.get("balance_transactions") or [])]
            if one
        }
        for transaction_id in sorted(found):
            await self._start_once(
                messages.BALANCE_TRANSACTION,
                messages.BalanceTransactionInput(transaction_id, event.order_id),
                ids.balance_transaction_workflow_id(transaction_id),
            )
        return "balance transaction taken in" if found else "no balance transaction yet"

    async def payout_event(self, event: StoredEvent) -> str:
        """Have a payout posted; returns what was done. Raises InvalidInput for one that can't be read."""
        if event.type != SETTLED:
            return "ignored: a type that nothing here acts on"
        settlement_of(event.payload.get("data"))
        await self.start_payout(event.inbox_id)
        return "payout taken in"

    async def start_payout(self, inbox_id: str) -> None:
        """Have a stored `payout.settled` posted."""
        await self._start_once(
            messages.PAYOUT, messages.PayoutInput(inbox_id), ids.payout_workflow_id(inbox_id)
        )

    async def wake_entitlement(self, user_id: str, course_id: str) -> None:
        """Have the one writer of this access compare what is with what should be."""
        await self._signal_with_start(
            messages.ENTITLEMENT,
            messages.EntitlementInput(user_id, course_id),
            ids.entitlement_workflow_id(user_id, course_id),
        )

    async def hurry_entitlement(self, user_id: str, course_id: str) -> bool:
        """Have the LMS asked now, whatever pause this access is in; False when nothing is under way."""
        return await self._signal(
            ids.entitlement_workflow_id(user_id, course_id), messages.SIGNAL_RETRY_NOW, None
        )

    async def wake_delivery(self, endpoint_id: str, stream: str) -> None:
        """Have the pending events of this stream delivered."""
        await self._signal_with_start(
            messages.WEBHOOK_DELIVERY,
            messages.DeliveryInput(endpoint_id, stream),
            ids.delivery_workflow_id(endpoint_id, stream),
        )

    async def start_tax_report(self, document_id: str) -> None:
        """Have the tax calculator told of this document."""
        await self._resume(
            messages.TAX_REPORT,
            messages.TaxReportInput(document_id),
            ids.tax_report_workflow_id(document_id),
        )

    async def retry_delivery(self, endpoint_id: str, stream: str) -> None:
        """Have the next event of this stream sent now, whatever pause it is in."""
        await self._resume(
            messages.WEBHOOK_DELIVERY,
            messages.DeliveryInput(endpoint_id, stream),
            ids.delivery_workflow_id(endpoint_id, stream),
            signal=messages.SIGNAL_RETRY_NOW,
        )

    async def start_replay(self, replay_id: str, asked: messages.ReplayInput) -> str:
        """Have events sent again; returns the workflow's id."""
        workflow_id = ids.replay_workflow_id(replay_id)
        await self._start_once(messages.WEBHOOK_REPLAY, asked, workflow_id)
        return workflow_id

    async def start_repair(self, difference_id: str) -> None:
        """Have a difference between processor and books looked at, again when it was before."""
        await self._resume(
            messages.REPAIR, messages.DifferenceInput(difference_id), ids.repair_workflow_id(difference_id)
        )

    async def resume_split(self, line_id: str) -> None:
        """Have the split of a line read its row, also when it had ended: a refund may have been undone."""
        await self._resume(
            messages.REVENUE_SPLIT,
            messages.LineInput(line_id),
            ids.split_workflow_id(line_id),
            signal=messages.SIGNAL_LINE,
        )

    async def resume_late_payment(self, order_id: str, intent_id: str) -> None:
        """Decide on money whose decision was lost."""
        await self._resume(
            messages.LATE_PAYMENT,
            messages.LatePaymentInput(order_id, intent_id),
            ids.late_payment_workflow_id(intent_id),
        )

    async def line_changed(self, line_id: str) -> bool:
        """Tell the split of a line to read its row again; False when it is closed."""
        return await self._signal(ids.split_workflow_id(line_id), messages.SIGNAL_LINE, None)

    async def order_entitlement_changed(self, order_id: str) -> bool:
        """Tell an order that one of its entitlements changed; False when it is closed."""
        return await self._signal(ids.order_workflow_id(order_id), messages.SIGNAL_ENTITLEMENT, None)

    async def resume_order(self, order_id: str) -> None:
        """Start the order's workflow again from its row, after it had closed or was lost."""
        await self._resume(messages.CHECKOUT, messages.OrderInput(order_id), ids.order_workflow_id(order_id))

    async def resume_refund(self, refund_id: str) -> None:
        """Start a refund from its row: a new one that a workflow reserved, one that was lost, or a closed
        one that the processor moved again."""
        await self._resume(
            messages.REFUND, messages.RefundInput(refund_id), ids.refund_workflow_id(refund_id)
        )

    async def wake_refund(self, refund_id: str) -> None:
        """Have a refund read what an operator wishes."""
        await self._resume(
            messages.REFUND,
            messages.RefundInput(refund_id),
            ids.refund_workflow_id(refund_id),
            signal=messages.SIGNAL_WAKE,
        )

    async def wake_parked_refund(self, provider_refund_id: str, created: int) -> None:
        """Have a refund that was made at the processor, and did not fit, tried again."""
        refund_id = ids.foreign_refund_id(provider_refund_id, created)
        await self._resume(
            messages.REFUND,
            messages.RefundInput(refund_id, provider_refund_id=provider_refund_id),
            ids.refund_workflow_id(refund_id),
            signal=messages.SIGNAL_WAKE,
        )

    async def is_running(self, workflow_id: str) -> bool | None:
        """True when open, False when closed, None when Temporal knows no such workflow."""
        try:
            description = await self._client.get_workflow_handle(workflow_id).describe(
                rpc_timeout=_RPC_TIMEOUT
            )
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return None
            raise Unavailable(f"Temporal: {error}") from error
        return description.status == WorkflowExecutionStatus.RUNNING

    async def _signal(self, workflow_id: str, signal: str, message: object) -> bool:
        """Tell an open workflow what happened elsewhere; False when it is closed."""
        handle = self._client.get_workflow_handle(workflow_id)
        arguments = [] if message is None else [message]
        try:
            with relaying():
                await handle.signal(signal, args=arguments, rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return False
            raise Unavailable(f"Temporal: {error}") from error
        except _NO_CONNECTION as error:
            raise Unavailable(f"Temporal: {error}") from error
        return True

    async def _start_once(self, workflow: str, message: object, workflow_id: str) -> None:
        try:
            await self._client.start_workflow(
                workflow,
                message,
                id=workflow_id,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                rpc_timeout=_RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return
        except (RPCError, _NO_CONNECTION) as error:
            raise Unavailable(f"Temporal: {error}") from error

    async def _signal_with_start(self, workflow: str, message: object, workflow_id: str) -> None:
        await self._resume(workflow, message, workflow_id, signal=messages.SIGNAL_WAKE)

    async def _resume(
        self, workflow: str, message: object, workflow_id: str, *, signal: str | None = None
    ) -> None:
        try:
            await self._client.start_workflow(
                workflow,
                message,
                id=workflow_id,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal=signal,
                rpc_timeout=_RPC_TIMEOUT,
            )
        except (RPCError, _NO_CONNECTION) as error:
            raise Unavailable(f"Temporal: {error}") from error

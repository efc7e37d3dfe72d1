"""Asking workflows by update, and making our errors of their answers."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.dependencies import Services
from domain import ids
from domain.errors import CommerceError, Conflict, InvalidInput, Unavailable
from domain.messages import (
    CancelRequest,
    CheckoutAnswer,
    CorrectionInput,
    OrderInput,
    RefundInput,
    ResolutionDecision,
    ResolutionInput,
    StoreCreditInput,
)
from domain.resolutions import ResolutionChoice
from workflows.checkout import CheckoutWorkflow
from workflows.payees import CorrectionWorkflow
from workflows.refund import RefundWorkflow
from workflows.resolution import ResolutionWorkflow
from workflows.store_credit import StoreCreditWorkflow

R = TypeVar("R")

# Long enough for the processor to be slow, short enough for a person who waits. The workflow goes on
# either way; a retry with the same key gets its answer.
_PATIENCE = timedelta(seconds=10)


async def ask_checkout(services: Services, order_id: str) -> CheckoutAnswer:
    """Start the order's workflow, or find it, and wait until its payment can begin."""
    start: WithStartWorkflowOperation[CheckoutWorkflow, str] = WithStartWorkflowOperation(
        CheckoutWorkflow.run,
        OrderInput(order_id),
        id=ids.order_workflow_id(order_id),
        task_queue=services.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        static_summary=f"Order {order_id}",
    )
    return await _translated(
        lambda: services.temporal.execute_update_with_start_workflow(
            CheckoutWorkflow.checkout,
            start_workflow_operation=start,
            id=ids.CHECKOUT_UPDATE_ID,
            rpc_timeout=_PATIENCE,
        )
    )


async def ask_refund(services: Services, refund_id: str) -> str:
    """Start the refund's workflow, or find it, and wait until the money is reserved."""
    start: WithStartWorkflowOperation[RefundWorkflow, str] = WithStartWorkflowOperation(
        RefundWorkflow.run,
        RefundInput(refund_id),
        id=ids.refund_workflow_id(refund_id),
        task_queue=services.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        static_summary=f"Refund {refund_id}",
    )
    return await _translated(
        lambda: services.temporal.execute_update_with_start_workflow(
            RefundWorkflow.request,
            start_workflow_operation=start,
            id=ids.REFUND_UPDATE_ID,
            rpc_timeout=_PATIENCE,
        )
    )


async def ask_correction(services: Services, correction_id: str) -> str:
    """Start a correction of a payee's money, or find it, and wait until it is done."""
    start: WithStartWorkflowOperation[CorrectionWorkflow, str] = WithStartWorkflowOperation(
        CorrectionWorkflow.run,
        CorrectionInput(correction_id),
        id=ids.correction_workflow_id(correction_id),
        task_queue=services.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        static_summary=f"Correction {correction_id}",
    )
    return await _translated(
        lambda: services.temporal.execute_update_with_start_workflow(
            CorrectionWorkflow.request,
            start_workflow_operation=start,
            id=ids.CORRECTION_UPDATE_ID,
            rpc_timeout=_PATIENCE,
        )
    )


async def ask_store_credit(services: Services, grant_id: str) -> str:
    """Start the gift of store credit, or find it, and wait until it is in the books."""
    start: WithStartWorkflowOperation[StoreCreditWorkflow, str] = WithStartWorkflowOperation(
        StoreCreditWorkflow.run,
        StoreCreditInput(grant_id),
        id=ids.store_credit_workflow_id(grant_id),
        task_queue=services.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        static_summary=f"Store credit {grant_id}",
    )
    return await _translated(
        lambda: services.temporal.execute_update_with_start_workflow(
            StoreCreditWorkflow.request,
            start_workflow_operation=start,
            id=ids.STORE_CREDIT_UPDATE_ID,
            rpc_timeout=_PATIENCE,
        )
    )


async def ask_resolution(
    services: Services,
    resolution_id: str,
    command_id: str,
    *,
    choice: ResolutionChoice,
    item_id: str | None,
    by: str,
    user_id: str,
) -> str:
    """Have a question's workflow carry a choice out; Conflict or InvalidInput when it can't be."""
    start: WithStartWorkflowOperation[ResolutionWorkflow, str] = WithStartWorkflowOperation(
        ResolutionWorkflow.run,
        ResolutionInput(resolution_id),
        id=ids.resolution_workflow_id(resolution_id),
        task_queue=services.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        # A run that has ended is started again: it finds its row, and answers from it.
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        static_summary=f"Question {resolution_id}",
    )
    return await _translated(
        lambda: services.temporal.execute_update_with_start_workflow(
            ResolutionWorkflow.resolve,
            ResolutionDecision(resolution_id, command_id, by, choice, item_id, user_id),
            start_workflow_operation=start,
            id=ids.resolve_update_id(command_id),
            rpc_timeout=_PATIENCE,
        )
    )


async def ask_cancel(services: Services, order_id: str, command_id: str, by: str) -> str:
    """Have the order's workflow cancel it; Conflict when it can't, or has closed."""
    handle = services.temporal.get_workflow_handle(ids.order_workflow_id(order_id))
    return await _translated(
        lambda: handle.execute_update(
            CheckoutWorkflow.cancel,
            CancelRequest(by),
            id=ids.cancel_update_id(command_id),
            rpc_timeout=_PATIENCE,
        )
    )


async def check_temporal(client: Client) -> None:
    """Raise when Temporal can't be asked."""
    if not await client.service_client.check_health(timeout=timedelta(seconds=2)):
        raise Unavailable("Temporal is not healthy")


async def _translated(call: Callable[[], Awaitable[R]]) -> R:
    try:
        return await call()
    except WorkflowUpdateFailedError as error:
        raise _refusal(error.cause) from error
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise Unavailable(
            "the order is being worked on; ask again with the same Idempotency-Key", retry_after_seconds=2
        ) from error
    except WorkflowAlreadyStartedError as error:
        raise Conflict("this has ended already", code="order_not_cancelable") from error
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            raise Conflict("the order has ended", code="order_not_cancelable") from error
        raise Unavailable("the workflow engine is not reachable", retry_after_seconds=2) from error
    except RuntimeError as error:  # of a client that has not reached it yet
        raise Unavailable("the workflow engine is not reachable", retry_after_seconds=2) from error


def _refusal(cause: BaseException | None) -> CommerceError:
    if not isinstance(cause, ApplicationError) or not cause.details:
        return CommerceError("the workflow failed")
    details: dict[str, Any] = cause.details[0]
    kind = Conflict if details.get("conflict", True) else InvalidInput
    return kind(cause.message, code=cause.type, **details.get("members", {}))

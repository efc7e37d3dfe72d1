"""Asking workflows by update, and making our errors of their answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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


async def ask_checkout(services: Services, order_id: str) -> str | None:
    """Start the order's workflow, or find it, and wait until it can be paid; its intent, if any."""
    answer: CheckoutAnswer | None = await _ask(
        services,
        _Start(
            CheckoutWorkflow.run,
            OrderInput(order_id),
            ids.order_workflow_id(order_id),
            f"Order {order_id}",
        ),
        CheckoutWorkflow.checkout,
        ids.CHECKOUT_UPDATE_ID,
    )
    return None if answer is None else answer.intent_id


async def ask_refund(services: Services, refund_id: str) -> None:
    """Start the refund's workflow, or find it, and wait until the money is reserved."""
    start = _Start(
        RefundWorkflow.run,
        RefundInput(refund_id),
        ids.refund_workflow_id(refund_id),
        f"Refund {refund_id}",
    )
    await _ask(services, start, RefundWorkflow.request, ids.REFUND_UPDATE_ID)


async def ask_correction(services: Services, correction_id: str) -> None:
    """Start a correction of a payee's money, or find it, and wait until it is done."""
    start = _Start(
        CorrectionWorkflow.run,
        CorrectionInput(correction_id),
        ids.correction_workflow_id(correction_id),
        f"Correction {correction_id}",
    )
    await _ask(services, start, CorrectionWorkflow.request, ids.CORRECTION_UPDATE_ID)


async def ask_store_credit(services: Services, grant_id: str) -> None:
    """Start the gift of store credit, or find it, and wait until it is in the books."""
    start = _Start(
        StoreCreditWorkflow.run,
        StoreCreditInput(grant_id),
        ids.store_credit_workflow_id(grant_id),
        f"Store credit {grant_id}",
    )
    await _ask(services, start, StoreCreditWorkflow.request, ids.STORE_CREDIT_UPDATE_ID)


async def ask_resolution(
    services: Services,
    resolution_id: str,
    command_id: str,
    *,
    choice: ResolutionChoice,
    item_id: str | None,
    by: str,
    user_id: str,
) -> None:
    """Have a question's workflow carry a choice out; Conflict or InvalidInput when it can't be."""
    start = _Start(
        ResolutionWorkflow.run,
        ResolutionInput(resolution_id),
        ids.resolution_workflow_id(resolution_id),
        f"Question {resolution_id}",
        # A run that has ended is started again: it finds its row, and answers from it.
        WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    )
    decision = ResolutionDecision(resolution_id, command_id, by, choice, item_id, user_id)
    update_id = ids.resolve_update_id(command_id)
    await _ask(services, start, ResolutionWorkflow.resolve, update_id, decision)


@dataclass(frozen=True, slots=True)
class _Start:
    """A workflow to start, or to find."""

    run: Callable[..., Awaitable[Any]]
    given: object
    workflow_id: str
    summary: str
    reuse: WorkflowIDReusePolicy = WorkflowIDReusePolicy.REJECT_DUPLICATE


async def _ask(services: Services, start: _Start, update: Any, update_id: str, *given: object) -> Any:
    """The answer of an update, by update-with-start: the same update id gets the same answer.

    None of a workflow that ran to its end without being asked, as one that the recovery began: what it did
    stands in its row.
    """
    operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        start.run,
        start.given,
        id=start.workflow_id,
        task_queue=services.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=start.reuse,
        static_summary=start.summary,
    )
    try:
        return await _translated(
            lambda: services.temporal.execute_update_with_start_workflow(
                update, args=given, start_workflow_operation=operation, id=update_id, rpc_timeout=_PATIENCE
            )
        )
    except WorkflowAlreadyStartedError:
        return None


async def ask_cancel(services: Services, order_id: str, command_id: str, by: str) -> str:
    """Have the order's workflow cancel it; Conflict when it can't, or has closed."""
    handle = services.temporal.get_workflow_handle(ids.order_workflow_id(order_id))
    return await _translated(
        lambda: handle.execute_update(
            CheckoutWorkflow.cancel,
            CancelRequest(by),
            id=ids.cancel_update_id(command_id),
            rpc_timeout=_PATIENCE,
        ),
        ended_code="order_not_cancelable",
    )


async def check_temporal(client: Client) -> None:
    """Raise when Temporal can't be asked."""
    if not await client.service_client.check_health(timeout=timedelta(seconds=2)):
        raise Unavailable("Temporal is not healthy")


async def _translated(call: Callable[[], Awaitable[R]], *, ended_code: str = Conflict.code) -> R:
    """What was called for; our errors. `ended_code` says that no workflow is there to answer any more."""
    try:
        return await call()
    except WorkflowUpdateFailedError as error:
        raise _refusal(error.cause) from error
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise Unavailable(
            "this is being worked on; ask again with the same Idempotency-Key", retry_after_seconds=2
        ) from error
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            raise Conflict("this has ended already", code=ended_code) from error
        raise Unavailable("the workflow engine is not reachable", retry_after_seconds=2) from error
    except RuntimeError as error:  # of a client that has not reached it yet
        raise Unavailable("the workflow engine is not reachable", retry_after_seconds=2) from error


def _refusal(cause: BaseException | None) -> CommerceError:
    if not isinstance(cause, ApplicationError) or not cause.details:
        return CommerceError("the workflow failed")
    details: dict[str, Any] = cause.details[0]
    kind = Conflict if details.get("conflict", True) else InvalidInput
    return kind(cause.message, code=cause.type, **details.get("members", {}))

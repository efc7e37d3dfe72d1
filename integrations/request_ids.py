"""The request id on its way: from a request to the workflows that it starts, their activities and children.

It stands in the memo of each workflow, where an operator finds it, and in the fields of every line logged.
"""

from collections.abc import Mapping
from typing import Any

import temporalio.client
import temporalio.worker
from temporalio import activity, workflow
from temporalio.client import (
    OutboundInterceptor,
    StartWorkflowInput,
    StartWorkflowUpdateWithStartInput,
    WorkflowHandle,
    WorkflowUpdateHandle,
)
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    StartActivityInput,
    StartChildWorkflowInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

with workflow.unsafe.imports_passed_through():
    from integrations.logs import bind, bound

_MEMO = "request_id"
_HEADER = "request-id"


class RequestIds(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """For the client; workers made with it take it over."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002
        """Workflows get the request's id as a memo."""
        return _Client(next)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Activities log with it."""
        return _Activity(next)

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002
    ) -> type[WorkflowInboundInterceptor] | None:
        """Workflows hand it on."""
        return _Workflow


class _Client(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:  # noqa: A002
        input.memo = _with_request_id(input.memo)
        return await super().start_workflow(input)

    async def start_update_with_start_workflow(
        self,
        input: StartWorkflowUpdateWithStartInput,  # noqa: A002
    ) -> WorkflowUpdateHandle[Any]:
        start = input.start_workflow_input
        start.memo = _with_request_id(start.memo)
        return await super().start_update_with_start_workflow(input)


class _Activity(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        info = activity.info()
        header = input.headers.get(_HEADER)
        request_id = "" if header is None else activity.payload_converter().from_payload(header, str)
        fields = {"workflow_id": info.workflow_id or "", "activity": info.activity_type}
        if info.attempt > 1:
            fields["attempt"] = str(info.attempt)
        with bind(request_id=request_id, **fields):
            return await super().execute_activity(input)


class _Workflow(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_WorkflowOut(outbound))


class _WorkflowOut(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002
        self._hand_on(input)
        return super().start_activity(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002
        self._hand_on(input)
        return super().start_local_activity(input)

    async def start_child_workflow(
        self,
        input: StartChildWorkflowInput,  # noqa: A002
    ) -> workflow.ChildWorkflowHandle[Any, Any]:
        request_id = _of_this_workflow()
        if request_id:
            input.memo = {**(input.memo or {}), _MEMO: request_id}
        return await super().start_child_workflow(input)

    def _hand_on(self, input: StartActivityInput | StartLocalActivityInput) -> None:  # noqa: A002
        request_id = _of_this_workflow()
        if request_id:
            payload = workflow.payload_converter().to_payload(request_id)
            input.headers = {**input.headers, _HEADER: payload}


def _of_this_workflow() -> str:
    return workflow.memo_value(_MEMO, "", type_hint=str)


def _with_request_id(memo: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    request_id = bound("request_id")
    return {_MEMO: request_id, **(memo or {})} if request_id else memo

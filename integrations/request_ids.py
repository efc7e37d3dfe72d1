"""The request id on its way: from a request to workflows, their activities and children.

A workflow that a request starts has its id in the memo, where an operator finds it; updates and signals bring
theirs in a header. What a workflow does is done for the request that it heard of last; every line says which.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import temporalio.client
import temporalio.worker
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    OutboundInterceptor,
    SignalWorkflowInput,
    StartWorkflowInput,
    StartWorkflowUpdateInput,
    StartWorkflowUpdateWithStartInput,
    WorkflowHandle,
    WorkflowUpdateHandle,
)
from temporalio.converter import DefaultPayloadConverter
from temporalio.worker import (
    ActivityInboundInterceptor,
    ContinueAsNewInput,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
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
# Headers pass by the payload codec: an id says nothing of anybody.
_CONVERTER = DefaultPayloadConverter()
_Headers = Mapping[str, Payload]

_relaying: ContextVar[bool] = ContextVar("relaying", default=False)


@contextmanager
def relaying() -> Iterator[None]:
    """Signals that are sent within only pass on what somebody else told.

    Who hears them goes on for the request before: an order that is paid is so for its checkout, not for the
    processor's webhook.
    """
    token = _relaying.set(True)
    try:
        yield
    finally:
        _relaying.reset(token)


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
        if input.start_signal is not None and not _relaying.get():
            input.headers = _with_header(input.headers)
        return await super().start_workflow(input)

    async def signal_workflow(self, input: SignalWorkflowInput) -> None:  # noqa: A002
        if not _relaying.get():
            input.headers = _with_header(input.headers)
        await super().signal_workflow(input)

    async def start_workflow_update(self, input: StartWorkflowUpdateInput) -> WorkflowUpdateHandle[Any]:  # noqa: A002
        input.headers = _with_header(input.headers)
        return await super().start_workflow_update(input)

    async def start_update_with_start_workflow(
        self,
        input: StartWorkflowUpdateWithStartInput,  # noqa: A002
    ) -> WorkflowUpdateHandle[Any]:
        start, update = input.start_workflow_input, input.update_workflow_input
        start.memo = _with_request_id(start.memo)
        update.headers = _with_header(update.headers)
        return await super().start_update_with_start_workflow(input)


class _Activity(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        info = activity.info()
        request_id = _read(input.headers)
        fields = {"workflow_id": info.workflow_id or "", "activity": info.activity_type}
        if info.attempt > 1:
            fields["attempt"] = str(info.attempt)
        with bind(request_id=request_id, **fields):
            return await super().execute_activity(input)


class _Heard:
    """The request that a workflow heard of last; empty when of none since it was started."""

    request_id = ""


class _Workflow(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        self._heard = _Heard()
        super().init(_WorkflowOut(outbound, self._heard))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002
        # A message may have been handled before; else this run goes on from another, or came with a signal.
        self._heard.request_id = self._heard.request_id or _read(input.headers)
        return await super().execute_workflow(input)

    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
        request_id = self._listen(input.headers)
        with bind(request_id=request_id):
            await super().handle_signal(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002
        before = self._heard.request_id
        request_id = self._listen(input.headers)
        try:
            with bind(request_id=request_id):
                return await super().handle_update_handler(input)
        except Exception:
            # What was refused leads to nothing.
            if self._heard.request_id == request_id:
                self._heard.request_id = before
            raise

    def _listen(self, headers: _Headers) -> str:
        request_id = _read(headers)
        self._heard.request_id = request_id or self._heard.request_id
        return request_id


class _WorkflowOut(WorkflowOutboundInterceptor):
    def __init__(self, next: WorkflowOutboundInterceptor, heard: _Heard) -> None:  # noqa: A002
        super().__init__(next)
        self._heard = heard

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
        request_id = self._request_id()
        if request_id:
            input.memo = {**(input.memo or {}), _MEMO: request_id}
        return await super().start_child_workflow(input)

    def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:  # noqa: A002
        self._hand_on(input)
        super().continue_as_new(input)

    def _hand_on(self, input: StartActivityInput | StartLocalActivityInput | ContinueAsNewInput) -> None:  # noqa: A002
        input.headers = _headers_with(input.headers, self._request_id())

    def _request_id(self) -> str:
        """That of the message whose handler asks, else of the last one, else of the start."""
        return bound("request_id") or self._heard.request_id or workflow.memo_value(_MEMO, "", type_hint=str)


def _read(headers: _Headers) -> str:
    header = headers.get(_HEADER)
    return "" if header is None else str(_CONVERTER.from_payload(header, str))


def _with_header(headers: _Headers) -> _Headers:
    return _headers_with(headers, bound("request_id"))


def _headers_with(headers: _Headers, request_id: str) -> _Headers:
    return {**headers, _HEADER: _CONVERTER.to_payload(request_id)} if request_id else headers


def _with_request_id(memo: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    request_id = bound("request_id")
    return {_MEMO: request_id, **(memo or {})} if request_id else memo

"""The Temporal dev server with its UI from the wheel, as our own child process."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from devstack.ports import LOOPBACK
from devstack.processes import Command, find_program

NAMESPACE = "default"
SEARCH_ATTRIBUTES = ("OrderStatus", "OrderNumber", "LmsUserId", "CourseId", "PaymentIntentId")
RETENTION_SECONDS = 7 * 24 * 3600

_SPEED = {
    # The dev server has one shard, and 20 polls a second on it would make each step cost 50 ms.
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
    "history.visibilityProcessorMaxPollRPS": "2000",
}


@dataclass(frozen=True)
class Temporal:
    """How the dev server is started and reached."""

    home: Path
    port: int
    # None: without the UI.
    ui_port: int | None
    time_skipping: bool = False

    @property
    def address(self) -> str:
        """Host and port of the frontend."""
        return f"{LOOPBACK}:{self.port}"

    def command(self) -> Command:
        """The server, on a database file that outlives it."""
        dynamic = _SPEED | ({"frontend.WorkflowTimeSkippingEnabled": "true"} if self.time_skipping else {})
        ui = (
            ("--headless",)
            if self.ui_port is None
            else ("--ui-port", str(self.ui_port), "--ui-disable-news-fetch")
        )
        arguments = [
            *("server", "start-dev", "--ip", LOOPBACK, "--port", str(self.port), *ui),
            *("--db-filename", str(self.home / "temporal.db")),
            *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1"),
            *("--log-level", "error"),
            *(
                item
                for name, value in dynamic.items()
                for item in ("--dynamic-config-value", f"{name}={value}")
            ),
            *(item for name in SEARCH_ATTRIBUTES for item in ("--search-attribute", f"{name}=Keyword")),
        ]
        return Command(
            name="temporal",
            argv=(find_program("temporal"), *arguments),
            # Memory for time: the server takes most of the processor's work of the whole stack.
            env={"GOGC": "800"}
            | {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ},
            cwd=self.home,
            stop_grace_seconds=3.0,
        )

    async def is_ready(self) -> bool:
        """Whether the namespace can be used."""
        try:
            await self._describe()
        except (RPCError, RuntimeError):
            return False
        return True

    async def _describe(self) -> Client:
        client = await Client.connect(self.address)
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
        return client

    async def bootstrap(self) -> None:
        """Keep closed workflows for a week; the dev server's own choice is a day."""
        client = await self._describe()
        config = NamespaceConfig(workflow_execution_retention_ttl=Duration(seconds=RETENTION_SECONDS))
        request = UpdateNamespaceRequest(namespace=NAMESPACE, config=config)
        await client.workflow_service.update_namespace(request)


async def register_namespace(
    client: Client, name: str, attributes: Sequence[str] = SEARCH_ATTRIBUTES
) -> None:
    """Make a namespace with our search attributes; one that exists stays as it is."""
    try:
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(
                namespace=name, workflow_execution_retention_period=Duration(seconds=RETENTION_SECONDS)
            )
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=name, search_attributes=dict.fromkeys(attributes, keyword))
    )

"""Makes the Temporal namespace and registers the search attributes; safe to run at every start.

Reads TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_TLS_CERT, TEMPORAL_TLS_KEY and TEMPORAL_API_KEY as the
product does.
"""

import asyncio
import os
import sys
import time

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from integrations.temporal import connect

SEARCH_ATTRIBUTES = ("OrderStatus", "OrderNumber", "LmsUserId", "CourseId", "PaymentIntentId")
# A refund may be asked for weeks after the sale, but a closed workflow is only looked at by people.
RETENTION_DAYS = 30
_WAIT_SECONDS = 120.0
_KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD


async def _connected(namespace: str) -> Client:
    """A client, once the server answers."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            return await connect(
                os.environ["TEMPORAL_ADDRESS"],
                namespace,
                sealer=None,  # no payload passes here
                tls_cert=os.environ.get("TEMPORAL_TLS_CERT") or None,
                tls_key=os.environ.get("TEMPORAL_TLS_KEY") or None,
                api_key=os.environ.get("TEMPORAL_API_KEY") or None,
            )
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(1)


async def ensure_namespace(client: Client, namespace: str) -> None:
    """Register the namespace unless it is there; one that exists keeps its settings."""
    try:
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(
                namespace=namespace,
                workflow_execution_retention_period=Duration(seconds=RETENTION_DAYS * 24 * 3600),
            )
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
    await _until_known(client, namespace)


async def _until_known(client: Client, namespace: str) -> None:
    """Wait until every host of the cluster may be expected to know a new namespace."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=namespace))
            await client.operator_service.list_search_attributes(
                ListSearchAttributesRequest(namespace=namespace)
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND or time.monotonic() > deadline:
                raise
            await asyncio.sleep(1)
        else:
            return


async def ensure_search_attributes(client: Client, namespace: str) -> list[str]:
    """Register the attributes that are missing; returns their names."""
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=namespace)
    )
    missing = [name for name in SEARCH_ATTRIBUTES if name not in known.custom_attributes]
    if missing:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=namespace, search_attributes=dict.fromkeys(missing, _KEYWORD)
            )
        )
    return missing


async def main() -> None:
    """Do both, and say so."""
    namespace = os.environ.get("TEMPORAL_NAMESPACE") or "default"
    client = await _connected(namespace)
    await ensure_namespace(client, namespace)
    added = await ensure_search_attributes(client, namespace)
    sys.stdout.write(
        f"namespace {namespace} is there; search attributes added: {', '.join(added) or 'none'}\n"
    )


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    # Not by the interpreter's own end: the SDK's threads may abort it there (temporalio/sdk-python#300), and
    # Compose would take that for a failure.
    os._exit(0)

"""Temporal namespaces for tests."""

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from devstack.temporal import RETENTION_SECONDS, SEARCH_ATTRIBUTES


async def register_namespace(client: Client, name: str) -> None:
    """Make a namespace with the product's search attributes; the dev server knows it at once."""
    retention = Duration(seconds=RETENTION_SECONDS)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
    )
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=name, search_attributes=dict.fromkeys(SEARCH_ATTRIBUTES, keyword)
        )
    )

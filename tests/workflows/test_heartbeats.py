"""An activity that takes long gives signs of life by itself."""

import asyncio
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.heartbeats import Heartbeats


@activity.defn
async def take_long() -> str:
    await asyncio.sleep(4)
    return "done"


@workflow.defn(sandboxed=False)
class Patient:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            take_long,
            start_to_close_timeout=timedelta(minutes=1),
            heartbeat_timeout=timedelta(seconds=2),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


async def test_an_activity_may_take_longer_than_a_worker_may_be_silent(temporal_client: Client) -> None:
    name = f"patient-{uuid.uuid4()}"
    async with Worker(
        temporal_client,
        task_queue=name,
        workflows=[Patient],
        activities=[take_long],
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[Heartbeats()],
    ):
        assert await temporal_client.execute_workflow(Patient.run, id=name, task_queue=name) == "done"

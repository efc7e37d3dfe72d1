"""The engine's own cost, for the bench: as many steps as an order runs, and nothing in them."""

from datetime import timedelta

from temporalio import activity, workflow

# As many as a paid order of one course runs: local ones for the database, the rest through the server.
LOCAL_STEPS = 11
REMOTE_STEPS = 6


@activity.defn
async def nothing() -> None:
    """An empty step."""


@workflow.defn
class BareWorkflow:
    """Runs the empty steps one after the other."""

    @workflow.run
    async def run(self) -> None:
        """Run them."""
        for _ in range(REMOTE_STEPS):
            await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=10))
        for _ in range(LOCAL_STEPS):
            await workflow.execute_local_activity(nothing, start_to_close_timeout=timedelta(seconds=10))

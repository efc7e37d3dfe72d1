"""A workflow for the tests of the fixtures, in a file of its own because the sandbox loads it again."""

from datetime import timedelta

from temporalio import workflow


@workflow.defn
class Patient:
    """Waits for two days."""

    @workflow.run
    async def run(self) -> str:
        """Wait."""
        await workflow.sleep(timedelta(days=2))
        return "done"

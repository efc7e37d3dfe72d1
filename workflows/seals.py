"""The ledger's chain grows by blocks."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.seals import SealActivities
    from domain import messages
    from workflows import options


@workflow.defn(name=messages.LEDGER_SEAL)
class LedgerSealWorkflow:
    """Run every minute by a Schedule: seals what was posted. Its result remembers the head of the chain."""

    @workflow.run
    async def run(self) -> str:
        """Returns the chain's head, as `commerce verify --anchor` takes it, and what was added."""
        sealed = await workflow.execute_activity_method(
            SealActivities.seal_ledger, summary="Seal what was posted", **options.RECOVERY
        )
        told = f"{sealed.block}:{sealed.hash}"
        workflow.set_current_details(
            f"{sealed.entries} entries sealed, position {sealed.position}, head `{told}`"
        )
        return told

"""An operator gives a customer store credit."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.store_credit import CreditGiven, StoreCreditActivities
    from domain import messages
    from domain.messages import StoreCreditInput
    from workflows import options
    from workflows.checkout import refused


@workflow.defn(name=messages.STORE_CREDIT)
class StoreCreditWorkflow:
    """One gift of store credit; in the books when the caller is answered."""

    @workflow.init
    def __init__(self, grant: StoreCreditInput) -> None:
        self._grant = grant
        self._given: CreditGiven | None = None

    @workflow.run
    async def run(self, grant: StoreCreditInput) -> str:
        """Returns what was given, or why it was refused."""
        given = await workflow.execute_local_activity_method(
            StoreCreditActivities.grant_store_credit, grant, **options.DATABASE
        )
        workflow.set_current_details(given.summary)
        self._given = given
        await workflow.wait_condition(workflow.all_handlers_finished)
        return given.summary

    @workflow.update
    async def request(self) -> str:
        """Answer the caller; raises why it can't be."""
        await workflow.wait_condition(lambda: self._given is not None)
        if self._given is not None and self._given.refusal is not None:
            raise refused(self._given.refusal)
        return self._grant.grant_id

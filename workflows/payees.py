"""Money between us and payees: payouts that were settled, corrections by operators, the nightly identity."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.identity import EarningsIdentityActivities
    from activities.payees import Corrected, PayeeActivities
    from domain import messages
    from domain.messages import CorrectionInput, LineInput, PayoutInput
    from domain.money import as_read
    from workflows import options
    from workflows.checkout import refused


@workflow.defn(name=messages.PAYOUT)
class PayoutWorkflow:
    """Posts one `payout.settled` of the payout system."""

    @workflow.run
    async def run(self, payout: PayoutInput) -> str:
        """Returns what was posted; a payout of more than was released is named as an alarm."""
        settled = await workflow.execute_local_activity_method(
            PayeeActivities.post_payout, payout, **options.DATABASE
        )
        told = f"{as_read(settled.amount, settled.currency)} to {settled.payee}"
        if settled.excess:
            told += f": {as_read(settled.excess, settled.currency)} MORE THAN WAS RELEASED"
        workflow.set_current_details(f"Payout {settled.payout_id}: {told}")
        return told


@workflow.defn(name=messages.CORRECTION)
class CorrectionWorkflow:
    """An operator writes a payee's debt off, or moves earnings to the payee they belong to."""

    @workflow.init
    def __init__(self, correction: CorrectionInput) -> None:
        self._correction = correction
        self._done: Corrected | None = None

    @workflow.run
    async def run(self, correction: CorrectionInput) -> str:
        """Returns what was done, or why it was refused."""
        done = await workflow.execute_local_activity_method(
            PayeeActivities.correct, correction, **options.DATABASE
        )
        workflow.set_current_details(done.summary)
        self._done = done
        if done.line_id is not None:
            await workflow.execute_activity_method(
                PayeeActivities.tell_split,
                LineInput(done.line_id),
                summary="Have the split release what the new payee holds",
                **options.MESSAGE,
            )
        await workflow.wait_condition(workflow.all_handlers_finished)
        return done.summary

    @workflow.update
    async def request(self) -> str:
        """Answer the caller; raises why it can't be."""
        await workflow.wait_condition(lambda: self._done is not None)
        if self._done is not None and self._done.refusal is not None:
            raise refused(self._done.refusal)
        return self._correction.correction_id


@workflow.defn(name=messages.EARNINGS_IDENTITY)
class EarningsIdentityWorkflow:
    """Run every night by a Schedule: what was published of earnings is what stands in the ledger."""

    @workflow.run
    async def run(self) -> str:
        """Fails, for everybody to see, with the payees that are off."""
        off = await workflow.execute_activity_method(
            EarningsIdentityActivities.check_earnings_identity,
            summary="Compare published earning events with 2210 and 2220",
            **options.NIGHTLY,
        )
        if off:
            workflow.set_current_details("\n".join(f"- {one}" for one in off))
            raise ApplicationError(
                f"{len(off)} payees are off: {off[0]}", type="earnings_identity_broken", non_retryable=True
            )
        return "every payee's events equal the ledger"

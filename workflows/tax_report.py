"""The tax calculator is told of a sale or a refund whose tax it calculated."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.taxes import TaxActivities
    from domain import messages
    from domain.messages import TaxReportInput
    from workflows import options


@workflow.defn(name=messages.TAX_REPORT)
class TaxReportWorkflow:
    """Reports one document. The calculator may be away for days; nothing else waits for it."""

    @workflow.run
    async def run(self, report: TaxReportInput) -> str:
        """Returns what was reported."""
        workflow.set_current_details(f"Telling Stripe Tax of document {report.document_id}")
        done = await workflow.execute_activity_method(
            TaxActivities.report_tax, report, summary="Report the tax to Stripe Tax", **options.PROCESSOR
        )
        workflow.set_current_details(done)
        return done

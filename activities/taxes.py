"""Telling the tax calculator what was sold and refunded, once a document says so."""

from dataclasses import asdict
from typing import Any

from temporalio import activity

from activities.boundary import Transactions, translated
from activities.credit_notes import CREDIT_NOTE
from domain.errors import CommerceError, ProcessorRejected, ProcessorUnavailable
from domain.messages import TaxReportInput
from domain.money import as_read
from integrations.stripe_tax import (
    RecordedLine,
    RecordedSale,
    ReversedLine,
    StripeTax,
    TaxableLine,
    TaxLocationInvalid,
)
from models.queries import catalog, documents, order_lines, orders, tax_reports
from models.queries.documents import DocumentRow
from models.queries.tax_reports import TaxReportRow


class TaxActivities:
    """Reports to Stripe Tax. Its keys are named after order and refund: a repetition is no second report."""

    def __init__(self, transactions: Transactions, calculator: StripeTax) -> None:
        self._transactions = transactions
        self._calculator = calculator

    @activity.defn
    @translated
    async def report_tax(self, given: TaxReportInput) -> str:
        """Report the document's tax; returns what was done, for the operator.

        What went back waits until its sale is reported. A refusal for good is kept and shown, not repeated.
        """
        async with self._transactions.begin() as tx:
            report = await tax_reports.get(tx.session, given.document_id)
            document = await documents.get(tx.session, given.document_id)
        if report is None or document is None:
            raise CommerceError(f"document {given.document_id} has no tax report")
        if report.provider_id is not None:
            return f"{document.number} was reported as {report.provider_id}"
        try:
            if document.kind == CREDIT_NOTE:
                provider_id, lines = await self._reversal(document), None
            elif document.refund_id is not None:
                provider_id, lines = await self._sale_that_stands_again(document), None
            else:
                provider_id, lines = await self._sale(document)
        except (ProcessorRejected, TaxLocationInvalid) as refusal:
            return await self._refused(report, document, refusal.detail)
        async with self._transactions.begin() as tx:
            await tax_reports.set_reported(tx.session, document.id, provider_id, lines)
            await orders.note(
                tx.session,
                report.order_id,
                f"tax/{document.id}",
                "tax_reported",
                f"The tax of {document.number} was reported to Stripe Tax as {provider_id}.",
            )
        return f"{document.number} reported as {provider_id}"

    async def _sale(self, document: DocumentRow) -> tuple[str, dict[str, Any]]:
        async with self._transactions.begin() as tx:
            order = await orders.get(tx.session, document.order_id)
        if order is None or order.taxation.calculation_id is None:
            raise CommerceError(f"the tax of order {document.order_id} was not calculated by Stripe")
        sale = await self._calculator.record_sale(order.taxation.calculation_id, order.id)
        return sale.transaction_id, {name: asdict(line) for name, line in sale.lines.items()}

    async def _reversal(self, document: DocumentRow) -> str:
        cause, cause_id = "payment", document.order_id
        if document.refund_id is not None:
            cause, cause_id = "refund", document.refund_id
        elif document.dispute_id is not None:
            cause, cause_id = "dispute", document.dispute_id
        lines = [
            ReversedLine(line["reference"], line["net"], line["tax"])
            for line in document.body["lines"]
            if line["gross"] > 0
        ]
        return await self._calculator.record_refund(
            await self._recorded_sale(document),
            document.body["currency"],
            lines,
            order_id=document.order_id,
            cause=cause,
            cause_id=cause_id,
        )

    async def _recorded_sale(self, document: DocumentRow) -> RecordedSale:
        async with self._transactions.begin() as tx:
            sold = await tax_reports.of_sale(tx.session, document.order_id)
        if sold is None or sold.provider_id is None or sold.lines is None:
            raise ProcessorUnavailable("the sale's tax is not reported yet")
        return RecordedSale(
            sold.provider_id, {name: RecordedLine(**line) for name, line in sold.lines.items()}
        )

    async def _sale_that_stands_again(self, document: DocumentRow) -> str:
        """Stripe takes no reversal back: what stands again is calculated anew, and recorded if it is the same
        tax. Raises ProcessorRejected when the rates have changed since."""
        assert document.refund_id is not None
        sale = await self._recorded_sale(document)
        async with self._transactions.begin() as tx:
            order = await orders.get(tx.session, document.order_id)
            sold = await order_lines.of_order(tx.session, document.order_id)
            items = await catalog.by_ids(tx.session, [line.item_id for line in sold])
        codes = {str(line.ordinal): items[line.item_id].tax_code for line in sold}
        assert order is not None
        lines = [line for line in document.body["lines"] if line["gross"] > 0]
        found = await self._calculator.calculate(
            order.currency,
            [
                TaxableLine(
                    line["reference"],
                    line["gross"] if inclusive else line["net"],
                    "inclusive" if inclusive else "exclusive",
                    codes[line["reference"]],
                )
                for line in lines
                for inclusive in (sale.lines[line["reference"]].inclusive,)
            ],
            order.billing_address,
            tax_id=order.taxation.tax_id,
            order_id=None,
        )
        taxes = [sum(tax.amount for tax in line.taxes) for line in found.stated]
        if taxes != [line["tax"] for line in lines]:
            raise ProcessorRejected(
                f"its tax would be {as_read(sum(taxes), order.currency)} now, "
                f"{as_read(document.body['tax'], order.currency)} stands on it: record it by hand"
            )
        recorded = await self._calculator.record_sale(
            found.id, order.id, canceled_refund_id=document.refund_id
        )
        return recorded.transaction_id

    async def _refused(self, report: TaxReportRow, document: DocumentRow, why: str) -> str:
        async with self._transactions.begin() as tx:
            await tax_reports.set_failed(tx.session, document.id, why)
            await orders.note(
                tx.session,
                report.order_id,
                f"tax/{document.id}/refused",
                "tax_report_refused",
                f"Stripe Tax refuses the tax of {document.number}: {why}",
            )
        return f"{document.number} was refused: {why}"

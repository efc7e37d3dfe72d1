"""Invoices, receipts and credit notes as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.common import (
    Money,
    OrderId,
    Output,
    OwnId,
)

DocumentKind = Literal["invoice", "receipt", "credit_note"]


class DocumentView(Output):
    """An issued invoice, receipt or credit note.

    `corrects` is the number of the document that it corrects: a credit note always names one; an invoice or
    receipt that names one takes a credit note back, because its refund was canceled. `dispute_id` is the lost
    dispute behind a credit note; one of neither refund nor dispute is of a payment that the bank returned.
    """

    id: OwnId
    kind: Annotated[
        DocumentKind,
        Field(
            description="`invoice` for buyers in the EU and the United Kingdom, `receipt` for all others; "
            "`credit_note`."
        ),
    ]
    number: Annotated[str, Field(description="Gapless by country, kind and year: `INV-DE-2026-000001`.")]
    issued_at: Annotated[datetime, Field(description="When it was issued; it never changes.")]
    order_id: OrderId
    refund_id: Annotated[
        str | None, Field(description="The refund that it is about; null when it is about none.")
    ]
    dispute_id: Annotated[
        str | None,
        Field(description="The lost dispute that it is about, by our id; null when it is about none."),
    ]
    corrects: Annotated[
        str | None,
        Field(description="The number of the document that it corrects; null for that of the sale."),
    ]
    net: Annotated[Money, Field(description="Without tax; positive on credit notes, too.")]
    tax: Annotated[Money, Field(description="All taxes; positive on credit notes, too.")]
    total: Annotated[Money, Field(description="`net + tax`.")]
    locale: Annotated[str, Field(description="Its language, such as `de` or `de-AT`.")]
    sha256: Annotated[str, Field(description="In hex, of its content with the number; not of the PDF.")]
    pdf_url: Annotated[
        str, Field(description="Where its PDF is, below this API's address; the caller's token is needed.")
    ]


class DocumentList(Output):
    """The documents of an order, oldest first."""

    data: Annotated[list[DocumentView], Field(description="All of them, oldest first.")]

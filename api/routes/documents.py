"""Invoices, receipts and credit notes: unchanged since they were issued, as PDFs on demand."""

import asyncio
from typing import Any, cast

from fastapi import APIRouter, Request, Response

from api.dependencies import OrdersReader, Services, ServicesDep, SessionDep
from api.etags import is_current
from api.idempotency import CommerceRoute
from api.paging import parse_id
from api.parameters import DocumentPath, OrderPath, RefundPath
from api.rate_limits import limited
from api.routes.orders import own_order
from api.schemas.documents import DocumentKind, DocumentList, DocumentView
from api.schemas.orders import money
from domain.errors import Conflict, NotFound
from domain.limits import DOCUMENT
from integrations.documents.receipt import RENDERING, ReceiptDocument, render_receipt_pdf
from models.database import Session
from models.queries import documents
from models.queries.documents import DocumentRow

router = APIRouter(route_class=CommerceRoute, tags=["orders"])

PDF: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}}
}


def document_view(row: DocumentRow) -> DocumentView:
    """One document as the API shows it."""
    body, currency = row.body, row.body["currency"]
    return DocumentView(
        id=row.id,
        kind=cast(DocumentKind, row.kind),
        number=row.number,
        issued_at=body["issued_at"],
        order_id=row.order_id,
        refund_id=row.refund_id,
        dispute_id=row.dispute_id,
        corrects=row.corrects,
        net=money(body["net"], currency),
        tax=money(body["tax"], currency),
        total=money(body["total"], currency),
        locale=body["locale"],
        sha256=row.sha256,
        pdf_url=f"/v1/documents/{row.id}.pdf",
    )


@router.get("/v1/orders/{order_id}/documents", operation_id="list_documents")
async def list_documents(order_id: OrderPath, caller: OrdersReader, session: SessionDep) -> DocumentList:
    """The order's invoice or receipt and its credit notes, oldest first."""
    row = await own_order(session, caller, order_id)
    return DocumentList(
        data=[document_view(document) for document in await documents.of_order(session, row.id)]
    )


@router.get(
    "/v1/documents/{document_id}.pdf",
    operation_id="get_document",
    response_class=Response,
    responses=PDF,
)
@limited(DOCUMENT)
async def get_document(
    document_id: DocumentPath,
    request: Request,
    caller: OrdersReader,
    services: ServicesDep,
    session: SessionDep,
) -> Response:
    """One document as a PDF; the same bytes every time."""
    document = await documents.get(session, parse_id(document_id, "document"))
    if document is None or not (caller.sees_all or document.user_id == caller.user_id):
        raise NotFound("no such document")
    return await _pdf(request, services, session, document)


@router.get(
    "/v1/orders/{order_id}/receipt.pdf", operation_id="get_receipt", response_class=Response, responses=PDF
)
@limited(DOCUMENT)
async def get_receipt(
    order_id: OrderPath, request: Request, caller: OrdersReader, services: ServicesDep, session: SessionDep
) -> Response:
    """The order's receipt, or its invoice where invoices are issued, as a PDF."""
    row = await own_order(session, caller, order_id)
    document = await documents.of_sale(session, row.id)
    if document is None:
        raise Conflict("a receipt is issued at payment", code="not_paid")
    return await _pdf(request, services, session, document)


@router.get(
    "/v1/orders/{order_id}/credit-notes/{refund_id}.pdf",
    operation_id="get_credit_note",
    response_class=Response,
    responses=PDF,
)
@limited(DOCUMENT)
async def get_credit_note(
    order_id: OrderPath,
    refund_id: RefundPath,
    request: Request,
    caller: OrdersReader,
    services: ServicesDep,
    session: SessionDep,
) -> Response:
    """The credit note of a succeeded refund as a PDF."""
    row = await own_order(session, caller, order_id)
    document = await documents.credit_note_of(session, parse_id(refund_id, "refund"))
    if document is None or document.order_id != row.id:
        raise NotFound("no credit note for this refund")
    return await _pdf(request, services, session, document)


async def _pdf(request: Request, services: Services, session: Session, document: DocumentRow) -> Response:
    etag = f'"{document.sha256}-{RENDERING}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if is_current(request, etag):
        return Response(status_code=304, headers=headers)
    await session.close()  # its connection is not needed while the document waits for its turn
    # Beside the event loop: a page of Chinese takes half a second.
    content = await asyncio.get_running_loop().run_in_executor(
        services.typesetting, render_receipt_pdf, ReceiptDocument.from_json(document.body)
    )
    return Response(
        content,
        media_type="application/pdf",
        headers=headers | {"Content-Disposition": f'inline; filename="{document.number}.pdf"'},
    )

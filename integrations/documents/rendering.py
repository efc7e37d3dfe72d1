"""The PDF of a receipt, invoice or credit note, rendered on demand from its stored content."""

import hashlib
import json
from collections.abc import Sequence

from integrations.documents.content import Party, ReceiptDocument, moment
from integrations.documents.decoding import InvalidDocument
from integrations.documents.line_table import draw_lines
from integrations.documents.page import LEFT, QUIET, RIGHT, WIDTH, Pages
from integrations.documents.wording import Wording

_BODY = 8.5
_SMALL = 7.0
_LEADING = 4.4
_COLUMN = 54.0
_GAP = 4.0


def render(document: ReceiptDocument) -> bytes:
    """The PDF; InvalidDocument as `receipt.render_receipt_pdf` says."""
    document.check()
    if not document.number.strip():
        raise InvalidDocument("document.number is empty: it has not been issued")
    content = json.dumps(document.to_json(), sort_keys=True, ensure_ascii=True).encode()
    pages = Pages(
        title=f"{document.seller.name}: {document.number}",
        author=document.seller.name,
        language=document.locale.replace("_", "-"),
        created=moment(document.issued_at),
        identity=hashlib.sha256(content).hexdigest()[:32].upper(),
        text=json.dumps(document.to_json(), ensure_ascii=False),
    )
    wording = Wording.of(document, pages.can_show)
    _draw_title(pages, wording, document)
    _draw_parties(pages, wording, document)
    draw_lines(pages, wording, document)
    _draw_sums(pages, wording, document)
    _draw_remarks(pages, wording, document)
    seller = document.seller
    vat_id = f" · {wording.labels.vat_id} {seller.vat_id}" if seller.vat_id else ""
    return pages.finish(
        f"{document.number} · {seller.name}{vat_id}",
        lambda page, count: wording.labels.page.format(page=page, pages=count),
    )


def _draw_title(pages: Pages, wording: Wording, document: ReceiptDocument) -> None:
    labels = wording.labels
    title = {"receipt": labels.receipt, "invoice": labels.invoice, "credit_note": labels.credit_note}
    top = pages.y
    pages.put(LEFT, WIDTH, title[document.kind], size=20, bold=True)
    pages.y = top + 2.4
    for line in pages.wrapped(document.seller.name, WIDTH * 0.45, size=10.5, bold=True):
        pages.put(LEFT, WIDTH, line, size=10.5, bold=True, align="R")
        pages.y += 5.2
    pages.y = max(pages.y, top + 10.6)
    if document.reference is not None:
        corrects = labels.corrects.format(number=document.reference)
        if document.reference_issued_at is not None:
            corrects += f", {wording.date(document.reference_issued_at)}"
        pages.put(LEFT, WIDTH, pages.clean(corrects), size=_BODY, grey=QUIET)
        pages.y += 5
    pages.y += 3
    pages.rule(thick=0.5, grey=60)
    pages.y += 6


def _draw_parties(pages: Pages, wording: Wording, document: ReceiptDocument) -> None:
    labels, top = wording.labels, pages.y
    ends = []
    columns = ((labels.seller, document.seller), (labels.buyer, document.buyer))
    for index, (heading, party) in enumerate(columns):
        pages.y = top
        _draw_party(pages, wording, LEFT + index * (_COLUMN + _GAP), heading, party)
        ends.append(pages.y)
    facts = [
        (labels.number, document.number),
        (labels.issued, wording.date(document.issued_at)),
        (labels.order, document.order_number),
    ]
    pages.y = top
    x = LEFT + 2 * (_COLUMN + _GAP)
    for heading, value in facts:
        pages.put(x, _COLUMN, heading, size=_SMALL, grey=QUIET)
        pages.y += 3.9
        for line in pages.wrapped(value, _COLUMN, size=_BODY):
            pages.put(x, _COLUMN, line, size=_BODY, bold=heading == labels.number)
            pages.y += _LEADING
        pages.y += 1.4
    pages.y = max(*ends, pages.y) + 8


def _draw_party(pages: Pages, wording: Wording, x: float, heading: str, party: Party) -> None:
    pages.put(x, _COLUMN, heading, size=_SMALL, grey=QUIET)
    pages.y += 3.9
    for line in pages.wrapped(party.name, _COLUMN, size=_BODY, bold=True):
        pages.put(x, _COLUMN, line, size=_BODY, bold=True)
        pages.y += _LEADING
    vat_id = f"{wording.labels.vat_id} {party.vat_id}" if party.vat_id else ""
    for text in wording.address(party):
        for line in pages.wrapped(text, _COLUMN, size=_BODY):
            pages.put(x, _COLUMN, line, size=_BODY)
            pages.y += _LEADING
    for text in filter(None, (party.email, vat_id)):  # set smaller rather than broken
        size = pages.fitting(pages.clean(text), _COLUMN, size=_BODY)
        for line in pages.wrapped(text, _COLUMN, size=size):
            pages.put(x, _COLUMN, line, size=size)
            pages.y += _LEADING


def _draw_sums(pages: Pages, wording: Wording, document: ReceiptDocument) -> None:
    labels = wording.labels
    discount = sum(line.discount for line in document.lines)
    rows = [(labels.subtotal, wording.money(document.net + discount))]
    if discount:
        rows.append((labels.discount, f"−{wording.money(discount)}"))
        rows.append((labels.net_total, wording.money(document.net)))
    rows.append((wording.tax_name, wording.money(document.tax)))
    height = 6 + 5.4 * len(rows) + 12
    table = [
        (
            wording.jurisdiction(row.jurisdiction),
            wording.rate(row.ppm),
            wording.number(row.taxable),
            wording.number(row.amount),
        )
        for row in document.taxes
    ]
    pages.need(max(height, 12 + 4.8 * min(len(table), 12)))
    pages.y += 5
    top = pages.y
    _draw_totals(pages, wording, document, rows)
    end, page = pages.y, pages.number
    if table:
        pages.y = top
        _draw_tax_table(pages, wording, table)
    if pages.number == page:
        pages.y = max(end, pages.y)
    pages.y += 6


def _draw_totals(
    pages: Pages, wording: Wording, document: ReceiptDocument, rows: Sequence[tuple[str, str]]
) -> None:
    width = 74.0
    x = RIGHT - width
    for label, value in rows:
        pages.put(x, width, label, size=_BODY, grey=QUIET)
        pages.put(x, width, value, size=_BODY, align="R")
        pages.y += 5.4
    pages.y += 1
    pages.rule(x, width, grey=60, thick=0.3)
    pages.y += 2.4
    credit = document.kind == "credit_note"
    label = wording.labels.total_credited if credit else wording.labels.total
    total = wording.money(document.total)
    size = pages.fitting(f"{label}   {total}", width, size=11, bold=True)
    pages.put(x, width, label, size=size, bold=True)
    pages.put(x, width, total, size=size, bold=True, align="R")
    pages.y += 7


def _draw_tax_table(pages: Pages, wording: Wording, table: Sequence[tuple[str, str, str, str]]) -> None:
    labels = wording.labels
    header = (labels.tax_summary, labels.rate, labels.taxable, wording.tax_name)
    sizes = [
        max(pages.width_of(text, size=_SMALL + 0.5) for text in column) + 3
        for column in zip(header[1:], *(row[1:] for row in table), strict=False)
    ]
    first = max(84.0 - sum(sizes), 24.0)
    edges = [LEFT + first + sum(sizes[:index]) for index in range(len(sizes))]

    def draw_header() -> None:
        pages.put(LEFT, first, header[0], size=_SMALL, grey=QUIET)
        for x, width, text in zip(edges, sizes, header[1:], strict=True):
            pages.put(x, width, text, size=_SMALL, grey=QUIET, align="R")
        pages.y += 4.6
        pages.rule(LEFT, first + sum(sizes))
        pages.y += 1.4

    with pages.repeating(draw_header):
        for row in table:
            names = pages.wrapped(row[0], first - 2, size=_SMALL + 0.5)
            pages.need(4.4 * max(len(names), 1))
            pages.put(LEFT, first, names[0] if names else "", size=_SMALL + 0.5)
            for x, width, text in zip(edges, sizes, row[1:], strict=True):
                pages.put(x, width, text, size=_SMALL + 0.5, align="R")
            pages.y += 4.4
            for name in names[1:]:
                pages.put(LEFT, first, name, size=_SMALL + 0.5)
                pages.y += 4.4


def _draw_remarks(pages: Pages, wording: Wording, document: ReceiptDocument) -> None:
    labels = wording.labels
    remarks: list[tuple[str, list[str]]] = []
    if document.payment:
        credit = document.kind == "credit_note"
        text = document.payment
        if document.paid_at is not None:
            sentence = labels.refunded if credit else labels.paid
            text = sentence.format(date=wording.date(document.paid_at), method=text)
        moved_back = credit and document.paid_at is not None
        remarks.append((labels.refund if moved_back else labels.payment, [text]))
    if document.notes:
        remarks.append((labels.notes, list(document.notes)))
    for heading, texts in remarks:
        lines = [line for text in texts for line in pages.wrapped(text, WIDTH, size=_BODY)]
        pages.need(6 + _LEADING * min(len(lines), 3))
        pages.put(LEFT, WIDTH, heading, size=_SMALL, grey=QUIET)
        pages.y += 3.9
        for line in lines:
            pages.need(_LEADING)
            pages.put(LEFT, WIDTH, line, size=_BODY)
            pages.y += _LEADING
        pages.y += 4

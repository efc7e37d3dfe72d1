"""The table of lines: columns as wide as their figures, long descriptions wrapped, headers repeated."""

from collections.abc import Sequence
from dataclasses import dataclass

from integrations.documents.content import DocumentLine, ReceiptDocument
from integrations.documents.page import BOTTOM, LEFT, QUIET, TOP, WIDTH, Pages
from integrations.documents.wording import Wording

_SIZES = (8.0, 7.5, 7.0, 6.5, 6.0, 5.5, 5.0)
_GAP = 4.5
_LEADING = 4.1
_TAX_LEADING = 3.6
_PAD = 1.7
_DESCRIPTION_MIN = 50.0
_HEADER_HEIGHT = 7.5
_PAGE_ROOM = BOTTOM - TOP - _HEADER_HEIGHT


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where the columns are: the description first, then figures, each right-aligned at its edge."""

    size: float
    headers: tuple[str, ...]
    widths: tuple[float, ...]

    @property
    def description_width(self) -> float:
        return WIDTH - sum(self.widths)

    def edges(self) -> list[float]:
        start = LEFT + self.description_width
        return [start + sum(self.widths[:index]) for index in range(len(self.widths))]


def draw_lines(pages: Pages, wording: Wording, document: ReceiptDocument) -> None:
    """Draw all lines from the cursor on, over as many pages as they need."""
    figures = [_figures(wording, line, document) for line in document.lines]
    grid = _grid(pages, _headers(wording, document), figures)

    def header() -> None:
        pages.put(LEFT, WIDTH, wording.labels.description, size=7, grey=QUIET)
        for x, width, text in zip(grid.edges(), grid.widths, grid.headers, strict=True):
            pages.put(x, width, text, size=7, grey=QUIET, align="R")
        pages.y += 4.8
        pages.rule(grey=60, thick=0.3)
        pages.y += _HEADER_HEIGHT - 4.8 - _PAD

    pages.need(_HEADER_HEIGHT + 25)  # no header alone at the foot of a page
    note = wording.labels.currency_note.format(currency=document.currency)
    pages.put(LEFT, WIDTH, note, size=7, grey=QUIET, align="R")
    pages.y += 5
    with pages.repeating(header):
        for line, row in zip(document.lines, figures, strict=True):
            _draw_line(pages, wording, grid, line, row)


def _headers(wording: Wording, document: ReceiptDocument) -> tuple[str, ...]:
    labels = wording.labels
    discount = (labels.discount,) if _has_discount(document) else ()
    return (labels.quantity, labels.unit_price, *discount, labels.net, wording.tax_name, labels.amount)


def _has_discount(document: ReceiptDocument) -> bool:
    return any(line.discount for line in document.lines)


def _unit_price(line: DocumentLine) -> int | None:
    """Only where it is exact: a rounded one would not multiply to the line's amount."""
    if line.unit_net is not None:
        return line.unit_net
    each, rest = divmod(line.list_net, line.quantity)
    return None if rest else each


def _figures(wording: Wording, line: DocumentLine, document: ReceiptDocument) -> tuple[str, ...]:
    number, unit_price = wording.number, _unit_price(line)
    # An empty cell where this line has none says it more quietly than a row of zeros.
    discount = (f"−{number(line.discount)}" if line.discount else "",) if _has_discount(document) else ()
    return (
        str(line.quantity),
        "" if unit_price is None else number(unit_price),
        *discount,
        number(line.net),
        number(line.tax),
        number(line.gross),
    )


def _grid(pages: Pages, headers: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> _Grid:
    """The largest type in which the figures leave enough room for the description."""
    grid = None
    for size in _SIZES:
        widths = tuple(
            max(
                pages.width_of(headers[index], size=7),
                *(pages.width_of(row[index], size=size) for row in rows),
            )
            + _GAP
            for index in range(len(headers))
        )
        grid = _Grid(size, headers, widths)
        if grid.description_width >= _DESCRIPTION_MIN:
            break
    assert grid is not None
    return grid


def _draw_line(
    pages: Pages, wording: Wording, grid: _Grid, line: DocumentLine, figures: Sequence[str]
) -> None:
    width = grid.description_width
    words = pages.wrapped(line.description, width, size=grid.size)
    taxes = " · ".join(
        f"{wording.tax_name} {wording.jurisdiction(tax.jurisdiction)} {wording.rate(tax.ppm)}"
        for tax in line.taxes
    )
    tax_lines = pages.wrapped(taxes, width, size=6.5)
    height = 2 * _PAD + _LEADING * max(len(words), 1) + _TAX_LEADING * len(tax_lines)
    # A row stays whole where a page can hold it; only a longer one is broken between its lines.
    pages.need(height if height <= _PAGE_ROOM else 4 * _LEADING)
    pages.y += _PAD
    # The words first, so that whoever copies the text, or hears it read, gets the row in its order.
    pages.put(LEFT, width, words[0] if words else "", size=grid.size)
    for x, column, text in zip(grid.edges(), grid.widths, figures, strict=True):
        pages.put(x, column, text, size=grid.size, align="R")
    pages.y += _LEADING
    for text in words[1:]:
        pages.need(_LEADING)
        pages.put(LEFT, width, text, size=grid.size)
        pages.y += _LEADING
    for text in tax_lines:
        pages.need(_TAX_LEADING)
        pages.put(LEFT, width, text, size=6.5, grey=QUIET)
        pages.y += _TAX_LEADING
    pages.y += _PAD
    pages.rule()

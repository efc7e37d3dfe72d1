"""A4 pages: the typeface, placing and wrapping of text, page breaks, footers, and a fixed identity."""

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal

from fpdf import FPDF
from fpdf.enums import MethodReturnValue
from fpdf.fonts import TTFFont

from integrations.documents.typefaces import BOLD, REGULAR, families_for, file_of, needs_shaping

FAMILY = "DejaVu"
LEFT = 20.0
TOP = 18.0
WIDTH = 170.0
RIGHT = LEFT + WIDTH
BOTTOM = 272.0
"""Where content ends, in millimetres from the top; the footer is below."""
_FOOTER_TOP = 280.0

INK = 33
QUIET = 112
RULE = 208

Align = Literal["L", "R"]

# Symbols, modifiers, marks and invisible characters, such as emoji: left out where the face lacks them.
_DECORATION = frozenset({"So", "Sk", "Mn", "Me", "Cf", "Cn", "Co", "Cs"})
_MISSING_LETTER = "□"
# Embedding, overriding, isolating: nobody's name needs them, and they can turn a line around.
_DIRECTION_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class _Pdf(FPDF):
    """Its file id comes from the content, so that equal documents are equal files."""

    def __init__(self, identity: str) -> None:
        super().__init__(orientation="portrait", unit="mm", format="A4")
        self._identity = identity

    def file_id(self) -> str:
        return f"<{self._identity}><{self._identity}>"


class Pages:
    """A cursor that runs down A4 pages; all positions and widths in millimetres, type sizes in points.

    `text` is all that will be written: it decides which typefaces are loaded, and whether letters are
    joined and reordered as Arabic, Hebrew and the scripts of India need it.
    """

    def __init__(
        self, *, title: str, author: str, language: str, created: datetime, identity: str, text: str
    ) -> None:
        self._pdf = _Pdf(identity)
        self._pdf.set_creation_date(created)
        self._pdf.set_auto_page_break(False)
        self._pdf.c_margin = 0
        self._pdf.add_font(FAMILY, "", REGULAR)
        self._pdf.add_font(FAMILY, "B", BOLD)
        self._own_glyphs = self._glyphs_of(FAMILY)
        others = families_for(text)
        self._has_others = bool(others)
        for family in others:
            self._pdf.add_font(family, "", file_of(family))
        # Not an exact match of weight: the other scripts come in one weight.
        self._pdf.set_fallback_fonts(others, exact_match=False)
        self._glyphs = self._own_glyphs.union(*(self._glyphs_of(family) for family in others))
        if needs_shaping(text):
            self._pdf.set_text_shaping(True, features={"liga": False, "kern": False})
        self._pdf.set_title(title)
        self._pdf.set_author(author)
        self._pdf.set_lang(language)
        self._on_new_page: Callable[[], None] | None = None
        self.y = TOP
        self._pdf.add_page()

    @property
    def number(self) -> int:
        """The page that the cursor is on, from 1."""
        return self._pdf.page

    def _glyphs_of(self, family: str) -> frozenset[int]:
        face = self._pdf.fonts[family.lower()]
        assert isinstance(face, TTFFont)
        return frozenset(face.cmap)

    def can_show(self, text: str) -> bool:
        """Whether the main typeface has every character."""
        return all(ord(character) in self._own_glyphs for character in text)

    def clean(self, text: str) -> str:
        """The text in one run of words, without control characters and what the typeface can't show."""
        composed = unicodedata.normalize("NFC", text)
        shown = (
            self._shown(" " if character.isspace() else character)
            for character in composed
            if character not in _DIRECTION_CONTROLS
        )
        return " ".join("".join(shown).split(" ")).strip()

    def _shown(self, character: str) -> str:
        if ord(character) in self._glyphs and unicodedata.category(character) != "Cc":
            return character
        category = unicodedata.category(character)
        return "" if category in _DECORATION or category == "Cc" else _MISSING_LETTER

    def width_of(self, text: str, *, size: float, bold: bool = False) -> float:
        """How wide the text is."""
        self._face(size, bold)
        return self._pdf.get_string_width(text)

    def wrapped(self, text: str, width: float, *, size: float, bold: bool = False) -> list[str]:
        """The cleaned text in lines no wider than that; a word that is too long is broken."""
        cleaned = self.clean(text)
        if not cleaned:
            return []
        self._face(size, bold)
        lines = self._pdf.multi_cell(
            width, 4, cleaned, align="L", dry_run=True, output=MethodReturnValue.LINES
        )
        assert isinstance(lines, list)
        return [str(line) for line in lines]

    def fitting(self, text: str, width: float, *, size: float, bold: bool = False, least: float = 6) -> float:
        """The size, or the smaller one at which the text fits the width; never less than `least`."""
        natural = self.width_of(text, size=size, bold=bold)
        return size if natural <= width else max(least, size * width / natural * 0.995)

    def put(
        self,
        x: float,
        width: float,
        text: str,
        *,
        size: float,
        bold: bool = False,
        grey: int = INK,
        align: Align = "L",
    ) -> None:
        """One line of text at the cursor's height."""
        self._face(size, bold)
        self._pdf.set_text_color(grey)
        self._pdf.set_xy(x, self.y)
        self._pdf.cell(width, size * 0.5, text, align=align)

    def rule(self, x: float = LEFT, width: float = WIDTH, *, grey: int = RULE, thick: float = 0.2) -> None:
        """A horizontal line at the cursor's height."""
        self._pdf.set_draw_color(grey)
        self._pdf.set_line_width(thick)
        self._pdf.line(x, self.y, x + width, self.y)

    def need(self, height: float) -> None:
        """Go to a new page unless that height is left."""
        if self.y + height > BOTTOM:
            self._pdf.add_page()
            self.y = TOP
            if self._on_new_page is not None:
                self._on_new_page()

    @contextmanager
    def repeating(self, header: Callable[[], None]) -> Iterator[None]:
        """Draw the header now, and again at the top of every page begun inside."""
        header()
        self._on_new_page = header
        try:
            yield
        finally:
            self._on_new_page = None

    def finish(self, footer: str, page_label: Callable[[int, int], str]) -> bytes:
        """Put footers on all pages, now that their number is known, and return the file."""
        pages = self._pdf.pages_count
        for number in range(1, pages + 1):
            self._pdf.page = number
            self._pdf.set_font(FAMILY, "B", 1)  # a face chosen on another page is chosen anew on this one
            self.y = _FOOTER_TOP
            self.rule()
            self.y += 2.2
            label = page_label(number, pages)
            room = WIDTH - self.width_of(label, size=7) - 8
            self.put(LEFT, room, (self.wrapped(footer, room, size=7) or [""])[0], size=7, grey=QUIET)
            self.put(LEFT, WIDTH, label, size=7, grey=QUIET, align="R")
        return bytes(self._pdf.output())

    def _face(self, size: float, bold: bool) -> None:
        if self._has_others:
            # Text in another face leaves that one chosen on the page, which fpdf2 does not notice.
            self._pdf.set_font(FAMILY, "", 1)
        self._pdf.set_font(FAMILY, "B" if bold else "", size)

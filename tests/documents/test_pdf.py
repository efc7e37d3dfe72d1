"""The PDF as a reader sees it: read back with pypdf."""

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from pypdf import PdfReader
from pypdf.generic import ContentStream

from integrations.documents.receipt import Party, ReceiptDocument, render_receipt_pdf
from tests.documents.samples import UK_VAT, document, line, plain

ROOT = Path(__file__).parents[2]


def reader(content: ReceiptDocument) -> PdfReader:
    return PdfReader(io.BytesIO(render_receipt_pdf(content)))


def text_of(content: ReceiptDocument) -> str:
    """All text, with spaces of every kind as plain ones."""
    pages = [page.extract_text() for page in reader(content).pages]
    return " ".join("\n".join(pages).split())


def test_the_same_content_gives_the_same_bytes() -> None:
    stored = ReceiptDocument.from_json(plain().to_json())
    assert render_receipt_pdf(stored) == render_receipt_pdf(plain())


def test_another_process_gives_the_same_bytes() -> None:
    """Neither the clock, nor the hash seed, nor the time zone shows in the file."""
    script = (
        "import sys; from tests.documents.samples import plain; "
        "from integrations.documents.receipt import render_receipt_pdf; "
        "sys.stdout.buffer.write(render_receipt_pdf(plain()))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"}
    other = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    assert other.stdout == render_receipt_pdf(plain())


def test_other_content_gives_another_identity() -> None:
    one, other = plain(), replace(plain(), notes=("Thank you.",))
    assert reader(one).trailer["/ID"] != reader(other).trailer["/ID"]


def test_an_invoice_says_what_the_law_asks_for() -> None:
    text = text_of(plain())
    for words in (
        "Invoice",
        "R-GB-2026-000123",
        "1 March 2026",
        "C-2026-000987",
        "Commerce Academy Ltd",
        "1 Learning Street",
        "VAT ID GB123456789",
        "Ada Lovelace",
        "12 St James's Square",
        "ada@example.com",
        "United Kingdom",
        "Foundations of Distributed Systems",
        "VAT GB 20%",
        "Page 1 of 1",
        "Paid on 1 March 2026: card, pi_3PqR7sT2uVwXyZ",
    ):
        assert words in text, words


def test_figures_stand_in_the_line_the_totals_and_the_tax_table() -> None:
    text = text_of(plain())
    assert "Foundations of Distributed Systems 1 49.00 −4.90 44.10 8.82 52.92" in text
    assert "3 120.00 360.00 72.00 432.00" in text
    assert "Subtotal £409.00 Discount −£4.90 Total excl. tax £404.10 VAT £80.82 Total £484.92" in text
    assert "GB 20% 404.10 80.82 Payment" in text


def test_the_discount_column_is_there_only_when_a_line_has_one() -> None:
    assert "Discount" not in text_of(document(line("Course", 4900, taxes=UK_VAT)))


def test_a_unit_price_that_is_not_exact_stays_away() -> None:
    three = replace(line("Three seats", 100, quantity=3), list_net=200, net=200, gross=200)
    assert "3 2.00 0.00 2.00" in text_of(document(three))
    assert "3 0.67 2.00 0.00 2.00" in text_of(document(replace(three, unit_net=67)))


AMOUNTS = [
    ("EUR", "de_DE", 123_456_789, "1.234.567,89 €"),
    ("EUR", "de-DE", 123_456_789, "1.234.567,89 €"),
    ("EUR", "fr_FR", 123_456_789, "1 234 567,89 €"),
    ("EUR", "el_GR", 4_900, "49,00 €"),
    ("EUR", "en_IE", 4_900, "€49.00"),
    ("USD", "en_US", 129_900, "$1,299.00"),
    ("GBP", "ja_JP", 4_900, "£49.00"),
    ("JPY", "ja_JP", 9_800, "¥9,800"),
    ("JPY", "en_GB", 9_800, "JP¥9,800"),
    ("KWD", "en_GB", 12_345, "KWD 12.345"),
    ("KWD", "ar_KW", 12_340, "KWD 12.340"),
    ("BDT", "bn_BD", 4_900, "BDT 49.00"),
    ("CHF", "de_CH", 123_456_789, "CHF 1’234’567.89"),
    ("ISK", "is_IS", 4_900, "4.900 kr."),
]


@pytest.mark.parametrize(("currency", "locale", "amount", "shown"), AMOUNTS)
def test_amounts_are_written_as_the_locale_does(currency: str, locale: str, amount: int, shown: str) -> None:
    text = text_of(document(line("Course", amount), currency=currency, locale=locale))
    assert shown in text
    assert "□" not in text


def test_the_decimals_are_those_of_the_document_not_of_the_library() -> None:
    """Babel gives the rial no decimals; ISO 4217 gives it two."""
    assert "IRR 49.00" in text_of(document(line("Course", 4900), currency="IRR"))


@pytest.mark.parametrize(
    "name",
    [
        "Дмитрий Менделеев",
        "Αλέξανδρος Παπαδόπουλος",
        "Łukasz Żółć",
        "Nguyễn Văn Ánh",
        "王小明",
        "山田 太郎",
        "김철수",
        "สมชาย ใจดี",
        "محمد بن عبد الله الفارسي",
        "דוד בן־גוריון",
    ],
)
def test_names_in_other_alphabets_can_be_read(name: str) -> None:
    assert name in text_of(document(line("Course", 4900), buyer=Party(name, ("GB",))))


def pieces(content: ReceiptDocument) -> list[tuple[str, float, str]]:
    """Face, size and glyph names of each piece of text of the first page, as drawn: from left to right."""
    page = reader(content).pages[0]
    faces: dict[str, list[str]] = {}
    for name, font in page["/Resources"]["/Font"].items():  # type: ignore[index]
        described = font["/DescendantFonts"][0]
        names = TTFont(io.BytesIO(described["/FontDescriptor"]["/FontFile2"].get_data())).getGlyphOrder()
        ids = described["/CIDToGIDMap"].get_data()
        faces[name] = [names[int.from_bytes(ids[at : at + 2])] for at in range(0, len(ids), 2)]
    found: list[tuple[str, float, str]] = []
    state, outer = ("", 0.0), []
    for operands, operator in ContentStream(page.get_contents(), None).operations:
        if operator == b"q":
            outer.append(state)
        elif operator == b"Q":
            state = outer.pop()
        elif operator == b"Tf":
            state = (str(operands[0]), float(operands[1]))
        elif operator == b"Tj":
            codes = operands[0].original_bytes
            names = [faces[state[0]][int.from_bytes(codes[at : at + 2])] for at in range(0, len(codes), 2)]
            found.append((*state, " ".join(names)))
    return found


def drawn(content: ReceiptDocument) -> str:
    """Names of all glyphs of the first page, in the order of drawing: each line from left to right."""
    return " ".join(names for _, _, names in pieces(content))


def test_letters_of_arabic_join_and_run_from_right_to_left() -> None:
    """Three times the letter seen: its final, medial and initial form, the last letter leftmost."""
    assert "uniFEB2 uniFEB4 uniFEB3" in drawn(document(line("Course", 4900), buyer=Party("سسس", ("GB",))))


def test_hebrew_runs_from_right_to_left_beside_latin() -> None:
    found = drawn(document(line("Course", 4900), buyer=Party("אבג", ("GB",))))
    assert "uni05D2 uni05D1 uni05D0" in found  # gimel, bet, alef


def test_only_a_document_that_needs_it_carries_a_typeface_of_asia() -> None:
    """It is megabytes large: of it, too, only the glyphs that are used go into the file."""
    chinese = render_receipt_pdf(document(line("課程", 4900), buyer=Party("王小明", ("CN",))))
    assert b"DroidSansFallback" in chinese
    assert len(chinese) < 60_000
    assert b"Droid" not in render_receipt_pdf(plain())


def test_what_follows_a_name_in_another_typeface_is_set_in_our_own() -> None:
    found = pieces(document(line("Course", 4900), buyer=Party("王小明", ("北京 12", "Zurich", "CH"))))
    (ours,) = [(face, size) for face, size, names in found if names == "U n i t e d space K i n g d o m"]
    assert [(face, size) for face, size, names in found if names == "Z u r i c h"] == [ours]


def test_what_the_typeface_lacks_does_no_harm() -> None:
    """Emoji and control characters go; letters that can't be drawn are shown as such."""
    buyer = Party("Taro ᏣᎳ \x07\u202e", ("1-1 Marunouchi", "JP"))
    text = text_of(document(line("Rockets 🚀 for\nall", 4900), buyer=buyer))
    assert "Taro □□" in text
    assert "Rockets for all" in text


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("de_DE", ("Rechnung", "Gesamtbetrag", "1. März 2026", "Vereinigtes Königreich", "Seite 1 von 1")),
        ("fr_FR", ("Facture", "Total TTC", "1 mars 2026", "Royaume-Uni", "Page 1 sur 1")),
        ("el_GR", ("Invoice", "1 March 2026", "United Kingdom")),
        ("en_US", ("Invoice", "March 1, 2026", "United Kingdom")),
    ],
)
def test_a_page_speaks_one_language(locale: str, words: tuple[str, ...]) -> None:
    text = text_of(document(line("Course", 4900), locale=locale))
    for expected in words:
        assert expected in text


def test_a_credit_note_names_what_it_corrects() -> None:
    text = text_of(document(line("Course", 4900, taxes=UK_VAT), kind="credit_note"))
    assert "Credit note" in text
    assert "Corrects R-GB-2026-000122, 1 March 2026" in text
    assert "Total credited £58.80" in text
    assert "Refunded on 1 March 2026" in text


def test_a_credit_note_of_a_loss_claims_no_refund() -> None:
    why = "The payment was taken back by the customer's bank (dispute du_1)."
    note = document(line("Course", 4900, taxes=UK_VAT), kind="credit_note", payment=why, paid_at=None)
    text = text_of(note)
    assert f"Payment {why}" in text
    assert "Refund" not in text


def test_an_invoice_that_takes_a_credit_note_back_names_it() -> None:
    text = text_of(document(line("Course", 4900, taxes=UK_VAT), reference="CN-GB-2026-000007"))
    assert "Invoice" in text
    assert "Corrects CN-GB-2026-000007" in text
    assert "Total £58.80" in text


def test_the_tax_is_called_as_where_it_is_owed() -> None:
    american = document(line("Course", 10_000, taxes=(("US-CA", 72_500), ("US-CA-SF", 12_500))))
    text = text_of(american)
    assert "Tax US-CA 7.25% · Tax US-CA-SF 1.25%" in text
    assert "US-CA 7.25% 100.00 7.25 US-CA-SF 1.25% 100.00 1.25" in text
    assert "VAT £" not in text


def test_reverse_charge_is_worded() -> None:
    text = text_of(document(line("Course", 10_000, taxes=(("DE-RC", 0),)), notes=("Article 196.",)))
    assert "DE, reverse charge" in text
    assert "Notes Article 196." in text


def test_a_payment_that_is_a_sentence_is_printed_as_it_is() -> None:
    text = text_of(document(line("Course", 4900), payment="Paid with store credit.", paid_at=None))
    assert "Payment Paid with store credit." in text


def test_many_lines_go_on_pages_with_the_header_repeated() -> None:
    many = document(
        *(line(f"Course {number} " + "with a long title " * (number % 4), 4900) for number in range(1, 41))
    )
    pages = [" ".join(page.extract_text().split()) for page in reader(many).pages]
    assert len(pages) > 1
    for index, text in enumerate(pages):
        assert "Description Qty Unit price Net" in text
        assert f"Page {index + 1} of {len(pages)}" in text
    whole = " ".join(pages)
    assert all(f"Course {number} " in whole for number in range(1, 41))
    assert whole.count("Total £") == 1


def test_a_description_longer_than_a_page_is_broken_and_none_of_it_lost() -> None:
    words = [f"word{number:04d}" for number in range(900)]
    text = text_of(document(line(" ".join(words), 4900), line("The last one", 100)))
    assert all(word in text for word in words)
    assert "The last one" in text


def test_nothing_leaves_the_page() -> None:
    """Very large amounts are set smaller, long names and addresses are wrapped."""
    wide = document(
        line("A course with a name of some length", 999_999_999_999_99, discount=1_000_000_000),
        currency="IDR",
        locale="id_ID",
        buyer=Party("W" * 120, ("M" * 200, "GB"), email="x" * 80 + "@example.com"),
        notes=("n" * 400,),
    )
    for page in reader(wide).pages:
        width = float(page.mediabox.width)
        places: list[float] = []
        page.extract_text(visitor_text=lambda text, _, tm, *rest: text.strip() and places.append(tm[4]))  # noqa: B023
        assert places
        assert min(places) >= 56  # the margin of 20 mm
        assert max(places) <= width - 56


def test_many_tax_rows_go_on_another_page() -> None:
    rates = tuple((f"US-{number:02d}", number * 1000) for number in range(1, 71))
    text = text_of(document(line("Course", 100_000, taxes=rates)))
    assert all(f"US-{number:02d}" in text for number in range(1, 71))
    assert "Paid on" in text


def test_a_reader_finds_title_author_and_language() -> None:
    found = reader(plain())
    assert found.metadata is not None
    assert found.metadata.title == "Commerce Academy Ltd: R-GB-2026-000123"
    assert found.metadata.author == "Commerce Academy Ltd"
    assert str(found.trailer["/Root"]["/Lang"]) == "en-GB"  # type: ignore[index]


def test_only_the_glyphs_that_are_used_are_embedded() -> None:
    assert len(render_receipt_pdf(plain())) < 60_000

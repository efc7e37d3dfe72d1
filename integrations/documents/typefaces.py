"""Which typeface draws which character: DejaVu Sans first, for other scripts the one that has them."""

import unicodedata
from pathlib import Path

FONTS = Path(__file__).parent / "fonts"
REGULAR = FONTS / "DejaVuSans.ttf"
BOLD = FONTS / "DejaVuSans-Bold.ttf"

# First and last code point of the blocks that DejaVu Sans lacks, and who has them.
_BLOCKS: tuple[tuple[int, int, str], ...] = (
    (0x0900, 0x097F, "NotoSansDevanagari-Regular"),
    (0x0980, 0x09FF, "NotoSansBengali-Regular"),
    (0x0A00, 0x0A7F, "NotoSansGurmukhi-Regular"),
    (0x0A80, 0x0AFF, "NotoSansGujarati-Regular"),
    (0x0B00, 0x0B7F, "NotoSansOriya-Regular"),
    (0x0B80, 0x0BFF, "NotoSansTamil-Regular"),
    (0x0C00, 0x0C7F, "NotoSansTelugu-Regular"),
    (0x0C80, 0x0CFF, "NotoSansKannada-Regular"),
    (0x0D00, 0x0D7F, "NotoSansMalayalam-Regular"),
    (0x0D80, 0x0DFF, "NotoSansSinhala-Regular"),
    (0x0E00, 0x0E7F, "NotoSansThai-Regular"),
    (0x1000, 0x109F, "NotoSansMyanmar-Regular"),
    (0x1200, 0x139F, "NotoSansEthiopic-Regular"),
    (0x1780, 0x17FF, "NotoSansKhmer-Regular"),
    (0x2E80, 0xA4CF, "DroidSansFallback"),  # Chinese, Japanese, Yi
    (0xAC00, 0xD7AF, "DroidSansFallback"),  # Korean
    (0xF900, 0xFAFF, "DroidSansFallback"),
    (0xFE30, 0xFE4F, "DroidSansFallback"),
    (0xFF00, 0xFFEF, "DroidSansFallback"),
)
# Between these every letter joins, stacks or reorders with its neighbours.
_SHAPED = (0x0900, 0x109F)
_SHAPED_TOO = (0x1780, 0x17FF)
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


def families_for(text: str) -> list[str]:
    """The families besides DejaVu Sans that the text needs, by name: the same for the same text."""
    code_points = {ord(character) for character in text}
    return sorted(
        {name for first, last, name in _BLOCKS if any(first <= point <= last for point in code_points)}
    )


def file_of(family: str) -> Path:
    """Where a family of `families_for` lies."""
    return FONTS / f"{family}.ttf"


def needs_shaping(text: str) -> bool:
    """Whether letters have to be joined or reordered, or lines run from right to left."""
    return any(
        _SHAPED[0] <= ord(character) <= _SHAPED[1]
        or _SHAPED_TOO[0] <= ord(character) <= _SHAPED_TOO[1]
        or unicodedata.bidirectional(character) in _RIGHT_TO_LEFT
        for character in text
    )

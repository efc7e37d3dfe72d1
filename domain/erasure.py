"""Erasing a person: what is looked for, and what stands in the place of what is gone."""

import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum

ERASED = "(erased)"
ERASED_NAME = "Erased person"
# Shorter texts of a person's own are also everybody else's words.
_SHORTEST_SENTENCE = 12
_SHORTEST_NAME = 3
_SHORTEST_NAME_BEYOND_ASCII = 2
_NOTHING = "(?!x)x"

# In stored JSON a mention may begin behind an escape (a line's end, a typographic quote), which goes with it:
# to look behind further than one character costs PostgreSQL a hundred times as much.
_BEGINS = r"(?:(?<![\w-])|\\+[bfnrt]|\\+u[0-9a-fA-F]{4})"
_ENDS = r"(?![\w-])"
_SPACE = r"(?:\s|\u00a0|\\+[nrt]|\\+u00a0)+"
# Other scripts write words together, or prefixes to them.
_SPACED_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN")
# Keyboards put one for the other.
_ALIKE = {"'": "'\u2019", "\u2019": "'\u2019", "-": "-\u2010\u2011", '"': '"\u201c\u201d'}


class ErasureSource(StrEnum):
    """Who asked for it."""

    PERSON = "person"
    """Themselves, signed in."""
    OPERATOR = "operator"
    """An operator, whom they asked."""
    LMS = "lms"
    """The LMS told that the account is gone."""


def mentions(names: Iterable[str | None], sentences: Iterable[str | None] = ()) -> str:
    """A regular expression, as PostgreSQL and Python both read it (case ignored), for whole mentions of a
    person: in plain text and in JSON, whether that escapes what is not ASCII or not.

    `names` are what identifies them (name, email, lines of an address), `sentences` what they wrote
    themselves. Matches nothing when nothing is left to look for.
    """
    wanted = {name.strip() for name in names if name and _identifies(name.strip())}
    wanted |= {
        text.strip()
        for text in sentences
        if text and len(text.strip()) >= _SHORTEST_SENTENCE and " " in text.strip()
    }
    return _any_of(wanted)


def words(texts: Iterable[str | None]) -> str:
    """The same for texts of any length, for where nothing else is said in these words."""
    return _any_of({text.strip() for text in texts if text and text.strip()})


def _identifies(name: str) -> bool:
    return len(name) >= (_SHORTEST_NAME if name.isascii() else _SHORTEST_NAME_BEYOND_ASCII)


def _any_of(wanted: set[str]) -> str:
    forms = {unicodedata.normalize(form, text) for form in ("NFC", "NFD") for text in wanted}
    by_bounds: dict[tuple[str, str], list[str]] = {}
    for text in sorted(forms, key=lambda text: (-len(text), text)):
        begins = _BEGINS if _needs_bounds(text[0]) else ""
        ends = _ENDS if _needs_bounds(text[-1]) else ""
        by_bounds.setdefault((begins, ends), []).append(_written(text))
    found = [f"{begins}(?:{'|'.join(texts)}){ends}" for (begins, ends), texts in by_bounds.items()]
    return "|".join(found) or _NOTHING


def _written(text: str) -> str:
    return _SPACE.join("".join(_character(one) for one in part) for part in text.split())


def _needs_bounds(edge: str) -> bool:
    return edge.isdigit() or (edge.isalpha() and unicodedata.name(edge, "").startswith(_SPACED_SCRIPTS))


def _character(one: str) -> str:
    """One character in either case, as it is and as JSON escapes it, be it in a text of JSON in JSON."""
    if one.isascii() and one.isalnum():
        return one
    forms = {form for like in _ALIKE.get(one, one) for form in (like, like.lower(), like.upper())}
    written = {re.escape(form) for form in forms}
    for form in forms:
        units = form.encode("utf-16-be").hex()
        written.add("".join(rf"\\+u{units[at : at + 4]}" for at in range(0, len(units), 4)))
    if one in '"\\/':
        written.add(rf"\\+{re.escape(one)}")
    return f"(?:{'|'.join(sorted(written))})"

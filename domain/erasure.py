"""Erasing a person: what is looked for, and what stands in the place of what is gone."""

import json
import re
from collections.abc import Iterable
from enum import StrEnum

ERASED = "(erased)"
ERASED_NAME = "Erased person"
# Shorter texts of a person's own (a reason, say) are also everybody else's words.
_SHORTEST_SENTENCE = 12
_SHORTEST_NAME = 3


class ErasureSource(StrEnum):
    """Who asked for it."""

    PERSON = "person"
    """Themselves, signed in."""
    OPERATOR = "operator"
    """An operator, whom they asked."""
    LMS = "lms"
    """The LMS told that the account is gone."""


def mentions(names: Iterable[str | None], sentences: Iterable[str | None] = ()) -> str:
    """A regular expression, as PostgreSQL and Python both read it, for whole mentions of a person.

    `names` are what identifies them (name, email, lines of an address), `sentences` what they wrote
    themselves. Matches nothing when nothing is left to look for.
    """
    wanted = {name.strip() for name in names if name and len(name.strip()) >= _SHORTEST_NAME}
    wanted |= {
        text.strip()
        for text in sentences
        if text and len(text.strip()) >= _SHORTEST_SENTENCE and " " in text.strip()
    }
    # A text inside stored JSON has its quotes and backslashes escaped.
    wanted |= {json.dumps(text, ensure_ascii=False)[1:-1] for text in wanted}
    if not wanted:
        return "(?!x)x"
    longest_first = sorted(wanted, key=lambda text: (-len(text), text))
    return rf"(?<![\w-])(?:{'|'.join(re.escape(text) for text in longest_first)})(?![\w-])"

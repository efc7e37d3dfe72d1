"""Mentions of a person are found as Python and PostgreSQL read them, however their text was stored."""

import json
import re

import psycopg
import pytest

from domain.erasure import mentions, words

NAMES = [
    "José García",
    "Zoë O'Brien",
    "محمد علي",
    "李明",
    "Ada.Lovelace@example.com",
    'Bo "the Boss" \\ Co/Sons',
    "ŁUKASZ Żak",
    "Ana 😀 Paz",
]
TEXTS = ["{}", "asked by {}, on the phone", "for\n{}\tagain", "“{}”", "({})", "{}: no", "«\u00a0{}\u00a0»"]


def stored(text: str) -> dict[str, str]:
    """A text as our tables, receivers and their proxies keep it."""
    escaped = json.dumps({"reason": text})
    return {
        "plain": text,
        "jsonb": json.dumps({"reason": text}, ensure_ascii=False),
        "escaped": escaped,
        "escaped in upper case": re.sub(r"\\u[0-9a-f]{4}", lambda m: "\\u" + m[0][2:].upper(), escaped),
        "JSON in JSON": json.dumps({"echo": escaped}),
    }


CASES = [
    pytest.param(name, text, id=f"{number}-{index}")
    for number, name in enumerate(NAMES)
    for index, text in enumerate(TEXTS)
]


@pytest.fixture(scope="module")
def connection(database_url: str):  # type: ignore[no-untyped-def]
    with psycopg.connect(database_url.replace("+psycopg", "", 1), autocommit=True) as connected:
        yield connected


@pytest.mark.parametrize(("name", "text"), CASES)
def test_a_mention_is_found_in_every_form(
    name: str, text: str, connection: psycopg.Connection[tuple[str, bool]]
) -> None:
    pattern = mentions([name])
    for written in (name, name.upper(), name.lower()):
        for form, content in stored(text.format(written)).items():
            assert re.search(pattern, content, re.IGNORECASE), (form, content)
            (left, found) = connection.execute(
                "SELECT regexp_replace(%s::text, %s, '(erased)', 'gi'), %s::text ~* %s",
                (content, pattern, content, pattern),
            ).fetchone() or ("", False)
            assert found, (form, content)
            assert left == re.sub(pattern, "(erased)", content, flags=re.IGNORECASE), form
            assert "(erased)" in left


def test_typographic_apostrophes_and_line_ends_are_the_same_name() -> None:
    pattern = mentions(["Zoë O'Brien"])
    for text in ("Zoë O’Brien", "Zoë  O'Brien", "Zoë\nO'Brien", "Zoe\u0308 O'Brien"):
        assert re.search(pattern, text, re.IGNORECASE), text


def test_parts_of_other_words_are_left_alone() -> None:
    assert not re.search(mentions(["José"]), "Joséphine paid", re.IGNORECASE)
    assert not re.search(mentions(["Ann"]), "Joann, Anna and Mary-Ann", re.IGNORECASE)
    assert not re.search(mentions(["Li", " ", None, ""]), "Li", re.IGNORECASE)
    # A script without spaces has no words to be whole.
    assert re.search(mentions(["李明"]), "学员李明退款", re.IGNORECASE)


def test_short_words_are_found_where_they_are_asked_for() -> None:
    assert not re.search(mentions([], ["pregnant"]), "pregnant")
    assert re.search(words(["pregnant"]), '{"echo": "pregnant"}')
    assert not re.search(words([]), "anything")

"""Which language a buyer's documents are in, and whose way of writing amounts they follow."""

import re

from babel import Locale, UnknownLocaleError
from babel.languages import get_official_languages

from integrations.documents.labels import LABELS

_DEFAULT = {"en": "en_GB", "de": "de_DE", "fr": "fr_FR"}
_RANGE = re.compile(r"\s*([A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*")


def is_locale(name: str) -> bool:
    """Whether it names a language, with or without a country (`de`, `de-AT`, `de_AT`)."""
    return _parsed(name) is not None


def document_locale(country: str, *, wanted: str | None = None, accept_language: str | None = None) -> str:
    """The locale of a buyer's documents, such as `de_AT`.

    The one that was asked for; else the first of the browser's languages (`Accept-Language`) that we have
    words for; else the country's own language when we have words for it, and English otherwise. A language
    without a country takes the buyer's.
    """
    if wanted is not None and is_locale(wanted):
        return _with_country(wanted, country)
    for name in _by_preference(accept_language or ""):
        parsed = _parsed(name)
        if parsed is not None and parsed.language in LABELS:
            return _with_country(name, country)
    official = get_official_languages(country)
    return _with_country(official[0] if official and official[0] in LABELS else "en", country)


def _parsed(name: str) -> Locale | None:
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        return None


def _with_country(name: str, country: str) -> str:
    parsed = _parsed(name)
    assert parsed is not None
    if parsed.territory is not None:
        return str(parsed)
    local = _parsed(f"{parsed}_{country}")
    return str(local) if local is not None else _DEFAULT.get(parsed.language, str(parsed))


def _by_preference(accept_language: str) -> list[str]:
    """The languages of the header, the most wanted first; what is out of form is passed over."""
    found = []
    for part in accept_language[:500].split(",")[:20]:
        match = _RANGE.fullmatch(part)
        if match is not None:
            quality = float(match[2]) if match[2] is not None else 1.0
            if quality > 0:
                found.append((quality, match[1]))
    return [name for _, name in sorted(found, key=lambda entry: -entry[0])]

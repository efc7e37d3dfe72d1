"""Whose language a document speaks."""

import pytest

from integrations.documents.locales import document_locale, is_locale


@pytest.mark.parametrize(
    ("country", "wanted", "accepted", "locale"),
    [
        ("DE", None, None, "de_DE"),
        ("CH", None, None, "de_CH"),
        ("FR", None, None, "fr_FR"),
        ("NL", None, None, "en_NL"),
        ("US", None, None, "en_US"),
        ("JP", None, None, "en_GB"),
        ("XX", None, None, "en_GB"),
        ("US", "de", None, "de_DE"),
        ("AT", "de", "en", "de_AT"),
        ("DE", "en-US", "de", "en_US"),
        ("DE", "ja", None, "ja"),
        ("US", None, "de-AT,de;q=0.9,en;q=0.8", "de_AT"),
        ("AT", None, "en;q=0.3, de;q=0.7", "de_AT"),
        ("DE", None, "ja, pl;q=0.9, fr;q=0.5", "fr_FR"),
        ("DE", None, "ja", "de_DE"),
        ("DE", None, "en;q=0, *;q=0.5", "de_DE"),
        ("DE", None, "nonsense;;q=x,,-,\x00", "de_DE"),
        ("DE", None, "x" * 100_000, "de_DE"),
    ],
)
def test_the_language_and_the_place(
    country: str, wanted: str | None, accepted: str | None, locale: str
) -> None:
    assert document_locale(country, wanted=wanted, accept_language=accepted) == locale


def test_what_names_no_language() -> None:
    assert is_locale("de-AT")
    assert not any(is_locale(name) for name in ("klingon", "", "de_XX", "🚀"))

"""How means of payment are told."""

import pytest

from integrations.documents.wording import Wording


@pytest.mark.parametrize(
    ("locale", "card", "card_amount", "credit", "said"),
    [
        ("en_GB", "pi_1", 4900, 0, "Card, pi_1"),
        ("de_DE", "pi_1", 4900, 0, "Karte, pi_1"),
        ("de_DE", None, 0, 4900, "Guthaben"),
        ("en_US", "re_1", 0, 4900, "Store credit"),
        ("de_DE", "pi_1", 4000, 900, "Karte, pi_1 (40,00\xa0€); Guthaben (9,00\xa0€)"),
        ("ar_EG", "pi_1", 4000, 900, "Card, pi_1 (€40.00); Store credit (€9.00)"),
        ("ja_JP", "pi_1", 4000, 900, "Card, pi_1 (€40.00); Store credit (€9.00)"),
    ],
)
def test_what_was_paid_how(locale: str, card: str | None, card_amount: int, credit: int, said: str) -> None:
    wording = Wording.plain(locale, "EUR", 2)
    assert wording.means_of_payment(card=card, card_amount=card_amount, credit_amount=credit) == said

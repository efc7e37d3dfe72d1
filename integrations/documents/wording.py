"""Words, amounts, rates and dates of a document, in the language and form of its locale."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from babel import Locale
from babel.dates import format_date
from babel.numbers import NumberPattern, format_percent, get_currency_symbol, parse_pattern

from domain.tax import REVERSE_CHARGE_SUFFIX, VAT_COUNTRIES
from integrations.documents.content import Party, ReceiptDocument, moment
from integrations.documents.labels import LABELS, Labels, labels_of

_NO_BREAK_SPACE = "\u00a0"
_FULL_WIDTH_YEN = "\uffe5"  # Japanese locales write it so; most typefaces only have the usual one
_FALLBACK = Locale("en", "GB")


@dataclass(frozen=True, slots=True)
class Wording:
    """How one document is worded.

    `can_show` tells whether the typeface has all characters of a text; where a locale's own form needs
    others, or runs from right to left, the English form stands in.
    """

    locale: Locale
    currency: str
    exponent: int
    has_vat: bool
    can_show: Callable[[str], bool]

    @classmethod
    def plain(cls, locale: str, currency: str, exponent: int) -> "Wording":
        """For a text that is written before its document is: whatever the locale, it can be shown."""
        return cls(_left_to_right(locale), currency, exponent, has_vat=False, can_show=_is_common)

    @classmethod
    def of(cls, document: ReceiptDocument, can_show: Callable[[str], bool]) -> "Wording":
        """For the document's locale (such as `de_DE` or `de-DE`), currency and taxes."""
        locale = _left_to_right(document.locale)
        places = {row.jurisdiction[:2] for row in document.taxes}
        has_vat = bool(places) and places <= VAT_COUNTRIES
        return cls(locale, document.currency, document.exponent, has_vat, can_show)

    def means_of_payment(self, *, card: str | None, card_amount: int, credit_amount: int) -> str:
        """How money came or went: by card (with the processor's reference), store credit, or both; the
        amounts, in minor units, are only told where there are both."""
        by_card = self.labels.card.format(reference=card)
        if card is None or card_amount == 0:
            return self.labels.store_credit
        if credit_amount == 0:
            return by_card
        credit = f"{self.labels.store_credit} ({self.money(credit_amount)})"
        return f"{by_card} ({self.money(card_amount)}); {credit}"

    @property
    def labels(self) -> Labels:
        """The fixed words; English where we have no translation."""
        return labels_of(self.locale.language)

    @property
    def language(self) -> str:
        """The language of the fixed words."""
        return self.locale.language if self.locale.language in LABELS else "en"

    @property
    def tax_name(self) -> str:
        """What the countries that tax it call the tax."""
        return self.labels.vat if self.has_vat else self.labels.tax

    def number(self, amount_minor: int) -> str:
        """The amount without its currency, for columns."""
        return self._formatted(amount_minor, lambda locale: locale.decimal_formats[None])

    def money(self, amount_minor: int) -> str:
        """The amount with its currency."""
        return self._formatted(amount_minor, lambda locale: locale.currency_formats["standard"])

    def rate(self, rate_ppm: int) -> str:
        """A tax rate: `7.75%`."""
        share = Decimal(rate_ppm).scaleb(-6)
        text = format_percent(share, locale=self.locale, decimal_quantization=False)
        return (
            text
            if self.can_show(text)
            else format_percent(share, locale=_FALLBACK, decimal_quantization=False)
        )

    def date(self, time: str) -> str:
        """The day in UTC, in the language of the words, so that the page speaks one language."""
        same_language = self.locale.language == self.language
        return format_date(moment(time).date(), "long", self.locale if same_language else _FALLBACK)

    def address(self, party: Party) -> list[str]:
        """The lines of an address, the country (or a last line that is a country's code) by its name."""
        lines = [*party.lines, *([party.country] if party.country else [])]
        names = (self.locale if self.locale.language == self.language else _FALLBACK).territories
        if lines and len(lines[-1]) == 2:
            lines[-1] = names.get(lines[-1], lines[-1])
        return lines

    def jurisdiction(self, name: str) -> str:
        """A jurisdiction's name as a customer reads it."""
        if name.endswith(REVERSE_CHARGE_SUFFIX):
            return f"{name.removesuffix(REVERSE_CHARGE_SUFFIX)}, {self.labels.reverse_charge}"
        return name

    def _formatted(self, amount_minor: int, pattern_of: Callable[[Locale], NumberPattern]) -> str:
        text = self._in_locale(self.locale, amount_minor, pattern_of)
        return text if self.can_show(text) else self._in_locale(_FALLBACK, amount_minor, pattern_of)

    def _in_locale(
        self, locale: Locale, amount_minor: int, pattern_of: Callable[[Locale], NumberPattern]
    ) -> str:
        # The locale's pattern with the document's decimals: Babel's own differ for a few currencies.
        pattern = parse_pattern(pattern_of(locale).pattern)
        pattern.frac_prec = (self.exponent, self.exponent)
        value = Decimal(amount_minor).scaleb(-self.exponent)
        text = str(pattern.apply(value, locale, currency=self.currency, currency_digits=False))
        text = text.replace(_FULL_WIDTH_YEN, "¥")
        symbol = get_currency_symbol(self.currency, locale)
        if symbol[-1].isalpha():  # KWD 1.500, not KWD1.500
            text = re.sub(rf"{re.escape(symbol)}(?=\d)", symbol + _NO_BREAK_SPACE, text)
        return text


def _left_to_right(name: str) -> Locale:
    locale = Locale.parse(name.replace("-", "_"))
    return _FALLBACK if locale.text_direction == "rtl" else locale


def _is_common(text: str) -> bool:
    """Latin letters, signs and currencies: in every typeface of ours."""
    return all(character < "\u2e80" for character in text)

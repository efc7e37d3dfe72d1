"""Currencies of sale: ISO 4217 exponents, and the steps in which a charge may be made."""

from dataclasses import dataclass

from domain.errors import InvalidInput


class UnknownCurrency(InvalidInput):
    """The code is not a currency that we can sell in."""

    code = "unknown_currency"


class NotChargeable(InvalidInput):
    """The amount is not a multiple of the currency's quantum."""

    code = "amount_not_chargeable"


@dataclass(frozen=True, slots=True)
class Currency:
    """One currency of sale.

    `exponent` is ISO 4217's: one major unit is 10 ** exponent minor units. `quantum` is the step, in minor
    units, that a charge must be a multiple of. `processor_exponent` is the exponent in which card
    processors count the currency; it differs from ISO 4217's for a few.
    """

    code: str
    exponent: int
    quantum: int
    processor_exponent: int

    @property
    def least_charge(self) -> int:
        """The least that a card can pay, minor units; one major unit where the processor states none."""
        return _LEAST_CHARGES.get(self.code, _power_of_ten(self.exponent))

    def written(self, amount: int) -> str:
        """Minor units as people read them, with the code: `-10.50 EUR`, `300 JPY`."""
        sign = "-" if amount < 0 else ""
        whole, part = divmod(abs(amount), 10**self.exponent)
        fraction = f".{part:0{self.exponent}d}" if self.exponent else ""
        return f"{sign}{whole}{fraction} {self.code}"

    def require_chargeable(self, amount: int) -> int:
        """Return `amount` (minor units); raises NotChargeable when the quantum does not divide it."""
        if amount % self.quantum:
            raise NotChargeable(f"{self.written(amount)} is not a multiple of {self.written(self.quantum)}")
        return amount

    def to_processor(self, amount: int) -> int:
        """Minor units of ISO 4217 to the processor's minor units; raises NotChargeable for a fraction."""
        shift = self.processor_exponent - self.exponent
        if shift >= 0:
            return amount * _power_of_ten(shift)
        whole, rest = divmod(amount, _power_of_ten(-shift))
        if rest:
            raise NotChargeable(f"{self.written(amount)} has a part that the processor can't express")
        return whole

    def from_processor(self, amount: int) -> int:
        """The processor's minor units to those of ISO 4217; raises NotChargeable for a fraction."""
        shift = self.processor_exponent - self.exponent
        if shift <= 0:
            return amount * _power_of_ten(-shift)
        whole, rest = divmod(amount, _power_of_ten(shift))
        if rest:
            raise NotChargeable(f"{amount} is no whole amount of {self.code} (processor's minor units)")
        return whole


def _power_of_ten(exponent: int) -> int:
    return int(10**exponent)


_ZERO_DECIMAL = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_TWO_DECIMAL = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP "
    "MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD "
    "SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS "
    "VED VES WST XCD XCG YER ZAR ZMW ZWG"
)
_THREE_DECIMAL = "BHD IQD JOD KWD LYD OMR TND"

# Card networks settle three-decimal currencies in hundredths, and the ariary in whole units.
_QUANTA = {**dict.fromkeys(_THREE_DECIMAL.split(), 10), "MGA": 100}
# https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
_LEAST_CHARGES = {
    "USD": 50, "AED": 200, "AUD": 50, "BGN": 100, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250,
    "EUR": 50, "GBP": 30, "HKD": 400, "HUF": 17500, "INR": 50, "JPY": 50, "MXN": 1000, "MYR": 200, "NOK": 300,
    "NZD": 50, "PLN": 200, "RON": 200, "SEK": 300, "SGD": 50, "THB": 1000,
}  # fmt: skip
_PROCESSOR_EXPONENTS = {"ISK": 2, "UGX": 2, "MGA": 0}


def _table() -> dict[str, Currency]:
    exponents = {0: _ZERO_DECIMAL, 2: _TWO_DECIMAL, 3: _THREE_DECIMAL}
    return {
        code: Currency(code, exponent, _QUANTA.get(code, 1), _PROCESSOR_EXPONENTS.get(code, exponent))
        for exponent, codes in exponents.items()
        for code in codes.split()
    }


CURRENCIES = _table()


def currency_of(code: str) -> Currency:
    """Look a currency up by its ISO 4217 code, in capitals; raises UnknownCurrency."""
    try:
        return CURRENCIES[code]
    except KeyError:
        raise UnknownCurrency(f"unknown currency {code!r}") from None

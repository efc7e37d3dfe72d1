"""Currencies: decimals, the least and the greatest amount (docs.stripe.com/currencies)."""

from devstack.stripe_standin.errors import invalid_parameter

ZERO_DECIMAL = frozenset(
    [
        "bif",
        "clp",
        "djf",
        "gnf",
        "jpy",
        "kmf",
        "krw",
        "mga",
        "pyg",
        "rwf",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    ]
)
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
_TWO_DECIMAL = frozenset(
    [
        "ugx",
        "aed",
        "all",
        "amd",
        "ars",
        "aud",
        "azn",
        "bam",
        "bbd",
        "bdt",
        "bgn",
        "bnd",
        "bob",
        "brl",
        "bwp",
        "byn",
        "bzd",
        "cad",
        "chf",
        "cny",
        "cop",
        "crc",
        "czk",
        "dkk",
        "dop",
        "dzd",
        "egp",
        "etb",
        "eur",
        "fjd",
        "gbp",
        "gel",
        "ghs",
        "gmd",
        "gtq",
        "hkd",
        "hnl",
        "huf",
        "idr",
        "ils",
        "inr",
        "isk",
        "jmd",
        "kes",
        "kgs",
        "khr",
        "kzt",
        "lak",
        "lbp",
        "lkr",
        "lrd",
        "mad",
        "mdl",
        "mkd",
        "mmk",
        "mnt",
        "mop",
        "mur",
        "mvr",
        "mwk",
        "mxn",
        "myr",
        "mzn",
        "nad",
        "ngn",
        "nio",
        "nok",
        "npr",
        "nzd",
        "pab",
        "pen",
        "pgk",
        "php",
        "pkr",
        "pln",
        "qar",
        "ron",
        "rsd",
        "sar",
        "sek",
        "sgd",
        "sos",
        "srd",
        "svc",
        "szl",
        "thb",
        "tjs",
        "top",
        "try",
        "ttd",
        "twd",
        "tzs",
        "uah",
        "usd",
        "uyu",
        "uzs",
        "xcd",
        "yer",
        "zar",
        "zmw",
    ]
)
_LEAST = {
    "usd": 50,
    "aed": 200,
    "aud": 50,
    "bgn": 100,
    "brl": 50,
    "cad": 50,
    "chf": 50,
    "czk": 1500,
    "dkk": 250,
    "eur": 50,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
    "inr": 50,
    "jpy": 50,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "nzd": 50,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "sgd": 50,
    "thb": 1000,
    "krw": 500,
    "kwd": 160,
    "bhd": 200,
    "jod": 360,
    "omr": 200,
    "tnd": 1600,
}
_LEAST_OTHERWISE = 50
_MOST = 99_999_999


def shown(amount: int, currency: str) -> str:
    """The amount as Stripe's messages write it."""
    decimals = 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2
    number = f"{amount / 10**decimals:,.{decimals}f}"
    return f"${number} {currency}" if currency == "usd" else f"{number} {currency}"


def check_currency(given: str) -> str:
    """The currency in small letters; 400 when Stripe doesn't have it."""
    currency = given.lower()
    if currency not in ZERO_DECIMAL | THREE_DECIMAL | _TWO_DECIMAL:
        raise invalid_parameter(f"Invalid currency: {given}", "currency")
    return currency


def check_amount(amount: int, currency: str, param: str = "amount") -> None:
    """400 for an amount in minor units that can't be charged."""
    check_positive(amount, param)
    if amount > _MOST:
        raise invalid_parameter(
            f"Amount must be no more than {shown(_MOST, currency)}", param, "amount_too_large"
        )
    least = _LEAST.get(currency, _LEAST_OTHERWISE)
    if amount < least:
        raise invalid_parameter(
            f"Amount must be at least {shown(least, currency)}", param, "amount_too_small"
        )
    check_last_digit(amount, currency, param)


def check_positive(amount: int, param: str) -> None:
    """400 for an amount below 1."""
    if amount < 1:
        raise invalid_parameter(
            "This value must be greater than or equal to 1.", param, "parameter_invalid_integer"
        )


# Without decimals in life, but counted in hundredths by Stripe: the last two digits are always 00.
_WHOLE_ONLY = frozenset({"isk", "ugx"})


def check_last_digit(amount: int, currency: str, param: str) -> None:
    """400 for a three-decimal amount that is no multiple of ten, or a part of a króna or shilling."""
    if currency in _WHOLE_ONLY and amount % 100:
        raise invalid_parameter(
            f"Amounts in {currency} must be evenly divisible by 100: it has no decimals.",
            param,
            "parameter_invalid_integer",
        )
    if currency in THREE_DECIMAL and amount % 10:
        raise invalid_parameter(
            f"Amounts in {currency} must be evenly divisible by 10: the last digit is always 0.",
            param,
            "parameter_invalid_integer",
        )


def processing_fee(amount: int, currency: str = "usd") -> int:
    """2.9 % and 30, in minor units of the charge's currency, half up; in whole units where it has no others.

    The account settles each currency by itself, so nothing is converted.
    """
    if currency in _WHOLE_ONLY:
        return processing_fee(amount // 100) * 100
    return (amount * 29 + 500) // 1000 + 30

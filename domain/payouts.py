"""What the payout system tells us: a payee was paid."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.currencies import currency_of
from domain.errors import InvalidInput

SETTLED = "payout.settled"


@dataclass(frozen=True, slots=True)
class Settlement:
    """One payout to one payee; `amount` in minor units."""

    payout_id: str
    payee: str
    currency: str
    amount: int


def settlement_of(data: Any) -> Settlement:
    """Read the data of `payout.settled`; raises InvalidInput with the member that is wrong."""
    if not isinstance(data, Mapping):
        raise InvalidInput("payout.settled has no data")
    names = ("payout_id", "payee_ref", "currency")
    for name in names:
        if not isinstance(data.get(name), str) or not data[name].strip():
            raise InvalidInput(f"payout.settled: {name} is missing")
    amount = data.get("amount")
    if type(amount) is not int or not 0 < amount < 2**63:
        raise InvalidInput("payout.settled: amount is a positive whole number of minor units")
    currency_of(data["currency"])
    return Settlement(data["payout_id"], data["payee_ref"], data["currency"], amount)

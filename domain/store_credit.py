"""Store credit as tender: how much of it pays for an order, and how a refund goes back to card and credit.

Amounts are integer minor units of one currency. Credit does not lower the price or the tax: it is a way to
pay. What a customer has is the balance of account 2330 under the customer's id, nothing else.
"""

from dataclasses import dataclass

from domain.currencies import currency_of


def credit_to_use(total: int, available: int, currency: str) -> int:
    """How much credit pays for an order of `total`: all of it, or as much as leaves what a card can pay.

    A rest below the processor's least charge could not be paid, so less credit is used then; a rest keeps to
    the currency's charge step.
    """
    if available >= total:
        return total
    unit = currency_of(currency)
    most = min(max(0, available), max(0, total - unit.least_charge))
    return most - most % unit.quantum


@dataclass(frozen=True, slots=True)
class Tender:
    """A sum by the way it was paid, or goes back."""

    card: int
    credit: int


def refund_tender(amount: int, *, card_left: int) -> Tender:
    """How a refund goes back: to the card first, as far as the card paid and has not got back; the rest as
    store credit, which it was paid with."""
    card = min(amount, max(0, card_left))
    return Tender(card, amount - card)

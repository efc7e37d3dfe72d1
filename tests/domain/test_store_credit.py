"""Store credit as tender: how much is used, how a refund goes back, and that credit is never overspent."""

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.currencies import currency_of
from domain.ledger import Account, LineLedger, capture, grant_goodwill, initiate_refund, settle_refund
from domain.store_credit import Tender, credit_to_use, refund_tender


@pytest.mark.parametrize(
    ("total", "available", "currency", "used"),
    [
        (5000, 0, "USD", 0),
        (5000, 1500, "USD", 1500),
        (5000, 5000, "USD", 5000),
        (5000, 9000, "USD", 5000),
        (5000, 4980, "USD", 4950),  # 20 cents can't be charged
        (40, 30, "USD", 0),  # nor can what is left of 40 cents
        (40, 40, "USD", 40),
        (0, 100, "USD", 0),
        (5000, 4980, "GBP", 4970),
        (500, 470, "JPY", 450),
        (12_340, 1234, "KWD", 1230),  # charges go by ten
        (12_340, 12_340, "KWD", 12_340),
    ],
)
def test_how_much_credit_pays(total: int, available: int, currency: str, used: int) -> None:
    assert credit_to_use(total, available, currency) == used


@pytest.mark.parametrize(
    ("amount", "card_left", "back"),
    [(300, 1000, Tender(300, 0)), (1000, 300, Tender(300, 700)), (500, 0, Tender(0, 500))],
)
def test_a_refund_goes_to_the_card_first(amount: int, card_left: int, back: Tender) -> None:
    assert refund_tender(amount, card_left=card_left) == back


@given(
    total=st.integers(0, 10**6),
    available=st.integers(-10, 10**6),
    currency=st.sampled_from(["USD", "JPY", "KWD", "HUF", "MGA"]),
)
def test_what_is_left_for_the_card_can_be_charged(total: int, available: int, currency: str) -> None:
    unit = currency_of(currency)
    total -= total % unit.quantum
    used = credit_to_use(total, available, currency)
    due = total - used
    assert 0 <= used <= max(0, available)
    assert due == 0 or used == 0 or (due >= unit.least_charge and due % unit.quantum == 0)


@dataclass
class Sale:
    """An order of one line; `credit` of its total is reserved, then spent."""

    line: LineLedger
    credit: int
    paid: bool = False
    to_card: int = 0
    to_credit: int = 0

    @property
    def card(self) -> int:
        return self.line.gross - self.credit


STEPS = st.lists(
    st.tuples(st.sampled_from(["give", "order", "pay", "drop", "refund"]), st.integers(1, 4000)), max_size=40
)


@settings(max_examples=200)
@given(STEPS)
def test_credit_is_never_overspent_and_refunds_keep_to_how_it_was_paid(steps: list[tuple[str, int]]) -> None:
    """Whatever happens in whatever order: the ledger's balance covers what open orders reserve."""
    books: Counter[Account] = Counter()
    open_sales: list[Sale] = []
    paid: list[Sale] = []

    def post(outcome):  # type: ignore[no-untyped-def]
        for entry in outcome.entries:
            for posting in entry.postings:
                if posting.account is Account.STORE_CREDIT:
                    assert posting.sub == "ann"
                books[posting.account] += posting.amount
        return outcome

    for number, (what, amount) in enumerate(steps):
        reserved = sum(sale.credit for sale in open_sales)
        if what == "give":
            post(grant_goodwill(f"c{number}", "ann", amount=amount, currency="USD"))
        elif what == "order":
            line = LineLedger.new(
                line=f"L{number}", currency="USD", list_net=amount, net=amount, tax={}, split={"shares": []}
            )
            available = -books[Account.STORE_CREDIT] - reserved
            open_sales.append(Sale(line, credit_to_use(amount, available, "USD")))
        elif what == "drop" and open_sales:
            open_sales.pop(amount % len(open_sales))
        elif what == "pay" and open_sales:
            sale = open_sales.pop(amount % len(open_sales))
            outcome = capture(f"O{number}", [sale.line], credit_applied=sale.credit, customer="ann")
            (sale.line,) = post(outcome).lines
            paid.append(sale)
        elif what == "refund" and paid:
            sale = paid[amount % len(paid)]
            if not sale.line.refundable_gross:
                continue
            asked = 1 + amount % sale.line.refundable_gross
            back = refund_tender(asked, card_left=sale.card - sale.to_card)
            (sale.line,) = post(initiate_refund(f"R{number}", [sale.line], amount=asked)).lines
            settled = settle_refund(
                f"R{number}", amount=asked, currency="USD", credit=back.credit, customer="ann"
            )
            post(settled)
            sale.to_card += back.card
            sale.to_credit += back.credit
        reserved = sum(sale.credit for sale in open_sales)
        assert -books[Account.STORE_CREDIT] >= reserved >= 0
        assert sum(books.values()) == 0
        for sale in paid:
            assert sale.to_card <= sale.card
            assert sale.to_credit <= sale.credit
    assert books[Account.PROCESSOR_CLEARING] == sum(sale.card - sale.to_card for sale in paid)
    assert books[Account.REFUNDS_PAYABLE] == 0

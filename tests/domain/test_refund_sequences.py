"""Thousands of random sequences of refunds: exact to the last unit in every currency."""

from collections import Counter
from itertools import pairwise

from domain.accounts import Account
from domain.currencies import currency_of
from domain.ledger import LineLedger, cancel_refund, capture, initiate_refund, recognize
from tests.domain.seeds import seeded
from tests.domain.test_splits import random_rule

SEQUENCES = 3_000
ENDS_AT_ZERO = (Account.DEFERRED_REVENUE, Account.TAX_PAYABLE, Account.PAYEE_HELD, Account.PAYEE_RELEASED)


def random_lines(chosen):
    """One to three lines; what costs nothing bears no tax."""
    currency = chosen.choice(["JPY", "KRW", "EUR", "USD", "KWD", "BHD"])
    unit = currency_of(currency)
    lines = []
    for ordinal in range(chosen.randint(1, 3)):
        list_net = chosen.randint(1, chosen.choice([5, 300, 20_000])) * unit.quantum
        net = chosen.randint(0, list_net // unit.quantum) * unit.quantum
        lines.append(
            LineLedger.new(
                line=f"L{ordinal}",
                currency=currency,
                list_net=list_net,
                net=net,
                tax={name: chosen.randint(0, net // 4) for name in chosen.choice(["", "A", "AB"])},
                split=random_rule(chosen, net),
            )
        )
    return lines


class Play:
    """One order's states and balances, refunded until nothing is left."""

    def __init__(self, chosen):
        self.chosen = chosen
        self.balances = Counter()
        self.lines = random_lines(chosen)
        self.post(capture("O", self.lines))

    def post(self, outcome):
        before = {line.line: line for line in self.lines}
        self.lines = [
            {state.line: state for state in outcome.lines}.get(name, before[name]) for name in before
        ]
        for entry in outcome.entries:
            assert sum(posting.amount for posting in entry.postings) == 0
            for posting in entry.postings:
                self.balances[posting.account] += posting.amount

    def recognize_all(self):
        for line in list(self.lines):
            self.post(recognize(line))

    @property
    def left(self):
        return sum(line.refundable_gross for line in self.lines)

    def refund_to_the_end(self):
        recognized_at = self.chosen.randint(0, 4)
        for number in range(50):
            if number == recognized_at:
                self.recognize_all()
            if not self.left:
                break
            states = [self.lines]
            amount = self.left if number > 3 else self.chosen.randint(1, self.left)
            goodwill = self.chosen.random() < 0.2
            self.post(initiate_refund(f"R{number}", self.lines, amount=amount, absorb=goodwill))
            states.append(self.lines)
            assert_monotone(states)
            if self.chosen.random() < 0.15:
                self.post(cancel_refund(f"R{number}", self.lines))
        self.recognize_all()


def assert_monotone(states):
    """A further refund takes from payees and gives them nothing."""
    for old, new in pairwise(states):
        for before, after in zip(old, new, strict=True):
            assert 0 <= after.basis_reversed <= after.basis
            for one, other in zip(before.payees, after.payees, strict=True):
                assert other.reversed >= one.reversed
                assert other.accrued == one.accrued


def test_thousands_of_random_refund_sequences_end_at_zero():
    chosen = seeded("random refund sequences")
    for _ in range(SEQUENCES):
        play = Play(chosen)
        play.refund_to_the_end()
        free = sum(p.standing for line in play.lines if line.gross == 0 for p in line.payees)
        assert play.left == 0
        assert sum(play.balances.values()) == 0
        off = {account: play.balances[account] for account in ENDS_AT_ZERO if play.balances[account]}
        assert off == ({Account.PAYEE_HELD: -free} if free else {})

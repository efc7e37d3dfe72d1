"""Books in memory for tests: states of lines, balances from the entries, balances from the earnings."""

import json
from collections import Counter

from domain.accounts import Account
from domain.ledger import Bucket, EarningType, LineLedger, Outcome, capture

SPLIT = {"shares": [{"payee": "ins_a", "bps": 4000}, {"payee": "ins_b", "bps": 3000}]}
HELD, RELEASED = Account.PAYEE_HELD, Account.PAYEE_RELEASED


def line(name="L1", *, list_net=10_000, net=9000, tax=None, split=None, currency="EUR", **given):
    """A line of which nothing is posted."""
    return LineLedger.new(
        line=name,
        currency=currency,
        list_net=list_net,
        net=net,
        tax={"DE": 1710} if tax is None else tax,
        split=SPLIT if split is None else split,
        **given,
    )


class Books:
    """What was posted, and the lines as they stand; every entry key is used once."""

    def __init__(self, *lines, credit_applied=0):
        self.lines = {given.line: given for given in lines}
        self.balances = Counter()
        self.told = Counter()
        self.kinds = []
        self.keys = set()
        self.post(capture("O1", lines, credit_applied=credit_applied, customer="ann"))

    @property
    def order(self):
        """All lines of the order."""
        return list(self.lines.values())

    def __getitem__(self, name):
        return self.lines[name]

    def post(self, outcome: Outcome) -> Outcome:
        """Store an outcome; the states go through JSON as they do in the database."""
        for state in outcome.lines:
            assert LineLedger.from_dict(json.loads(json.dumps(state.to_dict()))) == state
            self.lines[state.line] = state
        for entry in outcome.entries:
            assert entry.event_key not in self.keys, f"{entry.event_key} was posted before"
            self.keys.add(entry.event_key)
            self.kinds.append(str(entry.kind))
            for posting in entry.postings:
                self.balances[posting.account, posting.sub, posting.currency] += posting.amount
        for earning in outcome.earnings:
            assert earning.amount > 0
            assert earning.entry_key in self.keys, "an earning goes with an entry"
            self._tell(earning)
        return outcome

    def _tell(self, earning):
        payee = (earning.payee, earning.currency)
        if earning.type is EarningType.ACCRUED:
            self.told[HELD, *payee] -= earning.amount
        elif earning.type is EarningType.RELEASED:
            self.told[HELD, *payee] += earning.amount
            self.told[RELEASED, *payee] -= earning.amount
        elif earning.type is EarningType.REVERSED:
            account = HELD if earning.bucket is Bucket.HELD else RELEASED
            self.told[account, *payee] += earning.amount

    def balance(self, account, sub=None):
        """The balance of one account over all currencies (tests use one)."""
        return sum(amount for (a, s, _), amount in self.balances.items() if a is account and s == sub)

    def total(self, account):
        """The balance of an account over all its subs."""
        return sum(amount for (a, _, _), amount in self.balances.items() if a is account)

    def nonzero(self):
        """Balances by account code and sub, without zeros."""
        return {
            f"{account}/{sub}" if sub else str(account): amount
            for (account, sub, _), amount in self.balances.items()
            if amount
        }

    def check(self):
        """What holds at any time."""
        assert sum(self.balances.values()) == 0
        for payee_account in (HELD, RELEASED):
            posted = {(a, s, c): v for (a, s, c), v in self.balances.items() if a is payee_account and v}
            told = {key: v for key, v in self.told.items() if key[0] is payee_account and v}
            assert posted == told, "earning events and postings tell the same"
        expected = Counter()
        for state in self.order:
            for (account, sub), amount in state.balances().items():
                expected[account, sub] += amount
            for payee in state.payees:
                assert payee.held >= 0
                assert payee.released >= payee.reversed_released
                assert 0 <= payee.standing <= payee.accrued
            assert 0 <= state.taken_gross <= max(state.gross, 0)
        for account, sub in expected:
            assert self.balance(account, sub) == expected[account, sub]

"""Orders, refunds, disputes, completions and payouts in any order: database and plain model agree.

`MODEL_RUNS` and `MODEL_STEPS` in the environment make it longer. Hypothesis prints how to run a failing
example again, shortened unless `MODEL_SHORTEN=0`.
"""

import os
from collections import Counter
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from domain.errors import Conflict
from domain.ledger import (
    cancel_refund,
    fail_refund,
    initiate_refund,
    lose_dispute,
    open_dispute,
    recognize,
    release,
    settle_payout,
    settle_refund,
    win_dispute,
)
from tests.model.plain import PlainLine, PlainOrder
from tests.model.shop import DatabaseShop

RUNS = int(os.environ.get("MODEL_RUNS", "200"))
STEPS = int(os.environ.get("MODEL_STEPS", "50"))
SHORTEN = os.environ.get("MODEL_SHORTEN", "1") != "0"
PAYEES = ("ana", "bo", "cy")
_numbers = count(1)


@st.composite
def lines(draw: st.DrawFn, name: str) -> PlainLine:
    """A line with odd amounts; what costs nothing bears no tax."""
    list_net = draw(st.integers(0, 400))
    net = draw(st.integers(0, list_net))
    rest = 10_000
    shares = []
    for payee in draw(st.lists(st.sampled_from(PAYEES), unique=True, max_size=3)):
        shares.append((payee, draw(st.integers(0, rest))))
        rest -= shares[-1][1]
    return PlainLine(
        name=name,
        list_net=list_net,
        net=net,
        taxes=[(j, draw(st.integers(0, 60)) if net else 0) for j in draw(st.sampled_from(["", "A", "AB"]))],
        off_top=draw(st.sampled_from([[], [("aff", 1000)], [("ana", 333)]])),
        fixed=draw(st.sampled_from([[], [("bo", 7)]])),
        shares=shares,
    )


class OrderMachine(RuleBasedStateMachine):
    """One order, its ledger in PostgreSQL beside its plain model."""

    shop: DatabaseShop

    @initialize(
        currency=st.sampled_from(["JPY", "EUR", "KWD"]),
        first=lines("L1"),
        more=st.lists(st.sampled_from(["L2", "L3"]).flatmap(lines), max_size=2, unique_by=lambda li: li.name),
    )
    def start(self, currency: str, first: PlainLine, more: list[PlainLine]) -> None:
        self.currency = currency
        self.model = PlainOrder([first, *more])
        self.order = self.shop.place(currency, [first, *more])

    def line_names(self, pick: int) -> str:
        names = list(self.model.lines)
        return names[pick % len(names)]

    def of_status(self, pick: int, *statuses: str) -> str | None:
        fitting = [name for name, refund in self.model.refunds.items() if refund.status in statuses]
        return fitting[pick % len(fitting)] if fitting else None

    def open_disputes(self) -> list[str]:
        return [name for name, (_, state) in self.model.disputes.items() if state == "open"]

    @rule(pick=st.integers(0, 5), twice=st.booleans())
    def complete(self, pick: int, twice: bool) -> None:
        name = self.line_names(pick)
        self.model.complete(name)
        self.order.on_line(name, recognize)
        if twice:
            assert not self.order.on_line(name, recognize).entries

    @rule(pick=st.integers(0, 5))
    def release(self, pick: int) -> None:
        name = self.line_names(pick)
        self.model.release(name)
        self.order.on_line(name, release)

    @rule(
        pick=st.integers(0, 5),
        amount=st.integers(1, 40) | st.integers(1, 1200),
        way=st.sampled_from(["amount", "amount", "line", "rest of line", "all"]),
        goodwill=st.sampled_from([False, False, True]),
        twice=st.booleans(),
    )
    def refund(self, pick: int, amount: int, way: str, goodwill: bool, twice: bool) -> None:
        refund, line = f"R{next(_numbers)}", self.line_names(pick)
        plan: Any = {
            "amount": amount,
            "line": {line: amount},
            "rest of line": {line: self.model.lines[line].left},
            "all": None,
        }[way]
        asked: dict[str, Any] = {
            "amount": {"amount": amount},
            "line": {"by_line": {self.order.names[line]: amount}},
            "rest of line": {"by_line": {self.order.names[line]: None}},
            "all": {},
        }[way]

        def ask() -> Any:
            return self.order.apply(lambda all_: initiate_refund(refund, all_, absorb=goodwill, **asked))

        if self.model.refund(refund, plan, goodwill=goodwill):
            ask()
            if twice:
                assert not ask().entries
        else:
            with pytest.raises(Conflict) as refusal:
                ask()
            assert refusal.value.code == ("dispute_open" if self.model.disputed else "refund_exceeds_paid")

    @rule(pick=st.integers(0, 9), twice=st.booleans())
    def settle(self, pick: int, twice: bool) -> None:
        if refund := self.of_status(pick, "pending", "failed"):
            known = self.model.refunds[refund]
            posted = settle_refund(refund, amount=known.amount, currency=self.currency, attempt=known.attempt)
            self.model.settle(refund)
            for _ in range(1 + twice):
                self.shop.post(self.order.id, posted)

    @rule(pick=st.integers(0, 9))
    def fail(self, pick: int) -> None:
        if refund := self.of_status(pick, "succeeded"):
            known = self.model.refunds[refund]
            posted = fail_refund(refund, amount=known.amount, currency=self.currency, attempt=known.attempt)
            self.model.fail(refund)
            self.shop.post(self.order.id, posted)

    @rule(pick=st.integers(0, 9))
    def cancel(self, pick: int) -> None:
        if refund := self.of_status(pick, "pending", "failed"):
            self.model.cancel(refund)
            self.order.apply(lambda all_: cancel_refund(refund, all_))

    @rule(amount=st.integers(1, 1200), fee=st.sampled_from([0, 15]), twice=st.booleans())
    def open_dispute(self, amount: int, fee: int, twice: bool) -> None:
        if len(self.model.disputes) == 2:
            return
        dispute, amount = f"D{next(_numbers)}", min(amount, max(1, self.model.paid))
        self.model.open_dispute(dispute, amount, fee)
        for _ in range(1 + twice):
            self.order.apply(lambda all_: open_dispute(dispute, all_, amount=amount, fee=fee))

    @precondition(lambda self: self.open_disputes())
    @rule(fee_back=st.sampled_from([0, 15]))
    def win(self, fee_back: int) -> None:
        dispute = self.open_disputes()[0]
        amount, _ = self.model.disputes[dispute]
        self.model.win(dispute, fee_back)
        self.order.apply(lambda all_: win_dispute(dispute, all_, amount=amount, fee_refund=fee_back))

    @precondition(lambda self: self.open_disputes())
    @rule(twice=st.booleans())
    def lose(self, twice: bool) -> None:
        dispute = self.open_disputes()[0]
        amount, _ = self.model.disputes[dispute]
        self.model.lose(dispute)
        for _ in range(1 + twice):
            self.order.apply(lambda all_: lose_dispute(dispute, all_, amount=amount))

    @rule(payee=st.sampled_from([*PAYEES, "aff"]), part=st.integers(1, 100), twice=st.booleans())
    def pay_out(self, payee: str, part: int, twice: bool) -> None:
        owed = self.model.owed(payee)
        if owed <= 0:
            return
        amount = max(1, owed * part // 100)
        posted = settle_payout(f"P{next(_numbers)}", payee, amount=amount, currency=self.currency)
        self.model.pay_out(payee, amount)
        for _ in range(1 + twice):
            self.shop.post(self.order.id, posted)

    @invariant()
    def the_ledger_is_what_the_model_says(self) -> None:
        if not hasattr(self, "order"):
            return
        expected, found = self.model.balances(), self.order.balances()
        assert found == expected
        assert sum(found.values()) == 0

    def teardown(self) -> None:
        if hasattr(self, "order"):
            self.what_was_published_is_what_payees_have()

    def what_was_published_is_what_payees_have(self) -> None:
        paid_out = {key: amount for key, amount in self.model.beside.items() if key[0] == "2220"}
        posted = Counter({k: v for k, v in self.order.balances().items() if k[0] in ("2210", "2220")})
        posted.subtract(paid_out)
        assert {k: v for k, v in posted.items() if v} == dict(self.shop.told(self.order.id))


@pytest.mark.timeout(900)
def test_any_history_agrees_with_the_plain_model(database_url: str) -> None:
    OrderMachine.shop = DatabaseShop(database_url)
    try:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            OrderMachine,
            settings=settings(
                max_examples=RUNS,
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                print_blob=True,
                phases=[phase for phase in Phase if SHORTEN or phase is not Phase.shrink],
            ),
        )
        assert OrderMachine.shop.violations() == []
    finally:
        OrderMachine.shop.close()

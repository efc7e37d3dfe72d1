"""What holds for every history of an order: exactness, monotony, order that does not matter, duplicates."""

import json
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import line_ledger, takings
from domain.accounts import Account
from domain.allocation import largest_remainder
from domain.errors import CommerceError, LedgerError
from domain.ledger import (
    LineLedger,
    Outcome,
    Trigger,
    cancel_refund,
    capture,
    fail_late,
    initiate_refund,
    lose_dispute,
    open_dispute,
    reassign,
    recognize,
    release,
    win_dispute,
)
from tests.domain.books import Books, line

PAYEES = ["p1", "p2", "p3"]


@st.composite
def rules(draw):
    """A split rule of up to three payees."""
    bounds = sorted(draw(st.lists(st.integers(0, 10_000), min_size=1, max_size=3)))
    shares = [
        {"payee": payee, "bps": high - low}
        for payee, low, high in zip(PAYEES, [0, *bounds], bounds, strict=False)
    ]
    rule = {
        "shares": shares,
        "fee_bps": draw(st.sampled_from([0, 300])),
        "fee_fixed": draw(st.integers(0, 30)),
    }
    if draw(st.booleans()):
        rule["off_top"] = [{"payee": "p1", "bps": draw(st.integers(0, 2000))}]
    if draw(st.booleans()):
        rule["platform_discount"] = "absorbed"
    return rule


@st.composite
def order_lines(draw):
    """One to three lines with odd prices, discounts and taxes."""
    currency = draw(st.sampled_from(["JPY", "EUR", "KWD"]))
    lines = []
    for ordinal in range(draw(st.integers(1, 3))):
        list_net = draw(st.integers(0, 3000))
        net = draw(st.integers(0, list_net))
        lines.append(
            line(
                f"L{ordinal + 1}",
                currency=currency,
                list_net=list_net,
                net=net,
                # Tax is on the net: what costs nothing bears none.
                tax={
                    name: draw(st.integers(0, 300)) if net else 0
                    for name in draw(st.sampled_from(["", "A", "AB"]))
                },
                split=draw(rules()),
                recognition=draw(st.sampled_from(["on_completion", "on_grant", "on_payment"])),
                platform_discount=draw(st.integers(0, list_net - net)),
            )
        )
    return lines


@dataclass(frozen=True)
class Step:
    """One event: its name, which line or refund it is about, and how much."""

    name: str
    target: int
    amount: int


# Named as often as a history needs them: an end of all things should be rare.
STEPS = [
    *["complete", "refund", "cancel", "reassign"] * 4,
    *["release", "refund_line", "absorb", "win"] * 2,
    *["grant", "open", "lose", "refund_all", "fail_late"],
]
histories = st.lists(
    st.builds(Step, st.sampled_from(STEPS), st.integers(1, 3), st.integers(1, 60) | st.integers(1, 2000)),
    max_size=14,
)


def run(books: Books, number: int, step: Step) -> Outcome | None:
    """The outcome of one step; None when the rules refuse it."""
    name = f"L{(step.target - 1) % len(books.lines) + 1}"
    events = {
        "complete": lambda: recognize(books[name], Trigger.COMPLETION),
        "grant": lambda: recognize(books[name], Trigger.GRANT),
        "release": lambda: release(books[name]),
        "refund": lambda: initiate_refund(f"R{number}", books.order, amount=step.amount),
        "refund_line": lambda: initiate_refund(f"R{number}", books.order, by_line={name: step.amount}),
        "refund_all": lambda: initiate_refund(f"R{number}", books.order),
        "absorb": lambda: initiate_refund(f"R{number}", books.order, amount=step.amount, absorb=True),
        "cancel": lambda: cancel_refund(f"R{step.target}", books.order),
        "reassign": lambda: reassign(
            f"C{number}",
            books[name],
            amount=step.amount,
            from_payee=f"p{step.amount % 3 + 1}",
            to_payee=f"p{step.target}",
        ),
        "open": lambda: open_dispute(f"D{step.target}", books.order, amount=step.amount, fee=15),
        "win": lambda: win_dispute(f"D{step.target}", books.order, amount=step.amount),
        "lose": lambda: lose_dispute(f"D{step.target}", books.order, amount=step.amount),
        "fail_late": lambda: fail_late("O1", books.order),
    }
    try:
        return events[step.name]()
    except CommerceError:
        return None


def end(books: Books) -> None:
    """Decide every dispute, then pay back all that is left."""
    for dispute in ("D1", "D2", "D3"):
        if books.order[0].dispute(dispute):
            books.post(win_dispute(dispute, books.order, amount=1))
    if any(state.refundable_gross for state in books.order):
        books.post(initiate_refund("R-end", books.order))


@given(order_lines(), histories)
@settings(max_examples=250, deadline=None)
def test_any_history_keeps_the_books_right_and_ends_at_zero(lines, history):
    books = Books(*lines)
    for number, step in enumerate(history, start=1):
        outcome = run(books, number, step)
        if outcome is None:
            continue
        books.post(outcome)
        books.check()
        repeated = run(books, number, step)
        assert repeated is None or not repeated.entries, "a known event posts nothing"
    end(books)
    books.check()
    assert all(state.nothing_left or state.gross == 0 for state in books.order)
    assert books.total(Account.TAX_PAYABLE) == 0
    assert books.total(Account.DEFERRED_REVENUE) == 0
    given_away = sum(p.standing for state in books.order if state.gross == 0 for p in state.payees)
    assert books.total(Account.PAYEE_HELD) + books.total(Account.PAYEE_RELEASED) == -given_away
    assert books.total(Account.REVENUE_SHARE) == given_away


@given(order_lines(), st.data())
@settings(max_examples=120, deadline=None)
def test_refunds_in_any_order_with_cancels_between_end_the_same(lines, data):
    books, other = Books(*lines), Books(*lines)
    asked = {}
    for number in range(1, data.draw(st.integers(1, 4)) + 1):
        state = data.draw(st.sampled_from(books.order))
        gross = state.gross - sum(by_line.get(state.line, 0) for by_line, _ in asked.values())
        if gross > 0:
            asked[f"R{number}"] = ({state.line: data.draw(st.integers(1, gross))}, data.draw(st.booleans()))
    cancelled = [refund for refund in asked if data.draw(st.booleans())]

    def refund(target, name):
        by_line, absorb = asked[name]
        target.post(initiate_refund(name, target.order, by_line=by_line, absorb=absorb))

    def complete(target):
        for name in list(target.lines):
            target.post(recognize(target[name]))

    complete(books)
    for name in asked:
        if name not in cancelled:
            refund(books, name)

    completed = data.draw(st.integers(0, len(asked)))
    for number, name in enumerate(data.draw(st.permutations(list(asked)))):
        if number == completed:
            complete(other)
        refund(other, name)
        if name in cancelled and data.draw(st.booleans()):
            other.post(cancel_refund(name, other.order))
    for name in cancelled:
        if name in asked:
            other.post(cancel_refund(name, other.order))
    complete(other)
    other.check()
    assert position(other) == position(books)


def position(books):
    """What is owed and owned, and the profit: a sale that was refunded before it was recognized never shows
    in sales and refunds, but comes to the same."""
    profit = sum(amount for code, amount in books.nonzero().items() if code[0] in "45")
    return {code: amount for code, amount in books.nonzero().items() if code[0] in "12"}, profit


def small_refunds(given_line, step):
    """The line refunded `step` by `step`; the states, the first before any refund."""
    (state,) = recognize(*capture("O1", [given_line]).lines).lines
    states = [state]
    while states[-1].refundable_gross:
        amount = min(step, states[-1].refundable_gross)
        states.append(initiate_refund(f"R{len(states)}", [states[-1]], amount=amount).lines[0])
    return states


def falls(states):
    """How often a further refund gave something back to a payee."""
    return sum(
        after.reversed < before.reversed or after.accrued > before.accrued
        for old, new in pairwise(states)
        for before, after in zip(old.payees, new.payees, strict=True)
    )


@given(order_lines(), st.integers(1, 400))
@settings(max_examples=80, deadline=None)
def test_further_refunds_never_give_anything_back(lines, step):
    states = small_refunds(lines[0], max(step, lines[0].gross // 25))
    assert falls(states) == 0
    for state in states:
        assert 0 <= state.basis_reversed <= state.basis
    if states[-1].gross:
        assert all(payee.standing == 0 for payee in states[-1].payees)
        assert states[-1].basis_reversed == states[-1].basis


SIX_SIX_TWO = {"fixed": [{"payee": p, "amount": a} for p, a in (("p1", 6), ("p2", 6), ("p3", 2))]}


def test_the_rules_refuse_a_naive_reversal(monkeypatch):
    """Planted bug: splits reversed by largest remainder of the cumulative amount."""
    fourteen = line(list_net=14, net=14, tax={}, split=SIX_SIX_TWO)
    assert falls(small_refunds(fourteen, 1)) == 0

    def naive(parts, count):
        return largest_remainder(count, parts) if count else [0] * len(parts)

    monkeypatch.setattr("domain.earnings.ticks_reversed", naive)
    with pytest.raises(LedgerError):
        small_refunds(fourteen, 1)


def test_the_final_check_catches_refunds_rounded_one_by_one(monkeypatch):
    """Planted bug: a part of the basis is lost at each refund, so that something is left at the end."""
    all_to_one = {"shares": [{"payee": "p1", "bps": 10_000}], "fee_bps": 300}
    given_line = line(list_net=1001, net=1001, tax={}, split=all_to_one)
    assert [p.standing for p in small_refunds(given_line, 333)[-1].payees] == [0]
    monkeypatch.setattr(
        LineLedger,
        "basis_reversed",
        property(lambda self: sum(self.basis * t.gross // self.net for t in self.takings)),
    )
    assert [p.standing for p in small_refunds(given_line, 333)[-1].payees] == [1]


def test_the_final_check_catches_tax_taken_in_proportion(monkeypatch):
    """Planted bug: net and tax each rounded by themselves, so that an entry no longer balances."""
    monkeypatch.setattr(
        line_ledger, "ticks_reversed", lambda parts, count: [p * count // (sum(parts) or 1) for p in parts]
    )
    with pytest.raises(CommerceError) as alarm:
        small_refunds(line(), 333)
    assert alarm.value.code == "ledger_error"


def test_the_balance_check_catches_a_lost_posting(monkeypatch):
    """Planted bug: the tax is forgotten when a refund is posted."""
    whole = takings.change

    def without_tax(before, after):
        return {k: v for k, v in whole(before, after).items() if k[0] is not Account.TAX_PAYABLE}

    monkeypatch.setattr(takings, "change", without_tax)
    with pytest.raises(CommerceError):
        initiate_refund("R1", capture("O1", [line()]).lines)


def test_states_are_plain_json():
    books = Books(line())
    assert json.loads(json.dumps(books["L1"].to_dict())) == books["L1"].to_dict()

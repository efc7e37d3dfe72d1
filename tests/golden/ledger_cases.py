"""Cases with a history: each event goes through the ledger's rules, its entries are compared.

The state that the product keeps in rows (lines, refunds, disputes, credit used) is kept in memory here.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from domain import ledger
from domain.errors import Conflict
from domain.ledger import EntryDraft, LineLedger, Outcome, Posting, Trigger
from domain.money import Money
from tests.golden.report import Unsupported

Event = dict[str, Any]
Balance = tuple[str, str | None, str]
# A case has one customer, whom the file's postings of store credit do not name.
_CUSTOMER = "(customer)"


@dataclass
class Books:
    """All that one case has led to so far."""

    currency: str
    lines: dict[str, LineLedger] = field(default_factory=dict)
    disputed: dict[str, int] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    balances: Counter[Balance] = field(default_factory=Counter)
    credit_applied: int = 0

    def order(self) -> list[LineLedger]:
        """All lines, in the order of capture."""
        return list(self.lines.values())

    def line(self, event: Event) -> LineLedger:
        """The line that an event names; Conflict when it was not paid for (yet)."""
        if event["line"] not in self.lines:
            raise Conflict(f"line {event['line']} was not captured", code="not_paid")
        return self.lines[event["line"]]

    def apply(self, event: Event) -> Outcome:
        """Run one event once; a business rule that forbids it posts nothing."""
        handler = _HANDLERS.get(event["type"])
        if handler is None:
            raise Unsupported(f"event type {event['type']!r}")
        if event["id"] in self.seen:
            return Outcome()
        self.seen.add(event["id"])
        try:
            outcome = handler(self, event)
        except Conflict:
            return Outcome()
        self.lines.update((line.line, line) for line in outcome.lines)
        for entry in outcome.entries:
            for posting in entry.postings:
                self.balances[str(posting.account), _sub(posting), posting.currency] += posting.amount
        return outcome


def ledger_differences(case: dict[str, Any]) -> list[str]:
    """Run a history and compare entries and earnings of each step, and the balances at the end."""
    books = Books(case["currency"])
    differences: list[str] = []
    for number, step in enumerate(case["steps"], start=1):
        place = f"step {number} ({step['event']['type']})"
        outcome = books.apply(step["event"])
        expected = [_expected_entry(entry, books.currency) for entry in step.get("entries") or []]
        found = [_found_entry(entry) for entry in outcome.entries]
        if expected != found:
            differences.append(f"{place}: expected entries {expected}, found {found}")
        earned = Counter(tuple(earning) for earning in step.get("earnings") or [])
        told = Counter(_earnings(outcome))
        if earned != told:
            differences.append(f"{place}: expected earnings {sorted(earned)}, found {sorted(told)}")
    expected_balances = {
        (row["account"], row.get("sub"), row.get("currency", books.currency)): row["amount"]
        for row in case["balances"]
    }
    found_balances = {key: amount for key, amount in books.balances.items() if amount}
    for key in sorted(expected_balances.keys() | found_balances.keys(), key=str):
        if expected_balances.get(key, 0) != found_balances.get(key, 0):
            differences.append(
                f"balance {key}: expected {expected_balances.get(key, 0)}, found {found_balances.get(key, 0)}"
            )
    return differences


def _expected_entry(entry: dict[str, Any], currency: str) -> tuple[str, list[str]]:
    postings = [
        _posting(str(p["account"]), p.get("sub"), p.get("currency", currency), p["amount"])
        for p in entry["postings"]
    ]
    return entry["kind"], sorted(postings)


def _found_entry(entry: EntryDraft) -> tuple[str, list[str]]:
    postings = [_posting(str(p.account), _sub(p), p.currency, p.amount) for p in entry.postings]
    return str(entry.kind), sorted(postings)


def _sub(posting: Posting) -> str | None:
    return None if posting.sub == _CUSTOMER else posting.sub


def _posting(account: str, sub: str | None, currency: str, amount: int) -> str:
    return f"{account}{'/' + sub if sub else ''} {amount} {currency}"


def _earnings(outcome: Outcome) -> list[tuple[object, ...]]:
    """Earnings as the file writes them; freezing moves no money and is not in it."""
    told: list[tuple[object, ...]] = []
    for earning in outcome.earnings:
        if earning.type.moves_money:
            row = (str(earning.type), earning.payee, earning.line, earning.amount)
            told.append(row if earning.bucket is None else (*row, str(earning.bucket)))
    return told


def _captured(books: Books, event: Event) -> Outcome:
    lines = [
        LineLedger.new(
            line=line["line"],
            currency=books.currency,
            list_net=line["list"],
            net=line["net"],
            tax=line["tax"],
            split=line.get("split") or {},
            recognition=line.get("recognition") or "on_completion",
            platform_discount=line.get("platform_discount") or 0,
        )
        for line in event["lines"]
    ]
    credit = event.get("credit_applied") or 0
    books.credit_applied += credit
    return ledger.capture(event["id"], lines, credit_applied=credit, customer=_CUSTOMER)


def _processor_fee(books: Books, event: Event) -> Outcome:
    currency = event.get("currency") or books.currency
    return ledger.processor_fee(event["id"], amount=event["amount"], currency=currency)


def _processor_payout(books: Books, event: Event) -> Outcome:
    currency = event.get("currency") or books.currency
    return ledger.processor_payout(event["id"], amount=event["amount"], currency=currency)


def _due(trigger: Trigger) -> "Handler":
    return lambda books, event: ledger.recognize(books.line(event), trigger)


def _released(books: Books, event: Event) -> Outcome:
    return ledger.release(books.line(event))


def _payout_settled(books: Books, event: Event) -> Outcome:
    return ledger.settle_payout(event["id"], event["payee"], amount=event["amount"], currency=books.currency)


def _written_off(books: Books, event: Event) -> Outcome:
    return ledger.write_off_payee(
        event["id"], event["payee"], amount=event["amount"], currency=books.currency
    )


def _refund_initiated(books: Books, event: Event) -> Outcome:
    return ledger.initiate_refund(
        event["refund"],
        books.order(),
        amount=event.get("amount"),
        by_line=event.get("lines"),
        absorb=bool(event.get("absorb")),
    )


def _refund_settled(books: Books, event: Event) -> Outcome:
    return ledger.settle_refund(event["id"], amount=event["amount"], currency=books.currency)


def _refund_failed(books: Books, event: Event) -> Outcome:
    return ledger.fail_refund(event["id"], amount=event["amount"], currency=books.currency)


def _refund_cancelled(books: Books, event: Event) -> Outcome:
    return ledger.cancel_refund(event["refund"], books.order())


def _goodwill_credit(books: Books, event: Event) -> Outcome:
    return ledger.grant_goodwill(event["id"], _CUSTOMER, amount=event["amount"], currency=books.currency)


def _reassigned(books: Books, event: Event) -> Outcome:
    return ledger.reassign(
        event["id"],
        books.line(event),
        amount=event["amount"],
        from_payee=event["from"],
        to_payee=event["to"],
    )


def _dispute_opened(books: Books, event: Event) -> Outcome:
    books.disputed.setdefault(event["dispute"], event["amount"])
    return ledger.open_dispute(
        event["dispute"], books.order(), amount=event["amount"], fee=event.get("fee") or 0
    )


def _dispute_won(books: Books, event: Event) -> Outcome:
    return ledger.win_dispute(
        event["dispute"],
        books.order(),
        amount=books.disputed[event["dispute"]],
        fee_refund=event.get("fee_refund") or 0,
    )


def _dispute_lost(books: Books, event: Event) -> Outcome:
    return ledger.lose_dispute(event["dispute"], books.order(), amount=books.disputed[event["dispute"]])


def _failed_late(books: Books, event: Event) -> Outcome:
    del event  # there is one order in a case
    return ledger.fail_late("order", books.order(), credit_applied=books.credit_applied, customer=_CUSTOMER)


def _unapplied(books: Books, event: Event) -> Outcome:
    return ledger.unapply_payment(event["id"], amount=event["amount"], currency=books.currency)


def _unapplied_refunded(books: Books, event: Event) -> Outcome:
    return ledger.refund_unapplied(event["id"], amount=event["amount"], currency=books.currency)


def _converted(books: Books, event: Event) -> Outcome:
    del books
    given, received = (Money(event[side]["amount"], event[side]["currency"]) for side in ("from", "to"))
    return ledger.convert_settlement(event["id"], given=given, received=received)


Handler = Callable[[Books, Event], Outcome]
_HANDLERS: dict[str, Handler] = {
    "payment_captured": _captured,
    "processor_fee": _processor_fee,
    "entitlement_granted": _due(Trigger.GRANT),
    "course_completed": _due(Trigger.COMPLETION),
    "recognition_deadline": _due(Trigger.DEADLINE),
    "earning_released": _released,
    "payout_settled": _payout_settled,
    "payee_written_off": _written_off,
    "refund_initiated": _refund_initiated,
    "refund_settled": _refund_settled,
    "refund_failed": _refund_failed,
    "refund_cancelled": _refund_cancelled,
    "goodwill_credit": _goodwill_credit,
    "earning_reassigned": _reassigned,
    "dispute_opened": _dispute_opened,
    "dispute_won": _dispute_won,
    "dispute_lost": _dispute_lost,
    "payment_failed_late": _failed_late,
    "payment_unapplied": _unapplied,
    "unapplied_refunded": _unapplied_refunded,
    "settlement_converted": _converted,
    "processor_payout": _processor_payout,
}

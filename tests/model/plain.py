"""The money of one order in plain Python: everything is counted anew from what happened.

Written from the rules alone and without a line of the product: whole lists of units are sorted where the
product computes. Slow, and easy to believe.
"""

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

Key = tuple[str, str | None]


def divided(total: int, weights: list[int]) -> list[int]:
    """Largest remainder, ties to the first."""
    if not sum(weights):
        return [0] * len(weights)
    quotas = [Fraction(total * weight, sum(weights)) for weight in weights]
    parts = [int(quota) for quota in quotas]
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - quotas[i], i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts


def first_ticks(parts: list[int], count: int) -> list[int]:
    """How many of the first `count` units fall to each part, all units sorted by their ticks."""
    taken = Counter(_owners(tuple(parts))[:count])
    return [taken[i] for i in range(len(parts))]


@lru_cache(maxsize=1000)
def _owners(parts: tuple[int, ...]) -> list[int]:
    """The part that each unit is of, in the order of their ticks."""
    units = sorted(
        (Fraction(2 * k - 1, 2 * part), i) for i, part in enumerate(parts) for k in range(1, part + 1)
    )
    return [i for _, i in units]


def half_up(value: Fraction) -> int:
    """Rounded to a whole number, halves away from zero; for values that are not negative."""
    return int(value + Fraction(1, 2))


@dataclass
class Share:
    """One row of a split: a payee and its part of the basis, `platform` for the rest."""

    payee: str
    amount: int


@dataclass
class PlainLine:
    """One line. `taken` is what went back of it: cause to (why, gross)."""

    name: str
    list_net: int
    net: int
    taxes: list[tuple[str, int]]
    off_top: list[tuple[str, int]]
    fixed: list[tuple[str, int]]
    shares: list[tuple[str, int]]
    taken: dict[str, tuple[str, int]] = field(default_factory=dict)
    recognized: bool = False
    held: Counter[str] = field(default_factory=Counter)
    released: Counter[str] = field(default_factory=Counter)

    @property
    def gross(self) -> int:
        return self.net + sum(amount for _, amount in self.taxes)

    def gone(self, *whys: str) -> int:
        return sum(gross for why, gross in self.taken.values() if not whys or why in whys)

    @property
    def left(self) -> int:
        return self.gross - self.gone()

    @property
    def empty(self) -> bool:
        return self.gross > 0 and self.left == 0

    def split_of(self, gross: int) -> list[int]:
        """Net and taxes of a part of the gross."""
        return first_ticks([self.net, *(amount for _, amount in self.taxes)], gross)

    def rows(self) -> list[Share]:
        """The basis divided: affiliates, fixed amounts, shares, the platform."""
        left, rows = self.net, []
        claims = [(payee, half_up(Fraction(self.net * bps, 10_000))) for payee, bps in self.off_top]
        for payee, claim in claims + self.fixed:
            rows.append(Share(payee, min(claim, left)))
            left -= rows[-1].amount
        bps = [b for _, b in self.shares]
        parts = divided(left, [*bps, 10_000 - sum(bps)])
        rows += [Share(payee, part) for (payee, _), part in zip(self.shares, parts, strict=False)]
        return [*rows, Share("platform", parts[-1])]

    def stands(self) -> Counter[str]:
        """What each payee should have of this line, after what went back."""
        if not self.recognized:
            return Counter()
        rows = self.rows()
        borne = self.gone("refund", "chargeback")
        reversed_basis = half_up(Fraction(self.net * self.split_of(borne)[0], self.net)) if self.net else 0
        if self.empty:
            reversed_basis = self.net
        back = first_ticks([row.amount for row in rows], reversed_basis)
        stands: Counter[str] = Counter()
        for row, part in zip(rows, back, strict=True):
            if row.payee != "platform":
                stands[row.payee] += row.amount - part
        return stands

    def settle_payees(self) -> None:
        """Move what payees have to what they should have: up into held, down out of held first."""
        stands = self.stands()
        for payee in stands.keys() | self.held.keys() | self.released.keys():
            missing = stands[payee] - self.held[payee] - self.released[payee]
            if missing < 0:
                from_held = min(self.held[payee], -missing)
                self.held[payee] -= from_held
                self.released[payee] -= -missing - from_held
            else:
                self.held[payee] += missing

    def balances(self) -> Counter[Key]:
        """What the line puts into the ledger."""
        found: Counter[Key] = Counter()
        net_gone, *tax_gone = self.split_of(self.gone())
        for (jurisdiction, amount), gone in zip(self.taxes, tax_gone, strict=True):
            found["2120", jurisdiction] -= amount - gone
        if self.recognized:
            refunded = self.split_of(self.gone("refund", "goodwill"))[0]
            found["4010", None] -= self.list_net
            found["4020", None] += self.list_net - self.net
            found["4030", None] += refunded
            found["4035", None] += net_gone - refunded
        else:
            found["2110", self.name] -= self.net - net_gone
        for payee in self.held.keys() | self.released.keys():
            found["2210", payee] -= self.held[payee]
            found["2220", payee] -= self.released[payee]
            found["5010", None] += self.held[payee] + self.released[payee]
        return found


@dataclass
class PlainRefund:
    """A refund's amount and how it stands."""

    amount: int
    status: str = "pending"
    attempt: int = 1


class PlainOrder:
    """An order after its capture; every method says whether the rules allow the event."""

    def __init__(self, lines: list[PlainLine]) -> None:
        self.lines = {line.name: line for line in lines}
        self.refunds: dict[str, PlainRefund] = {}
        self.disputes: dict[str, tuple[int, str]] = {}
        self.beside: Counter[Key] = Counter()  # what is on no line: cash, duties, fees, payouts
        self.paid = sum(line.gross for line in lines)
        self.beside["1010", None] = self.paid

    @property
    def left(self) -> int:
        return sum(line.left for line in self.lines.values())

    @property
    def disputed(self) -> bool:
        return any(state == "open" for _, state in self.disputes.values())

    def complete(self, name: str) -> None:
        line = self.lines[name]
        if not line.empty:
            line.recognized = True
            line.settle_payees()

    def release(self, name: str) -> None:
        if self.disputed:
            return
        line = self.lines[name]
        for payee, amount in list(line.held.items()):
            line.released[payee] += amount
            line.held[payee] = 0

    def refund(self, refund: str, plan: dict[str, int] | int | None, *, goodwill: bool) -> bool:
        if self.disputed:
            return False
        names = list(self.lines)
        if plan is None:
            plan = {name: self.lines[name].left for name in names}
        elif isinstance(plan, int):
            if plan > self.left:
                return False
            plan = dict(zip(names, divided(plan, [self.lines[name].left for name in names]), strict=True))
        plan = {name: gross for name, gross in plan.items() if gross}
        if not plan or any(gross > self.lines[name].left for name, gross in plan.items()):
            return False
        self._take(refund, "goodwill" if goodwill else "refund", plan)
        self.refunds[refund] = PlainRefund(sum(plan.values()))
        self.beside["2310", None] -= sum(plan.values())
        return True

    def settle(self, refund: str) -> None:
        self.refunds[refund].status = "succeeded"
        self.beside["2310", None] += self.refunds[refund].amount
        self.beside["1010", None] -= self.refunds[refund].amount

    def fail(self, refund: str) -> None:
        self.refunds[refund].status = "failed"
        self.refunds[refund].attempt += 1
        self.beside["2310", None] -= self.refunds[refund].amount
        self.beside["1010", None] += self.refunds[refund].amount

    def cancel(self, refund: str) -> None:
        self.refunds[refund].status = "canceled"
        self.beside["2310", None] += self.refunds[refund].amount
        for line in self.lines.values():
            if line.taken.pop(refund, None):
                line.settle_payees()

    def open_dispute(self, dispute: str, amount: int, fee: int) -> None:
        self.disputes[dispute] = (amount, "open")
        self.beside["1210", None] += amount
        self.beside["5030", None] += fee
        self.beside["1010", None] -= amount + fee

    def win(self, dispute: str, fee_back: int) -> None:
        amount, _ = self.disputes[dispute]
        self.disputes[dispute] = (amount, "won")
        self.beside["1210", None] -= amount
        self.beside["5030", None] -= fee_back
        self.beside["1010", None] += amount + fee_back

    def lose(self, dispute: str) -> None:
        amount, _ = self.disputes[dispute]
        self.disputes[dispute] = (amount, "lost")
        taken = min(amount, self.left)
        lefts = [line.left for line in self.lines.values()]
        plan = dict(zip(self.lines, divided(taken, lefts), strict=True))
        self._take(dispute, "chargeback", {name: gross for name, gross in plan.items() if gross})
        self.beside["1210", None] -= amount
        self.beside["5035", None] += amount - taken

    def pay_out(self, payee: str, amount: int) -> None:
        self.beside["2220", payee] += amount
        self.beside["1090", None] -= amount

    def owed(self, payee: str) -> int:
        """What stands in 2220 for the payee: positive when released and not paid out."""
        return -self.balances()["2220", payee]

    def balances(self) -> Counter[Key]:
        """The whole of it, as the ledger should have it; zeros left out."""
        found = Counter(self.beside)
        for line in self.lines.values():
            found.update(line.balances())
        return Counter({key: amount for key, amount in found.items() if amount})

    def _take(self, cause: str, why: str, plan: dict[str, int]) -> None:
        for name, gross in plan.items():
            self.lines[name].taken[cause] = (why, gross)
        for line in self.lines.values():
            line.settle_payees()

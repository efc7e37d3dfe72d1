"""What the ledger has done for one order line, as integers, and the balances that follow from it.

Every entry about a line is the difference of its balances before and after: so corrections are exact, and
what is posted depends on cumulative amounts only, not on the order in which refunds and cancels came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from domain.accounts import Account
from domain.allocation import ticks_reversed
from domain.currencies import currency_of
from domain.errors import InvalidInput
from domain.line_parts import (
    DisputeMark,
    PayeeEarning,
    Presentation,
    Recognition,
    SplitRow,
    Taking,
    TakingReason,
)
from domain.money import half_up_div
from domain.postings import AccountKey, Balances
from domain.splits import ShareKind, SplitRule


@dataclass(frozen=True, slots=True)
class LineLedger:
    """The state of one order line in the ledger; amounts in minor units of `currency`.

    `list_net - net` is the discount, all net of tax; `platform_discount` the part of it that the platform
    funds. `tax` is by jurisdiction, in order. `rows` and `payees` are there once earnings accrued, and so are
    `volumes`: what payees with tiers had come to before. `releases` counts the times that held earnings were
    released. `takings` are all refunds, chargebacks and late failures; `disputes` all disputes; `corrections`
    the ids of reassignments.
    """

    line: str
    currency: str
    list_net: int
    net: int
    tax: tuple[tuple[str, int], ...]
    split: SplitRule
    recognition: Recognition
    presentation: Presentation = Presentation.PRINCIPAL
    platform_discount: int = 0
    captured: bool = False
    recognized: bool = False
    releases: int = 0
    rows: tuple[SplitRow, ...] = ()
    volumes: tuple[tuple[str, int], ...] = ()
    payees: tuple[PayeeEarning, ...] = ()
    takings: tuple[Taking, ...] = ()
    disputes: tuple[tuple[str, DisputeMark], ...] = ()
    corrections: tuple[str, ...] = ()

    @classmethod
    def new(
        cls,
        *,
        line: str,
        currency: str,
        list_net: int,
        net: int,
        tax: Mapping[str, int],
        split: Mapping[str, Any],
        recognition: str = Recognition.ON_COMPLETION,
        presentation: str = Presentation.PRINCIPAL,
        platform_discount: int = 0,
    ) -> "LineLedger":
        """A line of which nothing has been posted. Raises InvalidInput for amounts that can't be."""
        currency_of(currency)
        if not 0 <= net <= list_net or any(amount < 0 for amount in tax.values()):
            raise InvalidInput(f"line {line}: 0 <= net <= list, and no tax is negative")
        if not 0 <= platform_discount <= list_net - net:
            raise InvalidInput(f"line {line}: the platform funds more than the discount")
        return cls(
            line=line,
            currency=currency,
            list_net=list_net,
            net=net,
            tax=tuple(tax.items()),
            split=SplitRule.from_dict(split),
            recognition=Recognition(recognition),
            presentation=Presentation(presentation),
            platform_discount=platform_discount,
        )

    @property
    def gross(self) -> int:
        """What the customer paid for the line."""
        return sum(self.parts)

    @property
    def parts(self) -> tuple[int, ...]:
        """The net, then the tax of each jurisdiction."""
        return (self.net, *(amount for _, amount in self.tax))

    @property
    def taken_gross(self) -> int:
        """What went back so far, for whatever reason."""
        return self._taken(*TakingReason)

    @property
    def refundable_gross(self) -> int:
        """What can still go back; nothing before capture."""
        return self.gross - self.taken_gross if self.captured else 0

    @property
    def nothing_left(self) -> bool:
        """Whether all that was paid for the line went back; never so for a line that cost nothing."""
        return self.captured and self.gross > 0 and self.refundable_gross == 0

    @property
    def awaits_revenue(self) -> bool:
        """Whether its recognition, or a release of held earnings, is still to come."""
        if any(payee.held for payee in self.payees):
            return True
        return self.captured and not self.recognized and not self.nothing_left

    @property
    def frozen(self) -> bool:
        """Whether a dispute holds the line's earnings."""
        return any(mark is DisputeMark.OPEN for _, mark in self.disputes)

    @property
    def basis(self) -> int:
        """What the split divided; 0 before accrual."""
        return sum(row.amount for row in self.rows)

    @property
    def basis_reversed(self) -> int:
        """How much of the basis is taken back.

        In proportion to the net that went back. What the platform absorbs does not count, until nothing is
        left on the line: then everything is.
        """
        if self.nothing_left:
            return self.basis
        if self.net == 0:
            return 0
        borne = self.taken_gross - self._taken(TakingReason.GOODWILL)
        return half_up_div(self.basis * self._net_of(borne), self.net)

    def taking(self, cause: str) -> Taking | None:
        """What this cause took from the line, if it is known."""
        return next((taking for taking in self.takings if taking.cause == cause), None)

    def with_taking(self, taking: Taking) -> "LineLedger":
        """The state with this taking put in the place of an earlier one of the same cause."""
        others = [other for other in self.takings if other.cause != taking.cause]
        return replace(self, takings=(*others, taking))

    def dispute(self, dispute_id: str) -> DisputeMark | None:
        """How this dispute stands, if it is known."""
        return dict(self.disputes).get(dispute_id)

    def with_dispute(self, dispute_id: str, mark: DisputeMark) -> "LineLedger":
        """The state with this dispute marked so."""
        return replace(self, disputes=tuple({**dict(self.disputes), dispute_id: mark}.items()))

    def balances(self) -> Balances:
        """What stands in the ledger for this line's price: deferred or recognized, and tax payable."""
        if not self.captured:
            return {}
        net_taken, *tax_taken = ticks_reversed(self.parts, self.taken_gross)
        balances: dict[AccountKey, int] = {}
        if self.recognized:
            refunded = self._net_of(self._taken(TakingReason.REFUND, TakingReason.GOODWILL))
            balances[Account.COURSE_SALES, None] = -self.list_net
            balances[Account.DISCOUNTS, None] = self.list_net - self.net
            balances[Account.REFUNDS, None] = refunded
            balances[Account.CHARGEBACKS, None] = net_taken - refunded
        else:
            balances[Account.DEFERRED_REVENUE, self.line] = net_taken - self.net
        for (jurisdiction, amount), taken in zip(self.tax, tax_taken, strict=True):
            balances[Account.TAX_PAYABLE, jurisdiction] = taken - amount
        return balances

    def _taken(self, *reasons: TakingReason) -> int:
        return sum(taking.gross for taking in self.takings if taking.reason in reasons)

    def _net_of(self, gross: int) -> int:
        return ticks_reversed(self.parts, gross)[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, read by `from_dict`."""
        return {
            "line": self.line,
            "currency": self.currency,
            "list_net": self.list_net,
            "net": self.net,
            "tax": [list(tax) for tax in self.tax],
            "split": self.split.to_dict(),
            "recognition": str(self.recognition),
            "presentation": str(self.presentation),
            "platform_discount": self.platform_discount,
            "captured": self.captured,
            "recognized": self.recognized,
            "releases": self.releases,
            "rows": [
                {"kind": str(row.kind), "amount": row.amount, "holders": [list(h) for h in row.holders]}
                for row in self.rows
            ],
            "volumes": [list(volume) for volume in self.volumes],
            "payees": [
                {
                    "payee": payee.payee,
                    "accrued": payee.accrued,
                    "released": payee.released,
                    "reversed_held": payee.reversed_held,
                    "reversed_released": payee.reversed_released,
                }
                for payee in self.payees
            ],
            "takings": [
                {"cause": taking.cause, "reason": str(taking.reason), "gross": taking.gross}
                for taking in self.takings
            ],
            "disputes": [[dispute_id, str(mark)] for dispute_id, mark in self.disputes],
            "corrections": list(self.corrections),
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "LineLedger":
        """Read what `to_dict` wrote."""
        return cls(
            line=given["line"],
            currency=given["currency"],
            list_net=given["list_net"],
            net=given["net"],
            tax=_pairs(given["tax"]),
            split=SplitRule.from_dict(given["split"]),
            recognition=Recognition(given["recognition"]),
            presentation=Presentation(given["presentation"]),
            platform_discount=given["platform_discount"],
            captured=given["captured"],
            recognized=given["recognized"],
            releases=given["releases"],
            rows=tuple(
                SplitRow(ShareKind(row["kind"]), row["amount"], _pairs(row["holders"]))
                for row in given["rows"]
            ),
            volumes=_pairs(given.get("volumes", [])),
            payees=tuple(PayeeEarning(**payee) for payee in given["payees"]),
            takings=tuple(
                Taking(taking["cause"], TakingReason(taking["reason"]), taking["gross"])
                for taking in given["takings"]
            ),
            disputes=tuple((dispute_id, DisputeMark(mark)) for dispute_id, mark in given["disputes"]),
            corrections=tuple(given["corrections"]),
        )


def _pairs(given: Sequence[Sequence[Any]]) -> tuple[tuple[str, int], ...]:
    return tuple((name, amount) for name, amount in given)

"""Split rules: who earns what from the basis of an order line."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from domain.allocation import largest_remainder
from domain.money import half_up_div
from domain.split_json import SplitRuleInvalid, amount_of, bps_of, known_keys, objects_of, payee_of

PLATFORM = "platform"
_BPS_WHOLE = 10_000


class ShareKind(StrEnum):
    """By which part of a rule a row came about."""

    OFF_TOP = "off_top"  # basis points of the whole basis, before all others: affiliates
    FIXED = "fixed"  # a fixed amount, capped by what is left
    SHARE = "share"  # basis points of the remainder, by largest remainder
    PLATFORM = "platform"  # the residual, always the last row


@dataclass(frozen=True, slots=True)
class Tier:
    """`bps` for the stretch of a payee's cumulative basis up to `upto` minor units; None is without end."""

    upto: int | None
    bps: int


@dataclass(frozen=True, slots=True)
class Share:
    """Basis points of the remainder for a payee.

    `guarantee` is a least amount in minor units, topped up from the platform's share only. With `tiers` the
    basis points depend on how much the payee's basis has come to before; `bps` is then unused.
    """

    payee: str
    bps: int = 0
    guarantee: int = 0
    tiers: tuple[Tier, ...] = ()

    @property
    def highest_bps(self) -> int:
        """The most that it can claim of the remainder."""
        return max((tier.bps for tier in self.tiers), default=self.bps)

    def claim(self, amount: int, prior: int) -> int:
        """What it claims of `amount`, in ten-thousandths of a minor unit, after a basis of `prior`."""
        if not self.tiers:
            return amount * self.bps
        claimed, start, end = 0, prior, prior + amount
        for tier in self.tiers:
            stop = end if tier.upto is None else min(end, tier.upto)
            if stop > start:
                claimed += (stop - start) * tier.bps
                start = stop
        return claimed


@dataclass(frozen=True, slots=True)
class FixedShare:
    """A fixed amount for a payee, in minor units."""

    payee: str
    amount: int


@dataclass(frozen=True, slots=True)
class OffTop:
    """Basis points of the whole basis, taken before all others."""

    payee: str
    bps: int


@dataclass(frozen=True, slots=True)
class ShareRow:
    """One row of an allocation, in minor units."""

    kind: ShareKind
    payee: str
    amount: int


@dataclass(frozen=True, slots=True)
class SplitRule:
    """How the basis of a line is divided. Without shares everything is the platform's.

    `fee_bps` and `fee_fixed` are a contractual fee taken off the basis. With `absorbs_discount` the basis
    is grossed up by the discount that the platform funds. Raises SplitRuleInvalid when the shares of the
    remainder, or those off the top, can exceed the whole.
    """

    shares: tuple[Share, ...] = ()
    fixed: tuple[FixedShare, ...] = ()
    off_top: tuple[OffTop, ...] = ()
    fee_bps: int = 0
    fee_fixed: int = 0
    absorbs_discount: bool = False

    def __post_init__(self) -> None:
        for name, bps in (
            ("shares", sum(share.highest_bps for share in self.shares)),
            ("off_top", sum(share.bps for share in self.off_top)),
            ("fee_bps", self.fee_bps),
        ):
            if not 0 <= bps <= _BPS_WHOLE:
                raise SplitRuleInvalid(f"{name} come to {bps} basis points, more than {_BPS_WHOLE}")

    @property
    def payees(self) -> tuple[str, ...]:
        """All payees, each once, in the order of their rows."""
        named = [share.payee for group in (self.off_top, self.fixed, self.shares) for share in group]
        return tuple(dict.fromkeys(named))

    @property
    def tiered_payees(self) -> tuple[str, ...]:
        """Payees whose share depends on their volume, in name order."""
        return tuple(sorted({share.payee for share in self.shares if share.tiers}))

    def referred_by(self, payee: str, bps: int) -> "SplitRule":
        """The same rule for a sale that an affiliate brought: basis points off the top go to them first."""
        return replace(self, off_top=(OffTop(payee, bps), *self.off_top))

    def absorbing_discount(self) -> "SplitRule":
        """The same rule for a line whose promotion the platform funds."""
        return replace(self, absorbs_discount=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; keys that say nothing are left out."""
        written: dict[str, Any] = {
            "shares": [_share_to_dict(share) for share in self.shares],
            "fixed": [{"payee": f.payee, "amount": f.amount} for f in self.fixed],
            "off_top": [{"payee": o.payee, "bps": o.bps} for o in self.off_top],
            "fee_bps": self.fee_bps,
            "fee_fixed": self.fee_fixed,
            "platform_discount": "absorbed" if self.absorbs_discount else None,
        }
        return {key: value for key, value in written.items() if value}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "SplitRule":
        """Read plain JSON; raises SplitRuleInvalid with the place that is wrong."""
        known_keys(given, "rule", {"shares", "fixed", "off_top", "fee_bps", "fee_fixed", "platform_discount"})
        discount = given.get("platform_discount")
        if discount not in (None, "absorbed"):
            raise SplitRuleInvalid("platform_discount is `absorbed` or absent")
        return cls(
            shares=tuple(_share_from_dict(share) for share in objects_of(given, "shares")),
            fixed=tuple(
                FixedShare(payee_of(f, PLATFORM), amount_of(f, "amount"))
                for f in objects_of(given, "fixed", {"payee", "amount"})
            ),
            off_top=tuple(
                OffTop(payee_of(o, PLATFORM), bps_of(o, "bps"))
                for o in objects_of(given, "off_top", {"payee", "bps"})
            ),
            fee_bps=bps_of(given, "fee_bps", default=0),
            fee_fixed=amount_of(given, "fee_fixed", default=0),
            absorbs_discount=discount is not None,
        )


def basis_of(net: int, rule: SplitRule, *, platform_discount: int = 0) -> int:
    """The basis of a line, in minor units: its net, grossed up where the platform bears the discount, less
    the contractual fee; never below zero."""
    gross_basis = net + (platform_discount if rule.absorbs_discount else 0)
    fee = half_up_div(gross_basis * rule.fee_bps, _BPS_WHOLE) + rule.fee_fixed
    return max(0, gross_basis - fee)


@dataclass(slots=True)
class _Allotment:
    """What has been handed out so far."""

    left: int
    rows: list[ShareRow] = field(default_factory=list)

    def take(self, kind: ShareKind, payee: str, amount: int) -> None:
        capped = min(amount, self.left)
        self.left -= capped
        self.rows.append(ShareRow(kind, payee, capped))


def allocate(basis: int, rule: SplitRule, *, prior: Mapping[str, int] | None = None) -> list[ShareRow]:
    """Divide `basis` minor units by `rule`; the rows sum to it, the platform's is the last.

    Order: affiliates off the top, fixed amounts, basis points of the remainder by largest remainder (ties
    to the lowest ordinal), guarantees out of the platform's share. `prior` is, per payee, the basis that
    tiers have counted before. Raises SplitRuleInvalid for a negative basis.
    """
    if basis < 0:
        raise SplitRuleInvalid(f"a basis is not negative: {basis}")
    allotment = _Allotment(basis)
    for top in rule.off_top:
        allotment.take(ShareKind.OFF_TOP, top.payee, half_up_div(basis * top.bps, _BPS_WHOLE))
    for fixed in rule.fixed:
        allotment.take(ShareKind.FIXED, fixed.payee, fixed.amount)
    amounts, platform = _shares_of(allotment.left, rule.shares, prior or {})
    rows = [
        ShareRow(ShareKind.SHARE, share.payee, amount)
        for share, amount in zip(rule.shares, amounts, strict=True)
    ]
    return [*allotment.rows, *rows, ShareRow(ShareKind.PLATFORM, PLATFORM, platform)]


def _shares_of(amount: int, shares: tuple[Share, ...], prior: Mapping[str, int]) -> tuple[list[int], int]:
    claims = [share.claim(amount, prior.get(share.payee, 0)) for share in shares]
    *parts, platform = largest_remainder(amount, [*claims, amount * _BPS_WHOLE - sum(claims)])
    for ordinal, share in enumerate(shares):
        top_up = min(max(0, share.guarantee - parts[ordinal]), platform)
        parts[ordinal] += top_up
        platform -= top_up
    return parts, platform


def _share_from_dict(given: Mapping[str, Any]) -> Share:
    known_keys(given, "share", {"payee", "bps", "min", "tiers"})
    if "tiers" in given and "bps" in given:
        raise SplitRuleInvalid("a share has bps or tiers, not both")
    tiers = tuple(
        Tier(None if tier.get("upto") is None else amount_of(tier, "upto"), bps_of(tier, "bps"))
        for tier in objects_of(given, "tiers", {"upto", "bps"})
    )
    bounds = [tier.upto for tier in tiers]
    finite = [bound for bound in bounds if bound is not None]
    if None in bounds[:-1] or finite != sorted(set(finite)):
        raise SplitRuleInvalid("the bounds of tiers rise, and only the last may be open")
    return Share(
        payee=payee_of(given, PLATFORM),
        bps=0 if tiers else bps_of(given, "bps"),
        guarantee=amount_of(given, "min", default=0),
        tiers=tiers,
    )


def _share_to_dict(share: Share) -> dict[str, Any]:
    written: dict[str, Any] = {"payee": share.payee}
    if share.tiers:
        written["tiers"] = [{"upto": tier.upto, "bps": tier.bps} for tier in share.tiers]
    else:
        written["bps"] = share.bps
    if share.guarantee:
        written["min"] = share.guarantee
    return written

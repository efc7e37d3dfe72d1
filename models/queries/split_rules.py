"""Split rules: versions by date, never edited; the most specific scope wins, then the priority."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.errors import Conflict
from domain.splits import SplitRule
from models.database import Session


@dataclass(frozen=True, slots=True)
class SplitRuleRow:
    """One version of a rule; `rule` is what `domain.splits.SplitRule` reads.

    `referral_bps` are for the affiliate who brought the sale. `hold_days` is None for the usual hold.
    """

    id: str
    order_line_id: str | None
    item_id: str | None
    channel: str | None
    payee: str | None
    currency: str | None
    priority: int
    valid_from: datetime
    valid_to: datetime | None
    rule: dict[str, Any]
    referral_bps: int
    hold_days: int | None
    release: str
    created_at: datetime

    def terms(self, *, affiliate: str | None, platform_discount: int) -> SplitRule:
        """The rule as a sale snapshots it: `affiliate` is the payee who brought it, if anybody did, and a
        discount that the platform funds does not lower what payees earn."""
        return terms_of(
            SplitRule.from_dict(self.rule),
            self.referral_bps,
            affiliate=affiliate,
            platform_discount=platform_discount,
        )


def terms_of(
    rule: SplitRule, referral_bps: int, *, affiliate: str | None, platform_discount: int
) -> SplitRule:
    """A rule for one sale: see `SplitRuleRow.terms`."""
    if affiliate is not None and referral_bps:
        rule = rule.referred_by(affiliate, referral_bps)
    return rule.absorbing_discount() if platform_discount else rule


def _rule(row: Row[Any]) -> SplitRuleRow:
    return SplitRuleRow(
        id=str(row.id),
        order_line_id=None if row.order_line_id is None else str(row.order_line_id),
        item_id=None if row.item_id is None else str(row.item_id),
        channel=row.channel,
        payee=row.payee,
        currency=row.currency,
        priority=row.priority,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        rule=row.rule,
        referral_bps=row.referral_bps,
        hold_days=row.hold_days,
        release=row.release,
        created_at=row.created_at,
    )


@dataclass(frozen=True, slots=True)
class Sale:
    """What decides about the rule of a sale. Without an item, rules of items and payees don't apply."""

    item_id: str | None = None
    channel: str | None = None
    currency: str | None = None


# Item and channel, item, instructor, platform; within each, a rule that says more about the sale first.
_SPECIFIC = (
    "(CASE WHEN r.item_id IS NOT NULL THEN 8 + 4 * (r.channel IS NOT NULL)::int "
    "+ 2 * (r.payee IS NOT NULL)::int ELSE 4 * (r.payee IS NOT NULL)::int "
    "+ 2 * (r.channel IS NOT NULL)::int END + (r.currency IS NOT NULL)::int)"
)


async def rule_for(session: Session, sale: Sale, at: datetime) -> SplitRuleRow | None:
    """The rule of a sale at a moment: the most specific scope wins, then the higher priority, then the
    instructor whom the item names first.

    A rule of a channel or currency holds for sales in it only; one of a line was taken over by the line.
    """
    row = (
        await session.execute(
            text(
                "SELECT r.* FROM split_rule r LEFT JOIN catalog_item i ON i.id = CAST(:item_id AS uuid) "
                "WHERE r.order_line_id IS NULL AND (r.item_id IS NULL OR r.item_id = i.id) "
                "AND (r.channel IS NULL OR r.channel = :channel) "
                "AND (r.payee IS NULL OR r.payee = ANY(i.payees)) "
                "AND (r.currency IS NULL OR r.currency = :currency) "
                "AND r.valid_from <= :at AND (r.valid_to IS NULL OR :at < r.valid_to) "
                f"ORDER BY {_SPECIFIC} DESC, r.priority DESC, array_position(i.payees, r.payee::text), "
                "r.id DESC LIMIT 1"
            ),
            {"item_id": sale.item_id, "channel": sale.channel, "currency": sale.currency, "at": at},
        )
    ).one_or_none()
    return None if row is None else _rule(row)


_SCOPE = (
    "order_line_id", "item_id", "channel", "payee", "currency", "priority", "valid_from", "valid_to",
    "referral_bps", "hold_days", "release",
)  # fmt: skip


async def insert(session: Session, rule_id: str, values: dict[str, Any]) -> None:
    """Add a version; the keys of `values` are the columns, `rule` as JSON text.

    Conflict when another version of the same scope and priority is valid in this time: the table's
    exclusion constraint says so, to two writers at once, too.
    """
    names = [name for name in _SCOPE if name in values]
    made = (
        await session.execute(
            text(
                f"INSERT INTO split_rule (id, rule, {', '.join(names)}) "
                f"VALUES (:id, CAST(:rule AS jsonb), {', '.join(':' + name for name in names)}) "
                "ON CONFLICT DO NOTHING RETURNING id"
            ),
            {"id": rule_id, "rule": values["rule"], **{name: values[name] for name in names}},
        )
    ).one_or_none()
    if made is None and await get(session, rule_id) is None:
        raise Conflict("another version is valid in this time", code="split_rule_overlap")


async def get(session: Session, rule_id: str) -> SplitRuleRow | None:
    """One version."""
    row = (
        await session.execute(text("SELECT * FROM split_rule WHERE id = :id"), {"id": rule_id})
    ).one_or_none()
    return None if row is None else _rule(row)


async def names(session: Session, payee: str) -> bool:
    """Whether a version that is valid now, or will be, pays shares to this payee."""
    found = await session.execute(
        text(
            "SELECT EXISTS (SELECT FROM split_rule WHERE (valid_to IS NULL OR valid_to > now()) "
            "AND jsonb_path_exists(rule, '$.** ? (@ == $payee)', jsonb_build_object('payee', "
            "CAST(:payee AS text))))"
        ),
        {"payee": payee},
    )
    return bool(found.scalar_one())


async def page(session: Session, *, before: str | None, limit: int) -> list[SplitRuleRow]:
    """Newest first, keyset."""
    rows = await session.execute(
        text(
            "SELECT * FROM split_rule WHERE CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid) "
            "ORDER BY id DESC LIMIT :limit"
        ),
        {"before": before, "limit": limit},
    )
    return [_rule(row) for row in rows]

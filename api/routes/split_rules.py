"""Split rules, for operators: versions by date, never edited."""

import json
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Body

from api.dependencies import NewObjectId, Operator, SessionDep
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.schemas.revenue import (
    RuleTerms,
    Scope,
    SplitRuleBody,
    SplitRuleList,
    SplitRuleView,
)
from domain.errors import Conflict, InvalidInput, NotFound
from domain.ledger import LineLedger
from domain.splits import SplitRule
from models.database import Session
from models.queries import catalog, order_lines, orders, split_rules
from models.queries.split_rules import SplitRuleRow

router = APIRouter(route_class=CommerceRoute, tags=["splits"])


def _view(row: SplitRuleRow) -> SplitRuleView:
    return SplitRuleView(
        id=row.id,
        scope=Scope(
            order_line_id=row.order_line_id,
            item_id=row.item_id,
            channel=row.channel,
            payee=row.payee,
            currency=row.currency,
        ),
        priority=row.priority,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        rule=row.rule,
        affiliate_bps=row.referral_bps,
        hold_days=row.hold_days,
        release="on_completion" if row.release == "on_completion" else "after_hold",
        created_at=row.created_at,
    )


def rule_of(body: RuleTerms) -> SplitRule:
    """The rule as `domain.splits` reads it; InvalidInput when it can exceed the whole."""
    shares: list[dict[str, Any]] = [share.model_dump() for share in body.shares]
    for extra, name, value in (
        (body.guarantee, "min", None if body.guarantee is None else body.guarantee.amount),
        (body.tiers, "tiers", None if body.tiers is None else [t.model_dump() for t in body.tiers.tiers]),
    ):
        if extra is None:
            continue
        share = next((share for share in shares if share["payee"] == extra.payee), None)
        if share is None:
            raise InvalidInput(f"{extra.payee} has no share", code="split_rule_invalid")
        share[name] = value
        if name == "tiers":
            del share["bps"]
    fee, off_top = body.contractual_fee, body.affiliate
    return SplitRule.from_dict(
        {
            "shares": shares,
            "fixed": [fixed.model_dump() for fixed in body.fixed],
            "off_top": [] if off_top is None or off_top.payee is None else [off_top.model_dump()],
            "fee_bps": 0 if fee is None else fee.bps,
            "fee_fixed": 0 if fee is None else fee.fixed,
        }
    )


def referral_bps(body: RuleTerms) -> int:
    """What goes to the affiliate who brings the sale; a rule that names one pays that one."""
    return 0 if body.affiliate is None or body.affiliate.payee is not None else body.affiliate.bps


async def require_sold_item(session: Session, item_id: str | None) -> None:
    """NotFound without such an item; InvalidInput for a bundle, which no line is sold as."""
    if item_id is None:
        return
    item = await catalog.find(session, item_id)
    if item is None:
        raise NotFound("no such item")
    if item.members:
        raise InvalidInput("a bundle is sold as its members: make rules for those", code="split_rule_invalid")


@router.post("/v1/split-rules", status_code=201, operation_id="create_split_rule")
async def create_split_rule(
    body: Annotated[SplitRuleBody, Body()], caller: Operator, session: SessionDep, rule_id: NewObjectId
) -> SplitRuleView:
    """Add a version; it may not overlap another of the same scope and priority.

    Sales keep the rule they were made under. A rule for one line is taken over by it at once, and refused
    when its earnings have accrued.
    """
    if body.valid_to is not None and body.valid_to <= body.valid_from:
        raise InvalidInput("valid_to is after valid_from", code="split_rule_invalid")
    item_id = None if body.scope.item_id is None else parse_id(body.scope.item_id, "item")
    await require_sold_item(session, item_id)
    line_id = None if body.scope.order_line_id is None else parse_id(body.scope.order_line_id, "order line")
    scope: dict[str, Any] = {
        "order_line_id": line_id,
        "item_id": item_id,
        "channel": body.scope.channel,
        "payee": body.scope.payee,
        "currency": body.scope.currency,
        "priority": body.priority,
        "valid_from": body.valid_from,
        "valid_to": body.valid_to,
        "referral_bps": referral_bps(body),
        "hold_days": body.hold_days,
        "release": body.release,
    }
    rule = rule_of(body)
    await split_rules.insert(session, rule_id, {**scope, "rule": json.dumps(rule.to_dict())})
    row = await split_rules.get(session, rule_id)
    if row is None:
        raise NotFound("no such rule")
    if line_id is not None:
        await _take_over(session, line_id, row)
    return _view(row)


async def _take_over(session: Session, line_id: str, rule: SplitRuleRow) -> None:
    """Have a line earn by a rule of its own. The order is locked before the line, as everybody does it."""
    found = await order_lines.get(session, line_id)
    order = None if found is None else await orders.get(session, found.order_id, lock=True)
    line = await order_lines.get(session, line_id, lock=True)
    if line is None or order is None:
        raise NotFound("no such order line")
    if line.accrued_at is not None:
        raise Conflict("the earnings of this line have accrued: reassign them", code="already_accrued")
    terms = rule.terms(affiliate=order.affiliate_payee, platform_discount=line.platform_discount)
    hold_seconds = line.hold_seconds if rule.hold_days is None else rule.hold_days * 86_400
    await order_lines.set_terms(
        session,
        line_id,
        rule_id=rule.id,
        terms=terms.to_dict(),
        hold_seconds=hold_seconds,
        release=rule.release,
    )
    if line.ledger is not None:
        books = LineLedger.from_dict(line.ledger)
        await order_lines.save_ledger(session, replace(books, split=terms))
    note = f"{line.title} earns by a rule of its own from now on."
    await orders.note(session, order.id, f"rule/{rule.id}", "split_agreed", note)


@router.get("/v1/split-rules", operation_id="list_split_rules")
async def list_split_rules(
    caller: Operator, session: SessionDep, cursor: Cursor, limit: Limit = 20
) -> SplitRuleList:
    """All versions, newest first."""
    rows = await split_rules.page(session, before=cursor, limit=limit + 1)
    return SplitRuleList(
        data=[_view(row) for row in rows[:limit]], next_cursor=next_cursor([row.id for row in rows], limit)
    )

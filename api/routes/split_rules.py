"""Split rules, for operators: versions by date, never edited."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body

from api.dependencies import NewObjectId, Operator, SessionDep
from api.idempotency import CommerceRoute, without_key
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.schemas.orders import money
from api.schemas.revenue import (
    RuleTerms,
    Scope,
    SimulatedShare,
    Simulation,
    SimulationBody,
    SplitRuleBody,
    SplitRuleList,
    SplitRuleView,
)
from domain.errors import InvalidInput, NotFound
from domain.splits import SplitRule, allocate, basis_of
from models.database import Session
from models.queries import catalog, split_rules
from models.queries.split_rules import SplitRuleRow

router = APIRouter(route_class=CommerceRoute, tags=["splits"])


def _view(row: SplitRuleRow) -> SplitRuleView:
    return SplitRuleView(
        id=row.id,
        scope=Scope(item_id=row.item_id, channel=row.channel, payee=row.payee),
        priority=row.priority,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        rule=row.rule,
        created_at=row.created_at,
    )


def _rule_of(body: RuleTerms) -> SplitRule:
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
    fee = body.contractual_fee
    return SplitRule.from_dict(
        {
            "shares": shares,
            "fixed": [fixed.model_dump() for fixed in body.fixed],
            "off_top": [] if body.affiliate is None else [body.affiliate.model_dump()],
            "fee_bps": 0 if fee is None else fee.bps,
            "fee_fixed": 0 if fee is None else fee.fixed,
        }
    )


async def _require_item(session: Session, item_id: str | None) -> None:
    if item_id is not None and await catalog.find(session, item_id) is None:
        raise NotFound("no such item")


@router.post("/v1/split-rules", status_code=201, operation_id="create_split_rule")
async def create_split_rule(
    body: Annotated[SplitRuleBody, Body()], caller: Operator, session: SessionDep, rule_id: NewObjectId
) -> SplitRuleView:
    """Add a version; it may not overlap another of the same scope and priority."""
    if body.valid_to is not None and body.valid_to <= body.valid_from:
        raise InvalidInput("valid_to is after valid_from", code="split_rule_invalid")
    item_id = None if body.scope.item_id is None else parse_id(body.scope.item_id)
    await _require_item(session, item_id)
    scope: dict[str, Any] = {
        "item_id": item_id,
        "channel": body.scope.channel,
        "payee": body.scope.payee,
        "priority": body.priority,
        "valid_from": body.valid_from,
        "valid_to": body.valid_to,
    }
    rule = _rule_of(body)
    await split_rules.insert(session, rule_id, {**scope, "rule": json.dumps(rule.to_dict())})
    row = await split_rules.get(session, rule_id)
    if row is None:
        raise NotFound("no such rule")
    return _view(row)


@router.get("/v1/split-rules", operation_id="list_split_rules")
async def list_split_rules(
    caller: Operator, session: SessionDep, cursor: Cursor, limit: Limit = 20
) -> SplitRuleList:
    """All versions, newest first."""
    rows = await split_rules.page(session, before=cursor, limit=limit + 1)
    return SplitRuleList(
        data=[_view(row) for row in rows[:limit]], next_cursor=next_cursor([row.id for row in rows], limit)
    )


@router.post("/v1/split-rules/simulate", operation_id="simulate_split")
@without_key
async def simulate_split(
    body: Annotated[SimulationBody, Body()], caller: Operator, session: SessionDep
) -> Simulation:
    """Divide an amount as a sale would be. A read, although it is a POST."""
    item_id = None if body.item_id is None else parse_id(body.item_id)
    await _require_item(session, item_id)
    row = None
    if body.rule is not None:
        rule = _rule_of(body.rule)
    else:
        row = await split_rules.rule_for(session, item_id, body.at or datetime.now(UTC), body.channel)
        rule = SplitRule() if row is None else SplitRule.from_dict(row.rule)
    basis, currency = basis_of(body.amount.amount, rule), body.amount.currency
    return Simulation(
        rule_id=None if row is None else row.id,
        basis=money(basis, currency),
        rows=[
            SimulatedShare(kind=share.kind.value, payee=share.payee, amount=money(share.amount, currency))
            for share in allocate(basis, rule)
        ],
    )

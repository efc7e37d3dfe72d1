"""Trying a split rule out, for operators: on an amount, or on past orders next to what was paid."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body

from api.dependencies import Operator, SessionDep
from api.idempotency import CommerceRoute, without_key
from api.paging import parse_id
from api.routes.split_rules import referral_bps, require_sold_item, rule_of
from api.schemas.orders import money
from api.schemas.simulation import (
    PastOrders,
    PayeeComparison,
    SimulatedLine,
    SimulatedShare,
    Simulation,
    SimulationBody,
)
from domain.errors import InvalidInput, NotFound
from domain.simulation import Resplit, resplit
from domain.splits import SplitRule, allocate, basis_of
from models.database import Session
from models.queries import past_splits, split_rules
from models.queries.past_splits import PastLine, Wanted
from models.queries.split_rules import Sale, terms_of

router = APIRouter(route_class=CommerceRoute, tags=["splits"])

_MOST_LINES = 5000
_SHOWN_LINES = 100


@router.post("/v1/split-rules/simulate", operation_id="simulate_split")
@without_key
async def simulate_split(
    body: Annotated[SimulationBody, Body()], caller: Operator, session: SessionDep
) -> Simulation:
    """Divide an amount as a sale would be, or past orders anew. A read, although it is a POST."""
    item_id = None if body.item_id is None else parse_id(body.item_id, "item")
    await require_sold_item(session, item_id)
    rules = _Rules(session, body)
    if body.amount is None:
        orders = await _past_orders(session, body, item_id, rules)
        return Simulation(rule_id=None, basis=None, rows=[], orders=orders)
    amount, currency = body.amount.amount, body.amount.currency
    found = await rules.of(Sale(item_id, body.channel, currency), affiliate=body.affiliate)
    basis = basis_of(amount, found.rule)
    return Simulation(
        rule_id=found.rule_id,
        basis=money(basis, currency),
        rows=[
            SimulatedShare(kind=share.kind.value, payee=share.payee, amount=money(share.amount, currency))
            for share in allocate(basis, found.rule)
        ],
        orders=None,
    )


@dataclass(frozen=True)
class _Found:
    rule_id: str | None
    rule: SplitRule


class _Rules:
    """The rule given, or the one in force for each sale."""

    def __init__(self, session: Session, body: SimulationBody) -> None:
        self._session = session
        self._at = body.at or datetime.now(UTC)
        self._given = None if body.rule is None else (rule_of(body.rule), referral_bps(body.rule))
        self._known: dict[Sale, split_rules.SplitRuleRow | None] = {}

    async def of(self, sale: Sale, *, affiliate: str | None, platform_discount: int = 0) -> _Found:
        """For one sale; without a rule everything is the platform's."""
        if self._given is not None:
            rule, bps = self._given
            terms = terms_of(rule, bps, affiliate=affiliate, platform_discount=platform_discount)
            return _Found(None, terms)
        if sale not in self._known:
            self._known[sale] = await split_rules.rule_for(self._session, sale, self._at)
        row = self._known[sale]
        if row is None:
            return _Found(None, SplitRule())
        return _Found(row.id, row.terms(affiliate=affiliate, platform_discount=platform_discount))


async def _past_orders(
    session: Session, body: SimulationBody, item_id: str | None, rules: _Rules
) -> PastOrders:
    order_ids = (
        None if body.order_ids is None else [parse_id(order_id, "order") for order_id in body.order_ids]
    )
    wanted = Wanted(order_ids, body.since, body.until, item_id, body.channel)
    if order_ids is not None and await past_splits.unknown(session, order_ids):
        raise NotFound("no such order among them")
    lines = await past_splits.accrued(session, wanted, _MOST_LINES + 1)
    if len(lines) > _MOST_LINES:
        raise InvalidInput(
            f"more than {_MOST_LINES} lines: narrow the period, or name an item or a channel",
            code="simulation_too_large",
        )
    pairs = []
    for line in lines:
        sale = Sale(line.item_id, line.channel, line.ledger.currency)
        found = await rules.of(sale, affiliate=line.affiliate, platform_discount=line.platform_discount)
        pairs.append((line.ledger, found.rule))
    tiered = sorted({payee for _, rule in pairs for payee in rule.tiered_payees})
    volumes = await past_splits.volumes_before(session, tiered, lines[0].accrued_at) if tiered else {}
    # Thousands of lines take a second: other requests go on meanwhile.
    compared = await asyncio.to_thread(resplit, pairs, volumes)
    return PastOrders(
        line_count=len(lines),
        not_accrued=await past_splits.count_open(session, wanted),
        totals=_totals(compared),
        lines=[_line(line, one) for line, one in zip(lines[:_SHOWN_LINES], compared, strict=False)],
    )


def _totals(compared: Iterable[Resplit]) -> list[PayeeComparison]:
    sums: dict[tuple[str, str], list[int]] = {}
    for one in compared:
        for column, amounts in enumerate((one.paid, one.would_pay)):
            for payee, amount in amounts.items():
                sums.setdefault((payee, one.line.currency), [0, 0])[column] += amount
    return [
        PayeeComparison(payee=payee, paid=money(paid, currency), would_pay=money(would, currency))
        for (payee, currency), (paid, would) in sorted(sums.items())
    ]


def _line(line: PastLine, one: Resplit) -> SimulatedLine:
    return SimulatedLine(
        order_id=line.order_id,
        order_number=line.order_number,
        order_line_id=line.ledger.line,
        course_id=line.course_id,
        basis=money(one.other.basis, line.ledger.currency),
        payees=_totals([one]),
    )

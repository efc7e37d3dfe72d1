"""A refund gives back the tax that was paid, whatever the rate is today."""

import asyncio
from dataclasses import replace

import pytest

from activities import refund_reservation
from activities.earnings import ledger_of
from domain import ids
from domain.ledger import LineLedger
from models.queries.order_lines import LineRow
from tests.planted.conftest import Owner
from tests.workflows.bench import Bench, Placed

COURSE = "python-101"
RAISED_PPM = 88_750


async def bought_before_the_rate_rose(bench: Bench, owner: Owner) -> Placed:
    order = await bench.bought(COURSE)
    owner.execute(f"UPDATE tax_rate SET ppm = {RAISED_PPM} WHERE jurisdiction = 'US-NY'")
    return order


async def refunded(bench: Bench, order: Placed, amount: int | None = None) -> None:
    refund_id = await bench.refund(order.id, order.buyer.user_id, amount)
    workflow = bench.workflow(ids.refund_workflow_id(refund_id))
    assert await asyncio.wait_for(workflow.result(), 60) == "succeeded"


async def tax_payable(bench: Bench, order: Placed) -> int:
    row = await bench.one(
        "SELECT coalesce(sum(p.amount), 0)::int AS left FROM posting p JOIN journal_entry e "
        "ON e.id = p.entry_id WHERE e.order_id = %s AND p.account = '2120'",
        order.id,
    )
    return int(row["left"])


async def test_refunds_end_with_no_tax_payable_after_the_rate_rose(
    own_bench: Bench, owner_of_own: Owner
) -> None:
    order = await bought_before_the_rate_rose(own_bench, owner_of_own)
    assert await tax_payable(own_bench, order) < 0
    await refunded(own_bench, order, 3000)
    await refunded(own_bench, order)
    assert await tax_payable(own_bench, order) == 0


async def test_planted_tax_recomputed_at_todays_rate_leaves_some_behind(
    own_bench: Bench, owner_of_own: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await bought_before_the_rate_rose(own_bench, owner_of_own)

    def at_todays_rate(line: LineRow, currency: str) -> LineLedger:
        state = ledger_of(line, currency)
        tax = state.net * RAISED_PPM // 1_000_000
        return replace(state, tax=tuple((name, tax) for name, _ in state.tax))

    monkeypatch.setattr(refund_reservation, "ledger_of", at_todays_rate)
    await refunded(own_bench, order, 3000)
    monkeypatch.undo()
    await refunded(own_bench, order)
    assert await tax_payable(own_bench, order) != 0

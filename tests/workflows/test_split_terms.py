"""The terms of a sale: chosen and kept at checkout, recognized by policy, tiers by volume, when released."""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.splits import SplitActivities
from domain import ids
from domain.messages import LineInput
from models.queries import affiliates, catalog, promotions, split_rules, volumes
from models.queries.catalog import Price
from tests.workflows.bench import Bench, Placed, until
from tests.workflows.test_earnings import complete, the_line

LIST = 10_000


async def course(bench: Bench, **columns: Any) -> str:
    """A course of its own at 100 dollars, taught as python-101 at the LMS; its slug."""
    slug = f"terms-{uuid.uuid4().hex[:12]}"
    common = {"type": "course", "title": slug, "description": "", "tax_code": "txcd_20060158"}
    async with bench.resources.database.transaction() as session:
        await catalog.insert(
            session,
            str(uuid.uuid4()),
            {**common, "slug": slug, "lms_course_id": "python-101", **columns},
            [Price("USD", LIST)],
            [],
        )
    return slug


async def add_rule(bench: Bench, slug: str, rule: dict[str, Any], **columns: Any) -> str:
    """A rule for the course, in force for long; its id."""
    rule_id = str(uuid.uuid4())
    async with bench.resources.database.transaction() as session:
        item = await catalog.find(session, slug)
        assert item is not None
        values = {"item_id": item.id, "valid_from": datetime(2020, 1, 1, tzinfo=UTC), **columns}
        await split_rules.insert(session, rule_id, {**values, "rule": json.dumps(rule)})
    return rule_id


def share(payee: str, bps: int) -> dict[str, Any]:
    return {"shares": [{"payee": payee, "bps": bps}]}


def somebody() -> str:
    return f"lms:{uuid.uuid4().hex[:12]}"


async def sold(bench: Bench, slug: str, **more: Any) -> Placed:
    """Placed, paid and granted."""
    order = await bench.place(slug, **more)
    await bench.pay(order)
    assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 20) == "fulfilled"
    return order


async def earned(bench: Bench, order: Placed) -> dict[str, int]:
    """What each payee accrued, once something has."""
    line = await until(
        lambda: the_line(bench, order), lambda row: row["accrued_at"] is not None, "the accrual"
    )
    return {payee["payee"]: payee["accrued"] for payee in line["ledger"]["payees"]}


async def test_a_sale_keeps_the_terms_under_which_it_was_made(bench: Bench) -> None:
    ann, ben, aff = somebody(), somebody(), somebody()
    slug = await course(bench, payees=[ann])
    await add_rule(bench, slug, share(ann, 6000))
    of_channel = await add_rule(bench, slug, share(ann, 5000), channel="app", referral_bps=1000)
    affiliate_id = str(uuid.uuid4())
    async with bench.resources.database.transaction() as session:
        await affiliates.insert(session, affiliate_id, code=f"a{uuid.uuid4().hex[:8]}", payee=aff)
    by_app = await sold(bench, slug, channel="app", affiliate_id=affiliate_id)
    by_web = await sold(bench, slug, channel="web", affiliate_id=affiliate_id)
    await add_rule(bench, slug, share(ben, 10_000), channel="app", priority=9)
    async with bench.resources.database.transaction() as session:
        await affiliates.set_active(session, affiliate_id, active=False)
    for order in (by_app, by_web):
        await complete(bench, order)
    assert await earned(bench, by_app) == {aff: 1000, ann: 4500}
    assert await earned(bench, by_web) == {ann: 6000}
    assert str((await the_line(bench, by_app))["split_rule_id"]) == of_channel
    accrued = await bench.one(
        "SELECT data FROM outbound_event WHERE type = 'earning.accrued' AND data->>'payee_ref' = %s", aff
    )
    assert accrued["data"]["share"] == {"kind": "off_top", "bps": 1000, "amount": 1000}
    assert accrued["data"]["rule_version"] == of_channel
    assert set(accrued["data"]) == {
        "earning_id", "payee_ref", "order_id", "order_line_id", "course_id", "currency", "amount",
        "basis_amount", "share", "rule_version", "reason", "hold_until", "journal_entry_id",
    }  # fmt: skip


async def test_a_discount_that_the_platform_funds_is_not_the_payees(bench: Bench) -> None:
    ann = somebody()
    slug = await course(bench)
    await add_rule(bench, slug, share(ann, 6000))
    code = f"PLATFORM-{uuid.uuid4().hex[:8].upper()}"
    async with bench.resources.database.transaction() as session:
        await promotions.insert(
            session,
            str(uuid.uuid4()),
            {"code": code, "kind": "percent", "percent_bp": 2000, "item_ids": [], "funding": "platform"},
        )
    order = await sold(bench, slug, promo=code)
    await complete(bench, order)
    assert await earned(bench, order) == {ann: 6000}


@pytest.mark.parametrize("policy", ["on_payment", "on_grant"])
async def test_revenue_is_recognized_without_completion_where_the_item_says_so(
    bench: Bench, policy: str
) -> None:
    ann = somebody()
    slug = await course(bench, recognition=policy)
    await add_rule(bench, slug, share(ann, 6000))
    order = await bench.place(slug)
    if policy == "on_grant":
        await bench.lms.fault("grant", "server_error", count=2)
    await bench.pay(order)
    await bench.wait_for_status(order.id, "fulfilled")
    assert await earned(bench, order) == {ann: 6000}
    entries = await bench.query(
        "SELECT kind, recorded_at FROM journal_entry WHERE order_id = %s AND kind <> 'processor_fee' "
        "ORDER BY id",
        order.id,
    )
    assert [entry["kind"] for entry in entries] == [
        "payment_captured", "revenue_recognized", "split_accrued",
    ]  # fmt: skip
    at_once = entries[0]["recorded_at"] == entries[1]["recorded_at"]
    assert at_once is (policy == "on_payment")


async def test_completion_ends_the_hold_where_the_rule_says_so(bench: Bench) -> None:
    slug = await course(bench, recognition="on_payment")
    await add_rule(bench, slug, share(somebody(), 6000), hold_days=7, release="on_completion")
    early, late = await sold(bench, slug), await sold(bench, slug)
    await complete(bench, early)
    for order, passed in ((early, timedelta()), (late, timedelta(days=7, minutes=1))):
        split = bench.workflow(ids.split_workflow_id(str((await the_line(bench, order))["id"])))
        if passed:
            await bench.skipper.fast_forward(split, timedelta(days=6, hours=23))
            assert (await the_line(bench, order))["released_at"] is None
            await bench.skipper.fast_forward(split, timedelta(hours=2))
        assert await asyncio.wait_for(split.result(), 20) == "released"


# --- tiers -----------------------------------------------------------------------------------------------


def tiers(payee: str) -> dict[str, Any]:
    """50 % up to 150 dollars of volume, 70 % beyond."""
    return {
        "shares": [{"payee": payee, "tiers": [{"upto": 15_000, "bps": 5000}, {"upto": None, "bps": 7000}]}]
    }


async def test_tiers_go_on_from_the_payees_volume_less_what_was_refunded(bench: Bench) -> None:
    ann = somebody()
    slug = await course(bench)
    await add_rule(bench, slug, tiers(ann))
    first, second = await sold(bench, slug), await sold(bench, slug)
    await complete(bench, first)
    assert await earned(bench, first) == {ann: 5000}
    await complete(bench, second)
    assert await earned(bench, second) == {ann: 2500 + 3500}
    assert (await the_line(bench, second))["ledger"]["volumes"] == [[ann, 10_000]]

    refund_id = await bench.refund(first.id, first.buyer.user_id)
    await asyncio.wait_for(bench.workflow(ids.refund_workflow_id(refund_id)).result(), 20)
    third = await sold(bench, slug)
    await complete(bench, third)
    assert await earned(bench, third) == {ann: 6000}, "the refunded sale counts no longer"


async def race(bench: Bench, payee: str, count: int) -> int:
    """As many lines of one payee with tiers recognized at once; what the payee earned in all."""
    slug = await course(bench)
    await add_rule(bench, slug, tiers(payee))
    orders = [await bench.place(slug) for _ in range(count)]
    for order in orders:
        await bench.pay(order)
        await bench.wait_for_status(order.id, "fulfilled")
    lines = [str((await the_line(bench, order))["id"]) for order in orders]
    splits = SplitActivities(bench.resources.transactions)
    await asyncio.gather(*(splits.recognize_line(LineInput(line)) for line in lines))
    return sum([sum((await earned(bench, order)).values()) for order in orders])


async def test_of_sales_that_accrue_at_once_each_counts_for_the_next(bench: Bench) -> None:
    assert await race(bench, somebody(), 4) == 7500 + 25_000 * 7 // 10


async def test_planted_without_the_payees_lock_every_sale_is_the_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_lock(*_: Any) -> None:
        await asyncio.sleep(0.2)

    monkeypatch.setattr(volumes.payees, "lock", no_lock)
    assert await race(bench, somebody(), 4) < 7500 + 25_000 * 7 // 10

"""Disputes: before, during and after a refund; won, lost, an inquiry; events in any order."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest

from activities.inbox import InboxActivities
from domain import ids
from models.queries import disputes, inbox
from models.queries.disputes import WISH_ACCEPT, WISH_SUBMIT, WISH_SUBMIT_IN_TIME, DisputeRow
from tests.e2e.processor import intent_paid_for
from tests.workflows.bench import Bench, Placed, until
from tests.workflows.test_earnings import complete

COURSE = "python-101"


async def disputed(bench: Bench, order: Placed, amount: int | None = None, **more: Any) -> dict[str, Any]:
    """The cardholder disputes the payment, and the events arrive."""
    assert order.intent_id is not None
    made = await bench.stripe.dispute(order.intent_id, amount, **more)
    await bench.take_events_in()
    return made


async def read(bench: Bench, provider_id: str) -> DisputeRow | None:
    async with bench.resources.database.transaction() as session:
        return await disputes.by_provider(session, provider_id)


async def in_state(bench: Bench, provider_id: str, state: str) -> DisputeRow:
    row = await until(
        lambda: read(bench, provider_id),
        lambda row: row is not None and row.state == state,
        f"a dispute that is {state}",
    )
    assert row is not None
    return row


async def decided(bench: Bench, provider_id: str) -> str:
    await bench.take_events_in()
    handle = bench.workflow(ids.dispute_workflow_id(provider_id))
    return str(await asyncio.wait_for(handle.result(), 60))


async def wish(bench: Bench, row: DisputeRow, what: str) -> None:
    async with bench.resources.database.transaction() as session:
        await disputes.wish(session, row.id, what)
    await bench.resources.dispatcher.wake_dispute(row.provider_id)


async def balances(bench: Bench, order: Placed) -> dict[str, int]:
    rows = await bench.query(
        "SELECT p.account, sum(p.amount)::int AS amount FROM posting p JOIN journal_entry e "
        "ON e.id = p.entry_id WHERE e.order_id = %s GROUP BY 1 HAVING sum(p.amount) <> 0",
        order.id,
    )
    return {row["account"]: row["amount"] for row in rows}


async def access_is(bench: Bench, order: Placed, status: str) -> None:
    await until(
        lambda: bench.access(order.buyer, COURSE), lambda row: row.status == status, f"access {status}"
    )


async def told(bench: Bench, order: Placed) -> list[str]:
    rows = await bench.query(
        "SELECT type FROM outbound_event WHERE data->>'order_id' = %s AND (type LIKE 'dispute.%%' "
        "OR type LIKE 'earning.%%') ORDER BY id",
        order.id,
    )
    return [row["type"] for row in rows]


async def clean(bench: Bench) -> None:
    await bench.take_events_in()
    found = await bench.findings()
    for name in ("disputes.axis", "disputes.receivable", "ledger.sums_to_zero"):
        assert found[name].violations == [], name


async def test_a_dispute_suspends_and_a_win_restores(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    made = await disputed(bench, order)
    row = await in_state(bench, made["id"], "open")
    assert row.withdrawn == made["amount"]
    assert str((await bench.order(order.id)).status) == "disputed"
    assert (await balances(bench, order))["1210"] == made["amount"]
    await access_is(bench, order, "revoked")
    await clean(bench)

    await bench.stripe.win_dispute(made["id"])
    assert await decided(bench, made["id"]) == "won"
    assert "1210" not in await balances(bench, order)
    await access_is(bench, order, "granted")
    assert str((await bench.order(order.id)).status) == "fulfilled"
    assert await told(bench, order) == ["dispute.opened", "dispute.won"]
    rows = await bench.query(
        "SELECT kind FROM order_event WHERE order_id = %s AND kind LIKE 'entitlement%%' ORDER BY id", order.id
    )
    kinds = [row["kind"] for row in rows]
    assert kinds == ["entitlement_granted", "entitlement_revoked", "entitlement_granted"]
    await clean(bench)


async def test_a_lost_dispute_takes_the_money_and_the_access(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    made = await disputed(bench, order)
    await in_state(bench, made["id"], "open")
    await bench.stripe.lose_dispute(made["id"])
    assert await decided(bench, made["id"]) == "lost"
    assert not {"1210", "2110", "2120", "2210"} & (await balances(bench, order)).keys()
    await access_is(bench, order, "revoked")
    assert (await told(bench, order))[-1] == "dispute.lost"
    await clean(bench)


async def test_a_refund_is_refused_while_a_dispute_is_open(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    made = await disputed(bench, order)
    await in_state(bench, made["id"], "open")
    with pytest.raises(Exception, match="update failed"):
        await bench.refund(order.id, order.buyer.user_id)
    assert await bench.query("SELECT id FROM refund WHERE order_id = %s", order.id) == []
    await bench.stripe.win_dispute(made["id"])
    assert await decided(bench, made["id"]) == "won"
    refund_id = await bench.refund(order.id, order.buyer.user_id)
    result = await asyncio.wait_for(bench.workflow(ids.refund_workflow_id(refund_id)).result(), 60)
    assert result == "succeeded"


async def test_a_dispute_after_a_refund_that_is_larger_than_what_remains(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    paid = (await bench.order(order.id)).amount_paid
    refund_id = await bench.refund(order.id, order.buyer.user_id, 3000)
    await asyncio.wait_for(bench.workflow(ids.refund_workflow_id(refund_id)).result(), 60)
    made = await disputed(bench, order, paid)
    await in_state(bench, made["id"], "open")
    await bench.stripe.lose_dispute(made["id"])
    assert await decided(bench, made["id"]) == "lost"
    left = await balances(bench, order)
    assert left["5035"] == 3000, "what goes beyond what was left is the platform's loss"
    assert not {"1210", "2110", "2120", "2210"} & left.keys()
    await clean(bench)


async def test_an_inquiry_moves_no_money_and_may_become_a_dispute(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    made = await disputed(bench, order, inquiry=True)
    await in_state(bench, made["id"], "inquiry")
    assert "1210" not in await balances(bench, order)
    assert str((await bench.order(order.id)).status) == "fulfilled"
    assert (await bench.access(order.buyer, COURSE)).status == "granted"
    await bench.stripe.escalate_inquiry(made["id"])
    await bench.take_events_in()
    await in_state(bench, made["id"], "open")
    await bench.stripe.win_dispute(made["id"])
    assert await decided(bench, made["id"]) == "won"
    await clean(bench)


async def test_an_inquiry_that_is_closed_leaves_nothing(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    made = await disputed(bench, order, inquiry=True)
    await in_state(bench, made["id"], "inquiry")
    await bench.stripe.lose_dispute(made["id"])
    assert await decided(bench, made["id"]) == "closed"
    assert str((await bench.order(order.id)).status) == "fulfilled"
    assert await told(bench, order) == []


async def test_an_operator_accepts_the_loss(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    made = await disputed(bench, order)
    await wish(bench, await in_state(bench, made["id"], "open"), WISH_ACCEPT)
    await in_state(bench, made["id"], "lost")
    assert await decided(bench, made["id"]) == "lost"
    assert (await bench.stripe.find("disputes", made["id"]))["status"] == "lost"


async def test_evidence_is_assembled_and_sent_when_an_operator_allows_it(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    made = await disputed(bench, order)
    await in_state(bench, made["id"], "open")
    row = await until(
        lambda: read(bench, made["id"]),
        lambda row: row is not None and row.evidence is not None,
        "the evidence",
    )
    assert row is not None
    assert row.evidence is not None
    assert COURSE in row.evidence["product_description"]
    assert "access to" in row.evidence["access_activity_log"]
    assert (await bench.stripe.find("disputes", made["id"]))["evidence_details"]["submission_count"] == 0
    for _ in range(2):
        await wish(bench, row, WISH_SUBMIT)
        await until(
            lambda: read(bench, made["id"]),
            lambda row: row is not None and row.evidence_submitted_at is not None and row.wish is None,
            "the submission",
        )
    seen = await bench.stripe.find("disputes", made["id"])
    assert (seen["status"], seen["evidence_details"]["submission_count"]) == ("under_review", 1)
    assert seen["evidence"]["customer_name"] == "Ann Learner"
    await bench.stripe.win_dispute(made["id"])
    assert await decided(bench, made["id"]) == "won"


async def deadline_notes(bench: Bench, order: Placed) -> list[str]:
    rows = await bench.query(
        "SELECT kind FROM order_event WHERE order_id = %s AND kind LIKE 'dispute_deadline%%' ORDER BY id",
        order.id,
    )
    return [row["kind"] for row in rows]


async def test_operators_are_reminded_two_days_before_the_deadline_and_told_when_it_passed(
    bench: Bench,
) -> None:
    order = await bench.bought(COURSE)
    made = await disputed(bench, order, evidence_days=2.6)
    await in_state(bench, made["id"], "open")
    handle = bench.workflow(ids.dispute_workflow_id(made["id"]))
    await bench.skipper.fast_forward(handle, timedelta(hours=13))
    assert await deadline_notes(bench, order) == []
    await bench.skipper.fast_forward(handle, timedelta(hours=2))
    near = ["dispute_deadline_near"]
    await until(lambda: deadline_notes(bench, order), lambda kinds: kinds == near, "the reminder")
    await bench.skipper.fast_forward(handle, timedelta(hours=46))
    assert await deadline_notes(bench, order) == near
    await bench.skipper.fast_forward(handle, timedelta(hours=9))
    both = [*near, "dispute_deadline_missed"]
    await until(lambda: deadline_notes(bench, order), lambda kinds: kinds == both, "the missed deadline")
    await bench.stripe.win_dispute(made["id"])
    assert await decided(bench, made["id"]) == "won"


async def test_evidence_that_may_go_out_by_itself_does_so_a_day_before_the_deadline(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    made = await disputed(bench, order, evidence_days=1.6)
    row = await in_state(bench, made["id"], "open")
    await wish(bench, row, WISH_SUBMIT_IN_TIME)
    handle = bench.workflow(ids.dispute_workflow_id(made["id"]))
    await bench.skipper.fast_forward(handle, timedelta(hours=13))

    async def submissions() -> int:
        seen = await bench.stripe.find("disputes", made["id"])
        return int(seen["evidence_details"]["submission_count"])

    assert await submissions() == 0
    await bench.skipper.fast_forward(handle, timedelta(hours=2))
    await until(submissions, lambda count: count == 1, "the submission")
    sent = await until(
        lambda: read(bench, made["id"]), lambda row: row is not None and row.wish is None, "the wish's end"
    )
    assert sent is not None
    assert sent.evidence_submitted_at is not None
    assert sent.evidence is not None
    receipt = await bench.one("SELECT number, sha256 FROM document WHERE order_id = %s", order.id)
    assert receipt["number"] in sent.evidence["uncategorized_text"]
    assert receipt["sha256"] in sent.evidence["uncategorized_text"]
    await bench.stripe.win_dispute(made["id"])
    assert await decided(bench, made["id"]) == "won"
    assert await deadline_notes(bench, order) == []


@pytest.mark.parametrize(("returned", "state"), [(True, "won"), (False, "lost")])
async def test_a_prevented_dispute_counts_by_what_came_back(bench: Bench, returned: bool, state: str) -> None:
    order = await bench.bought(COURSE)
    made = await disputed(bench, order)
    await in_state(bench, made["id"], "open")
    await bench.stripe.prevent_dispute(made["id"], returned=returned)
    assert await decided(bench, made["id"]) == state
    await clean(bench)


async def test_a_dispute_of_a_payment_that_pays_for_nothing_is_kept_and_posts_nothing(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    total = (await bench.order(order.id)).total
    second = await intent_paid_for(bench.settings.stripe_api_base, order.id, total)
    await bench.take_events_in()
    late = bench.workflow(ids.late_payment_workflow_id(second))
    assert str(await asyncio.wait_for(late.result(), 60)).startswith("refunded")
    await bench.take_events_in()
    made = await bench.stripe.dispute(second)
    await bench.take_events_in()
    await in_state(bench, made["id"], "inquiry")
    kinds = {event["kind"] for event in await bench.query("SELECT kind FROM order_event")}
    assert "dispute_unapplied" in kinds
    assert "1210" not in await balances(bench, order)
    assert str((await bench.order(order.id)).status) == "fulfilled"
    await bench.stripe.lose_dispute(made["id"])
    assert await decided(bench, made["id"]) == "closed"
    assert await told(bench, order) == []


async def test_a_dispute_whose_workflow_was_lost_at_once_is_taken_up(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    assert order.intent_id is not None
    made = await bench.stripe.dispute(order.intent_id)
    events = [e for e in await bench.stripe.listing("events") if e["data"]["object"]["id"] == made["id"]]
    async with bench.resources.database.transaction() as session:
        stored = await inbox.store(session, inbox.STRIPE, events[-1], order.id)
        await inbox.mark_dispatched(session, stored.inbox_id, "dispute taken in")
    old = "UPDATE inbound_event SET received_at = now() - interval '1 hour' WHERE id = %s"
    await bench.query(old, stored.inbox_id)
    resources = bench.resources
    recovery = InboxActivities(resources.transactions, resources.dispatcher, resources.payments)
    assert await recovery.resume_lost(None) >= 1
    await in_state(bench, made["id"], "open")
    await bench.stripe.win_dispute(made["id"])
    assert await decided(bench, made["id"]) == "won"


async def test_the_oracle_compares_with_the_disputes_at_the_processor(bench: Bench) -> None:
    async def found() -> list[str]:
        return (await bench.findings())["processor.disputes_agree"].violations

    order = await bench.bought(COURSE)
    assert order.intent_id is not None
    made = await bench.stripe.dispute(order.intent_id)
    assert any(made["id"] in one and "not known here" in one for one in await found())
    await bench.take_events_in()
    await in_state(bench, made["id"], "open")
    assert not any(made["id"] in one for one in await found())
    await bench.stripe.lose_dispute(made["id"])
    assert await decided(bench, made["id"]) == "lost"
    assert not any(made["id"] in one for one in await found())
    await bench.query("UPDATE dispute SET state = 'open' WHERE provider_id = %s", made["id"])
    assert any(made["id"] in one and "lost" in one for one in await found())
    await bench.query("UPDATE dispute SET state = 'lost' WHERE provider_id = %s", made["id"])


async def test_a_partial_dispute_suspends_all_and_a_loss_takes_only_what_it_took(bench: Bench) -> None:
    """Nobody can say which line a bank means, so all wait; what is still paid for comes back."""
    order = await bench.bought(COURSE, "web-design")
    lines = await bench.query("SELECT lms_course_id, gross FROM order_line WHERE order_id = %s", order.id)
    made = await disputed(bench, order, min(line["gross"] for line in lines))
    await in_state(bench, made["id"], "open")
    for line in lines:
        await until(
            lambda course=line["lms_course_id"]: bench.access(order.buyer, course),  # type: ignore[misc]
            lambda row: row.status == "revoked",
            "suspension",
        )
    await bench.stripe.lose_dispute(made["id"])
    assert await decided(bench, made["id"]) == "lost"
    for line in lines:
        await until(
            lambda course=line["lms_course_id"]: bench.access(order.buyer, course),  # type: ignore[misc]
            lambda row: row.status == "granted",
            "access again",
        )
    assert str((await bench.order(order.id)).status) == "fulfilled"
    await clean(bench)


@pytest.mark.parametrize("turn", range(3))
async def test_events_in_any_order_and_twice_end_the_same(bench: Bench, turn: int) -> None:
    order = await bench.bought(COURSE)
    assert order.intent_id is not None
    made = await bench.stripe.dispute(order.intent_id)
    await bench.stripe.win_dispute(made["id"])
    events = [e for e in await bench.stripe.listing("events") if e["data"]["object"]["id"] == made["id"]]
    ways = list(itertools.permutations(events))
    shuffled = ways[turn * (len(ways) - 1) // 2]
    await bench.take_these_in([*shuffled, *reversed(shuffled)])
    assert await decided(bench, made["id"]) == "won"
    rows = await bench.query(
        "SELECT kind FROM journal_entry WHERE order_id = %s AND kind LIKE 'dispute%%' ORDER BY kind", order.id
    )
    assert [row["kind"] for row in rows] == ["dispute_fee", "dispute_opened", "dispute_won"]
    await clean(bench)


async def test_held_earnings_freeze_and_are_free_again(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    await complete(bench, order)
    await until(lambda: told(bench, order), lambda kinds: "earning.accrued" in kinds, "the accrual")
    made = await disputed(bench, order)
    await in_state(bench, made["id"], "open")
    line = await bench.one("SELECT id FROM order_line WHERE order_id = %s", order.id)
    split = bench.workflow(ids.split_workflow_id(str(line["id"])))
    await bench.skipper.fast_forward(split, timedelta(days=40))
    assert "earning.released" not in await told(bench, order)
    await bench.stripe.win_dispute(made["id"])
    assert await decided(bench, made["id"]) == "won"
    seen = await until(lambda: told(bench, order), lambda kinds: "earning.released" in kinds, "the release")
    assert seen.index("earning.frozen") < seen.index("earning.unfrozen") < seen.index("earning.released")


async def test_a_dispute_while_a_refund_is_pending_is_all_loss(bench: Bench) -> None:
    order = await bench.place(COURSE)
    await bench.pay(order, "pm_card_pendingRefund")
    await bench.wait_for_status(order.id, "fulfilled")
    paid = (await bench.order(order.id)).amount_paid
    refund_id = await bench.refund(order.id, order.buyer.user_id)
    refund = await until(
        lambda: bench.one("SELECT provider_refund_id FROM refund WHERE id = %s", refund_id),
        lambda row: row["provider_refund_id"] is not None,
        "the refund's issue",
    )
    made = await disputed(bench, order, paid)
    await in_state(bench, made["id"], "open")
    await bench.stripe.settle_refund(refund["provider_refund_id"])
    await bench.take_events_in()
    assert await bench.workflow(ids.refund_workflow_id(refund_id)).result() == "succeeded"
    await bench.stripe.lose_dispute(made["id"])
    assert await decided(bench, made["id"]) == "lost"
    left = await balances(bench, order)
    assert left["5035"] == paid
    assert not {"1210", "2310", "4035"} & left.keys()
    await clean(bench)


async def test_the_progress_is_read_before_access_is_taken(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    made = await disputed(bench, order)
    await access_is(bench, order, "revoked")
    row = await read(bench, made["id"])
    assert row is not None
    assert row.evidence is not None
    assert f"progress in {COURSE}: 0%" in row.evidence["access_activity_log"]


async def test_the_answer_to_the_submission_is_lost(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    made = await disputed(bench, order)
    row = await in_state(bench, made["id"], "open")
    await bench.stripe.fault("POST", f"/v1/disputes/{made['id']}", "cut_after", count=1)
    await wish(bench, row, WISH_SUBMIT)
    await until(
        lambda: read(bench, made["id"]),
        lambda row: row is not None and row.evidence_submitted_at is not None,
        "the submission",
    )
    seen = await bench.stripe.find("disputes", made["id"])
    assert seen["evidence_details"]["submission_count"] == 1


async def test_a_won_dispute_beside_an_open_one_gives_no_access(bench: Bench) -> None:
    order = await bench.bought(COURSE)
    first = await disputed(bench, order, 1000)
    await in_state(bench, first["id"], "open")
    second = await disputed(bench, order, 1000)
    await in_state(bench, second["id"], "open")
    await bench.stripe.win_dispute(first["id"])
    assert await decided(bench, first["id"]) == "won"
    assert str((await bench.order(order.id)).status) == "disputed"
    assert not (await bench.access(order.buyer, COURSE)).justified
    await bench.stripe.win_dispute(second["id"])
    assert await decided(bench, second["id"]) == "won"
    await access_is(bench, order, "granted")
    await clean(bench)

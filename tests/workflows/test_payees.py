"""Payouts that were settled, debts written off, earnings of the wrong payee."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.inbox import InboxActivities
from activities.payees import PayeeActivities
from domain import ids
from domain.errors import InvalidInput
from domain.messages import CorrectionInput
from models.queries import inbox, orders, payees, recorded_commands
from tests.workflows.bench import Bench, Placed, refusal_code, until
from tests.workflows.test_earnings import COURSE, complete, earning_events, the_line
from workflows.payees import CorrectionWorkflow

PAYEE = "lms:102"


async def released(bench: Bench) -> tuple[Placed, int]:
    """An order whose earnings were released, and how much went to the one payee."""
    order = await bench.bought(COURSE)
    line = await the_line(bench, order)
    split = bench.workflow(ids.split_workflow_id(str(line["id"])))
    await complete(bench, order)
    await until(lambda: the_line(bench, order), lambda row: row["accrued_at"] is not None, "the accrual")
    await bench.skipper.fast_forward(split, timedelta(days=31))
    assert await asyncio.wait_for(split.result(), 20) == "released"
    (payee,) = (await the_line(bench, order))["ledger"]["payees"]
    assert payee["payee"] == PAYEE
    return order, payee["released"]


async def told(bench: Bench, amount: Any, *, payout_id: str | None = None, payee: str = PAYEE) -> str:
    """Store `payout.settled` as its webhook does, and dispatch it; returns the id of its workflow."""
    event = {
        "id": f"evt_{uuid.uuid4().hex}",
        "type": "payout.settled",
        "data": {
            "payout_id": payout_id or f"po_{uuid.uuid4().hex}",
            "payee_ref": payee,
            "currency": "USD",
            "amount": amount,
        },
    }
    async with bench.resources.database.transaction() as session:
        stored = await inbox.store(session, inbox.PAYOUT, event, None)
    outcome = await bench.resources.dispatcher.payout_event(stored)
    async with bench.resources.database.transaction() as session:
        await inbox.mark_dispatched(session, stored.inbox_id, outcome)
    return ids.payout_workflow_id(stored.inbox_id)


async def settle(bench: Bench, amount: int, **more: Any) -> str:
    """A payout, posted; what its workflow says."""
    workflow_id = await told(bench, amount, **more)
    return str(await asyncio.wait_for(bench.workflow(workflow_id).result(), 20))


async def balance(bench: Bench, payee: str = PAYEE) -> payees.PayeeBalance:
    async with bench.resources.database.transaction() as session:
        return await payees.balance_in(session, payee, "USD")


async def correct(bench: Bench, kind: str, **body: Any) -> str:
    """What an operator's request does; returns the correction's id."""
    operator = await bench.buyer()
    async with bench.resources.database.transaction() as session:
        correction_id = await orders.new_id(session)
        await recorded_commands.record(
            session, correction_id, kind, operator.user_id, {"reason": "by a test", "currency": "USD"} | body
        )
    start: WithStartWorkflowOperation[CorrectionWorkflow, str] = WithStartWorkflowOperation(
        CorrectionWorkflow.run,
        CorrectionInput(correction_id),
        id=ids.correction_workflow_id(correction_id),
        task_queue=bench.settings.temporal_task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )
    return await bench.skipper.client.execute_update_with_start_workflow(
        CorrectionWorkflow.request, start_workflow_operation=start, id=ids.CORRECTION_UPDATE_ID
    )


async def broken(bench: Bench, *names: str) -> list[str]:
    findings = await bench.findings()
    return [violation for name in names for violation in findings[name].violations]


async def test_a_payout_told_twice_is_posted_once_and_a_clawback_becomes_a_receivable(bench: Bench) -> None:
    before = await balance(bench)
    order, earned = await released(bench)
    payout_id = f"po_{uuid.uuid4().hex}"
    assert "MORE THAN" not in await settle(bench, earned, payout_id=payout_id)
    await settle(bench, earned, payout_id=payout_id)
    paid = await balance(bench)
    assert (paid.payable, paid.settled) == (before.payable, before.settled + earned)

    refund_id = await bench.refund(order.id, order.buyer.user_id)
    await asyncio.wait_for(bench.workflow(ids.refund_workflow_id(refund_id)).result(), 20)
    owing = await balance(bench)
    assert (owing.payable, owing.receivable) == (0, earned - before.payable)
    assert await earning_events(bench, order) == ["earning.accrued", "earning.released", "earning.reversed"]

    _, again = await released(bench)  # a later sale is netted
    assert again == earned
    assert (await balance(bench)).receivable == 0
    assert await broken(bench, "earnings.events_equal_ledger", "payouts.settled_once") == []


async def test_a_payout_of_more_than_was_released_is_posted_and_named_until_it_is_covered(
    bench: Bench,
) -> None:
    stranger = f"lms:{uuid.uuid4().hex}"
    assert "5.00 USD MORE THAN WAS RELEASED" in await settle(bench, 500, payee=stranger)
    assert (await balance(bench, stranger)).receivable == 500
    (violation,) = await broken(bench, "payouts.within_released")
    assert stranger in violation
    with pytest.raises(WorkflowUpdateFailedError) as refusal:
        await correct(bench, "write_off", payee=stranger, amount=501)
    assert refusal_code(refusal.value) == "write_off_exceeds_debt"
    await correct(bench, "write_off", payee=stranger, amount=500)
    assert (await balance(bench, stranger)).receivable == 0
    assert await broken(bench, "payouts.within_released", "earnings.events_equal_ledger") == []
    entry = await bench.one(
        "SELECT e.kind FROM journal_entry e JOIN posting p ON p.entry_id = e.id WHERE p.account = '5040'"
    )
    assert entry["kind"] == "payee_written_off"


async def write_offs_at_once(bench: Bench, payee: str) -> int:
    """Eight operators write 300 of a debt of 500 off at the same time; how many were let through."""
    operator = await bench.buyer()
    await settle(bench, 500, payee=payee)
    asked = []
    async with bench.resources.database.transaction() as session:
        for _ in range(8):
            asked.append(await orders.new_id(session))
            body = {"payee": payee, "amount": 300, "currency": "USD", "reason": "race"}
            await recorded_commands.record(session, asked[-1], "write_off", operator.user_id, body)
    activities = PayeeActivities(bench.resources.transactions, bench.resources.dispatcher)
    done = await asyncio.gather(*(activities.correct(CorrectionInput(one)) for one in asked))
    again = await asyncio.gather(*(activities.correct(CorrectionInput(one)) for one in asked))
    assert [one.summary for one in again] == [one.summary for one in done]
    return sum(one.refusal is None for one in done)


async def test_of_write_offs_at_once_one_goes_through(bench: Bench) -> None:
    payee = f"lms:{uuid.uuid4().hex}"
    assert await write_offs_at_once(bench, payee) == 1
    await correct(bench, "write_off", payee=payee, amount=200)
    assert (await balance(bench, payee)).receivable == 0


async def test_planted_without_the_payees_lock_more_is_written_off_than_is_owed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_lock(*_: Any) -> None:
        await asyncio.sleep(0.1)

    monkeypatch.setattr(payees, "lock", no_lock)
    assert await write_offs_at_once(bench, f"lms:{uuid.uuid4().hex}") > 1


async def test_a_payout_whose_workflow_was_lost_is_posted_by_the_recovery(bench: Bench) -> None:
    payee, event = f"lms:{uuid.uuid4().hex}", f"evt_{uuid.uuid4().hex}"
    data = {"payout_id": f"po_{payee}", "payee_ref": payee, "currency": "USD", "amount": 5}
    async with bench.resources.database.transaction() as session:
        stored = await inbox.store(
            session, inbox.PAYOUT, {"id": event, "type": "payout.settled", "data": data}, None
        )
        await inbox.mark_dispatched(session, stored.inbox_id, "payout taken in")
    await bench.query("UPDATE inbound_event SET dispatched_at = now() - interval '1 hour'")
    (violation,) = await broken(bench, "payouts.settled_once")
    assert payee in violation
    recovery = InboxActivities(
        bench.resources.transactions, bench.resources.dispatcher, bench.resources.payments
    )
    await recovery.resume_lost(None)
    await until(lambda: balance(bench, payee), lambda found: found.settled == 5, "the payout")
    await correct(bench, "write_off", payee=payee, amount=5)
    assert await broken(bench, "payouts.settled_once") == []


async def test_a_payout_that_can_not_be_read_is_kept_and_named(bench: Bench) -> None:
    with pytest.raises(InvalidInput):
        await told(bench, "ten")
    await bench.query("UPDATE inbound_event SET received_at = now() - interval '1 hour'")
    assert any("payout.settled" in one for one in await broken(bench, "inbox.dispatched"))
    await bench.query("UPDATE inbound_event SET dispatched_at = now() WHERE dispatched_at IS NULL")


async def test_reassigned_after_their_release_earnings_are_taken_back_there_and_released_here(
    bench: Bench,
) -> None:
    order, earned = await released(bench)
    line_id = str((await the_line(bench, order))["id"])
    other = f"lms:{uuid.uuid4().hex}"
    move = {"line_id": line_id, "payee": PAYEE, "to_payee": other}
    with pytest.raises(WorkflowUpdateFailedError) as refusal:
        await correct(bench, "reassignment", amount=earned + 1, **move)
    assert refusal_code(refusal.value) == "share_too_small"
    await correct(bench, "reassignment", amount=earned, **move)
    # Its hold is over by the line's clock, and by no other: this clock stands still.
    await bench.query("UPDATE order_line SET hold_seconds = 0 WHERE id = %s", line_id)
    await bench.resources.dispatcher.resume_split(line_id)
    await until(lambda: balance(bench, other), lambda found: found.payable == earned, "the second release")
    assert await broken(bench, "earnings.events_equal_ledger", "earnings.none_released_while_frozen") == []
    events = await bench.query(
        "SELECT data FROM outbound_event WHERE data->>'payee_ref' = %s ORDER BY id", other
    )
    assert [event["data"]["share"]["amount"] for event in events] == [earned, earned]

"""Planted bugs about money are caught, by a guard of the database or by the oracle."""

import asyncio
import dataclasses
import uuid
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy
from psycopg.errors import CheckViolation
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from activities import payments as payment_activities
from activities import verification
from activities.boundary import Transaction
from activities.earnings import capture_order
from domain import ids
from domain.ledger import processor_fee
from domain.orders import EntitlementStatus
from integrations.processor_objects import PaymentIntent
from models.queries import ledger, orders
from tests.planted.conftest import Owner
from tests.workflows.bench import Bench, Placed

COURSE = "python-101"
KEYS_ON_FACTS = "ON CONFLICT (entity, event_key) DO NOTHING "


async def intents_of(bench: Bench, order: Placed) -> list[PaymentIntent]:
    found = [intent async for intent in bench.resources.payments.list_intents(created_gte=0)]
    return [intent for intent in found if intent.metadata.get("order_id") == order.id]


async def broken(bench: Bench) -> dict[str, list[str]]:
    """Names and violations of what does not hold."""
    findings = await bench.findings()
    assert all(finding.checked for finding in findings.values())
    return {name: finding.violations for name, finding in findings.items() if finding.violations}


async def place_with_a_lost_answer(bench: Bench) -> Placed:
    """The processor makes the intent, and its answer is lost: the worker asks again."""
    await bench.stripe.fault("POST", "/v1/payment_intents", "cut_after", kept=True)
    return await bench.place(COURSE)


# --- (a) the idempotency key ---------------------------------------------------------------------------


async def test_a_lost_answer_makes_one_intent(bench: Bench) -> None:
    order = await place_with_a_lost_answer(bench)
    assert len(await intents_of(bench, order)) == 1


async def test_planted_a_key_for_each_retry_makes_a_second_payment_that_the_oracle_names(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def random_key(order_id: str, attempt: int) -> str:
        return f"order/{order_id}/intent/{attempt}/{uuid.uuid4()}"

    names = {name: getattr(ids, name) for name in dir(ids) if not name.startswith("_")}
    monkeypatch.setattr(payment_activities, "ids", SimpleNamespace(**names | {"intent_key": random_key}))
    order = await place_with_a_lost_answer(bench)
    made = await intents_of(bench, order)
    assert len(made) > 1

    await bench.pay(order)
    assert await asyncio.wait_for(bench.order_workflow(order.id).result(), 60) == "fulfilled"
    orphan = next(intent for intent in made if intent.id != order.intent_id)
    await bench.stripe.confirm(orphan.id, "pm_card_visa")
    monkeypatch.setattr(verification, "_SETTLE_SECONDS", -60)
    found = await broken(bench)
    assert any(orphan.id in violation for violation in found["processor.payments_agree"])
    assert "processor.cash_agrees" in found

    # Its event brings the money back to the customer: the order takes one payment only.
    await bench.take_events_in()
    late = bench.workflow(ids.late_payment_workflow_id(orphan.id))
    assert (await asyncio.wait_for(late.result(), 60)).startswith("refund")


# --- (b) the unique key of a fact --------------------------------------------------------------------------


async def capture_again(bench: Bench, order: Placed) -> None:
    """A second capture of a paid order by somebody who has forgotten that there was one."""
    async with bench.resources.transactions.begin() as tx:
        await forget_capture(tx, order.id)
        row = await orders.get(tx.session, order.id)
        assert row is not None
        await capture_order(tx, row)


async def forget_capture(tx: Transaction, order_id: str) -> None:
    await tx.session.execute(
        sqlalchemy.text("UPDATE order_line SET ledger = NULL WHERE order_id = :id"), {"id": order_id}
    )


async def captures(bench: Bench, order: Placed) -> int:
    rows = await bench.query(
        "SELECT id FROM journal_entry WHERE order_id = %s AND kind = 'payment_captured'", order.id
    )
    return len(rows)


async def test_a_second_capture_of_an_order_posts_nothing(own_bench: Bench) -> None:
    order = await own_bench.bought(COURSE)
    await own_bench.take_events_in()
    await capture_again(own_bench, order)
    assert await captures(own_bench, order) == 1
    found = await broken(own_bench)
    assert not {"ledger.facts_posted_once", "ledger.capture_equals_paid"} & found.keys()


async def test_planted_without_the_unique_key_the_ledger_refuses_to_post(
    own_bench: Bench, owner_of_own: Owner
) -> None:
    order = await own_bench.bought(COURSE)
    owner_of_own.execute("ALTER TABLE journal_entry DROP CONSTRAINT journal_entry_entity_event_key_key")
    with pytest.raises(ProgrammingError, match="no unique or exclusion constraint"):
        await capture_again(own_bench, order)
    assert await captures(own_bench, order) == 1


async def test_planted_a_naive_insert_is_refused_by_the_unique_key(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await own_bench.bought(COURSE)
    monkeypatch.setattr(ledger, "text", lambda sql: sqlalchemy.text(sql.replace(KEYS_ON_FACTS, "")))
    with pytest.raises(IntegrityError, match="journal_entry_entity_event_key_key"):
        await capture_again(own_bench, order)
    assert await captures(own_bench, order) == 1


async def test_planted_a_naive_insert_without_the_unique_key_posts_twice_and_the_oracle_names_it(
    own_bench: Bench, owner_of_own: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await own_bench.bought(COURSE)
    owner_of_own.execute("ALTER TABLE journal_entry DROP CONSTRAINT journal_entry_entity_event_key_key")
    monkeypatch.setattr(ledger, "text", lambda sql: sqlalchemy.text(sql.replace(KEYS_ON_FACTS, "")))
    await capture_again(own_bench, order)
    assert await captures(own_bench, order) == 2
    row = await own_bench.order(order.id)
    found = await broken(own_bench)
    assert found["ledger.facts_posted_once"] == [f"fact order:{order.id}:captured is posted 2 times"]
    assert found["ledger.capture_equals_paid"] == [
        f"order {row.number} was paid {row.total}, captured {2 * row.total}"
    ]


# --- (c) the balance of an entry ---------------------------------------------------------------------------


def off_by_one() -> Any:
    """A draft that the domain would refuse to make: a cent is missing."""
    (draft,) = processor_fee(f"txn_{uuid.uuid4().hex}", amount=59, currency="USD").entries
    first, *others = draft.postings
    wrong = dataclasses.replace(first, amount=first.amount + 1)
    return SimpleNamespace(kind=draft.kind, event_key=draft.event_key, postings=(wrong, *others))


async def test_planted_an_unbalanced_entry_is_refused_at_the_commit(bench: Bench) -> None:
    draft = off_by_one()
    with pytest.raises(DBAPIError, match="does not balance") as caught:
        async with bench.resources.database.transaction() as session:
            await ledger.post(session, [draft], order_id=None, effective_at=datetime.now(UTC))
    assert isinstance(caught.value.orig, CheckViolation)
    assert await bench.query("SELECT id FROM journal_entry WHERE event_key = %s", draft.event_key) == []


async def test_planted_an_unbalanced_entry_without_the_trigger_is_named_by_the_oracle(
    own_bench: Bench, owner_of_own: Owner
) -> None:
    owner_of_own.execute("DROP TRIGGER entry_balances ON journal_entry")
    draft = off_by_one()
    async with own_bench.resources.database.transaction() as session:
        await ledger.post(session, [draft], order_id=None, effective_at=datetime.now(UTC))
    found = await broken(own_bench)
    assert found["ledger.entries_balance"] == [f"entry {draft.event_key} is off by 1 USD"]
    assert found["ledger.sums_to_zero"] == ["USD is off by 1"]


# --- (e) drift ---------------------------------------------------------------------------------------------


async def test_planted_a_seat_count_that_drifts_is_named(own_bench: Bench) -> None:
    order = await own_bench.bought("live-workshop-2027")
    assert "seats.within_capacity" not in await broken(own_bench)
    await own_bench.query("UPDATE catalog_item SET seats_taken = 5 WHERE slug = 'live-workshop-2027'")
    found = await broken(own_bench)
    assert found["seats.within_capacity"] == ["item live-workshop-2027 counts 5, lines hold 1"]
    assert order.id


async def test_planted_promotion_uses_that_drift_are_named(own_bench: Bench) -> None:
    await own_bench.place(COURSE, promo="WELCOME10")
    assert "promotions.within_limit" not in await broken(own_bench)
    await own_bench.query("UPDATE promotion SET uses = 0 WHERE code = 'WELCOME10'")
    found = await broken(own_bench)
    assert found["promotions.within_limit"] == ["promotion WELCOME10 counts 0, orders use 1"]


async def test_planted_an_access_that_the_lms_lost_is_named(own_bench: Bench) -> None:
    order = await own_bench.bought(COURSE)
    assert "lms.access_agrees" not in await broken(own_bench)
    await own_bench.resources.lms.revoke(order.buyer.lms_user_id, COURSE)
    found = await broken(own_bench)
    assert found["lms.access_agrees"] == [
        f"LMS user {order.buyer.lms_user_id}, course {COURSE}: here granted, at the LMS not enrolled"
    ]


async def test_planted_an_access_that_outlives_its_refund_is_named(own_bench: Bench) -> None:
    order = await own_bench.bought(COURSE)
    access = await own_bench.access(order.buyer, COURSE)
    # Its workflow would put right what it still sees.
    await own_bench.workflow(ids.entitlement_workflow_id(order.buyer.user_id, COURSE)).result()
    await own_bench.query(
        "UPDATE entitlement SET status = %s WHERE id = %s", EntitlementStatus.REVOKED, access.id
    )
    found = await broken(own_bench)
    assert found["lms.access_agrees"] == [
        f"LMS user {order.buyer.lms_user_id}, course {COURSE}: here revoked, at the LMS enrolled"
    ]


async def test_planted_a_workflow_that_was_killed_is_named(own_bench: Bench) -> None:
    order = await own_bench.bought(COURSE)
    line = await own_bench.one("SELECT id FROM order_line WHERE order_id = %s", order.id)
    split = ids.split_workflow_id(str(line["id"]))
    await own_bench.query("UPDATE orders SET paid_at = paid_at - interval '1 minute'")
    assert "workflows.none_lost" not in await broken(own_bench)
    await own_bench.workflow(split).terminate()
    assert (await broken(own_bench))["workflows.none_lost"] == [f"{split} is not running"]


async def test_planted_cash_that_differs_is_named(own_bench: Bench) -> None:
    """Nothing but the fees and captures of this account may be in the ledger."""
    await own_bench.reset_stripe()
    order = await own_bench.bought(COURSE)
    await own_bench.take_events_in()
    await settled_fees(own_bench)
    assert "processor.cash_agrees" not in await broken(own_bench)

    assert order.intent_id is not None
    await own_bench.stripe.refund(order.intent_id, 100)  # in the dashboard, and its event never arrives
    row = await own_bench.order(order.id)
    ours = await own_bench.one("SELECT sum(amount) AS amount FROM posting WHERE account = '1010'")
    found = await broken(own_bench)
    assert found["processor.cash_agrees"] == [
        f"{row.currency}: ledger {ours['amount']}, processor {ours['amount'] - 100}"
    ]


async def settled_fees(bench: Bench) -> None:
    async for transaction in bench.resources.payments.list_balance_transactions(created_gte=0):
        workflow_id = ids.balance_transaction_workflow_id(transaction.id)
        await asyncio.wait_for(bench.workflow(workflow_id).result(), 60)

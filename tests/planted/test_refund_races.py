"""Refunds that race for what was paid, and against a dispute: one winner, in every race of 32."""

import uuid
from typing import Any

import pytest
from sqlalchemy import text

from activities.boundary import Transaction
from activities.earnings import capture_order
from activities.refund_reservation import reserve
from domain.errors import Conflict
from models.database import Database, Session
from models.queries import invariants, order_lines, orders
from models.queries.order_lines import LineRow
from models.queries.orders import NewOrder, OrderRow
from models.queries.recorded_commands import CommandRow
from tests.planted.test_races import ROUNDS, Racers, database, no_faults, race, racers

__all__ = ["database", "no_faults", "racers"]
NET, TAX = 8319, 681
ASKED = (NET + TAX) // 2 + 1  # more than half: two never fit


async def paid_order(database: Database) -> OrderRow:
    """An order of one line, paid and captured."""
    async with database.transaction() as session:
        user_id = await _inserted(
            session,
            "INSERT INTO commerce_user (lms_user_id, username, full_name, roles) "
            "VALUES (:name, :name, '', '{}') RETURNING id",
        )
        item_id = str((await session.execute(text("SELECT id FROM catalog_item LIMIT 1"))).scalar_one())
        cart_id = str(
            (
                await session.execute(
                    text("INSERT INTO cart (user_id, open) VALUES (:id, false) RETURNING id"), {"id": user_id}
                )
            ).scalar_one()
        )
        order_id = await orders.new_id(session)
        gross = NET + TAX
        await orders.insert(
            session,
            NewOrder(order_id, user_id, cart_id, "USD", NET, 0, TAX, gross, (), {"country": "US"}, None, 60),
        )
        await order_lines.insert(session, order_id, _line(item_id))
        await session.execute(
            text(
                "INSERT INTO payment (order_id, attempt, intent_id, status, amount, currency, applied) "
                "VALUES (:id, 1, :intent, 'succeeded', :amount, 'USD', true)"
            ),
            {"id": order_id, "intent": f"pi_{order_id}", "amount": gross},
        )
        await orders.set_paid(session, order_id)
        row = await orders.get(session, order_id, lock=True)
        assert row is not None
        await capture_order(Transaction(session), row)
        return row


async def _inserted(session: Session, statement: str) -> str:
    return str((await session.execute(text(statement), {"name": uuid.uuid4().hex})).scalar_one())


def _line(item_id: str) -> dict[str, Any]:
    return {
        "ordinal": 1,
        "item_id": item_id,
        "bundle_id": None,
        "title": "Course",
        "lms_course_id": "course",
        "unit_price": NET,
        "list_net": NET,
        "discount_net": 0,
        "net": NET,
        "tax": TAX,
        "gross": NET + TAX,
        "taxes": [{"jurisdiction": "US-NY", "amount": TAX}],
        "holds_seat": False,
        "platform_discount": 0,
        "presentation": "principal",
        "recognition": "on_completion",
        "refund_window_days": 14,
        "hold_seconds": 0,
        "release": "after_hold",
        "split_rule_id": None,
        "split": {"shares": [{"payee": "teacher", "bps": 7000}]},
    }


async def refund(session: Session, order: OrderRow) -> bool:
    """What the first step of a refund does; False when it is refused."""
    body = {
        "order_id": order.id,
        "lines": None,
        "amount": ASKED,
        "reason": "race",
        "keep_access": False,
    }
    command = CommandRow(await orders.new_id(session), "refund", order.user_id, body)
    try:
        await reserve(Transaction(session), command)
    except Conflict as refusal:
        assert refusal.code in ("refund_exceeds_paid", "dispute_open")
        return False
    return True


async def refunds_of(session: Session, order_id: str) -> int:
    """How many refunds of the order are reserved."""
    found = await session.execute(text("SELECT count(*) FROM refund WHERE order_id = :id"), {"id": order_id})
    return int(found.scalar_one())


async def exceeded(database: Database) -> list[str]:
    """What the oracle says about refunds of more than was paid."""
    invariant = next(i for i in invariants.DATABASE_INVARIANTS if i.name == "refunds.within_paid")
    async with database.transaction() as session:
        return await invariants.violations(session, invariant)


async def test_of_refunds_that_exceed_the_payment_together_one_is_reserved_every_time(
    database: Database, racers: Racers
) -> None:
    for number in range(ROUNDS):
        order = await paid_order(database)
        assert await race(racers, lambda session, _, o=order: refund(session, o)) == 1, f"round {number}"  # type: ignore[misc]
        async with database.transaction() as session:
            assert await refunds_of(session, order.id) == 1
    assert await exceeded(database) == []


async def test_no_refund_is_reserved_once_a_dispute_is_open_every_time(
    database: Database, racers: Racers
) -> None:
    for number in range(ROUNDS):
        order, seen = await paid_order(database), []

        async def enter(
            session: Session, racer: int, order: OrderRow = order, seen: list[int] = seen
        ) -> bool:
            if racer != 16:
                return await refund(session, order)
            await orders.get(session, order.id, lock=True)  # as whoever opens a dispute begins
            seen.append(await refunds_of(session, order.id))
            await session.execute(
                text("UPDATE orders SET dispute_state = 'open' WHERE id = :id"), {"id": order.id}
            )
            return False

        assert [await race(racers, enter)] == seen, f"round {number}: a refund after the dispute"


async def test_planted_without_the_lock_both_are_reserved_and_the_oracle_names_it(
    database: Database, racers: Racers, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, lines = orders.get, order_lines.of_order

    async def get_unlocked(session: Session, order_id: str, *, lock: bool = False) -> OrderRow | None:
        return await get(session, order_id)

    async def lines_unlocked(session: Session, order_id: str, *, lock: bool = False) -> list[LineRow]:
        return await lines(session, order_id)

    order = await paid_order(database)
    monkeypatch.setattr(orders, "get", get_unlocked)
    monkeypatch.setattr(order_lines, "of_order", lines_unlocked)
    assert await race(racers, lambda session, _: refund(session, order)) > 1
    monkeypatch.undo()
    (violation,) = await exceeded(database)
    assert order.number in violation

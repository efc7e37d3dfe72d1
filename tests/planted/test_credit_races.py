"""Orders that race for the same store credit: it is reserved once, in every race of 32."""

from typing import Any

import pytest
from sqlalchemy import text

from domain.ledger import grant_goodwill
from domain.store_credit import credit_to_use
from models.database import Database, Session
from models.queries import invariants, ledger, orders, people, store_credit
from models.queries.orders import NewOrder
from tests.planted.test_races import ROUNDS, Racers, database, no_faults, race, racers

__all__ = ["database", "no_faults", "racers"]
CREDIT = 1000
TOTAL = 1600


async def customer_with_credit(database: Database) -> str:
    """A user who has been given credit."""
    async with database.transaction() as session:
        user = await people.remember(
            session, lms_user_id="c", username="c", email=None, full_name="Ann", roles=["learner"]
        )
        outcome = grant_goodwill(user.id, user.id, amount=CREDIT, currency="USD")
        now = (await session.execute(text("SELECT now()"))).scalar_one()
        await ledger.post(session, outcome.entries, order_id=None, effective_at=now)
    return user.id


async def order_with_credit(session: Session, user_id: str) -> bool:
    """What placing an order does about credit; True for an order that got some."""
    await store_credit.lock(session, user_id)
    available = await store_credit.available(session, user_id, "USD")
    used = credit_to_use(TOTAL, available, "USD")
    if used == 0:
        return False
    cart_id = (
        await session.execute(
            text("INSERT INTO cart (user_id, open) VALUES (:id, false) RETURNING id"), {"id": user_id}
        )
    ).scalar_one()
    order: dict[str, Any] = {
        "id": await orders.new_id(session),
        "user_id": user_id,
        "cart_id": str(cart_id),
        "currency": "USD",
        "subtotal": TOTAL,
        "discount": 0,
        "tax": 0,
        "total": TOTAL,
        "promo_codes": (),
        "billing_address": {"country": "DE"},
        "return_url": None,
        "window_seconds": 60,
    }
    await orders.insert(session, NewOrder(**order, store_credit=used))
    return True


async def overspent(database: Database) -> list[str]:
    """What the oracle says of it."""
    invariant = next(i for i in invariants.DATABASE_INVARIANTS if i.name == "store_credit.never_overspent")
    async with database.transaction() as session:
        return await invariants.violations(session, invariant)


async def test_credit_is_reserved_by_one_order_every_time(database: Database, racers: Racers) -> None:
    user_id = await customer_with_credit(database)
    for number in range(ROUNDS):
        winners = await race(racers, lambda session, _: order_with_credit(session, user_id))
        assert winners == 1, f"round {number}"
        async with database.transaction() as session:
            (balance,) = await store_credit.balances(session, user_id)
            assert (balance.balance, balance.reserved) == (CREDIT, CREDIT)
            await session.execute(text("UPDATE orders SET payment_state = 'canceled'"))
    assert await overspent(database) == []


async def test_planted_without_the_lock_credit_is_reserved_twice_and_the_oracle_names_it(
    database: Database, racers: Racers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_lock(session: Session, user_id: str) -> None:
        """The planted bug: look, then reserve."""

    monkeypatch.setattr(store_credit, "lock", no_lock)
    user_id = await customer_with_credit(database)
    assert await race(racers, lambda session, _: order_with_credit(session, user_id)) > 1
    (violation,) = await overspent(database)
    assert user_id in violation

"""Promotion uses under a race and asked for again, split rules that must not overlap: in the database."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.errors import Conflict
from models.database import Database, Session
from models.queries import orders, people, promotions, split_rules
from models.queries.orders import NewOrder

RACERS = 32
ROUNDS = 10


@pytest.fixture(scope="module")
async def db(database_url: str) -> AsyncIterator[Database]:
    """The module's database, with a connection for each racer."""
    found = Database(database_url, pool_size=RACERS)
    yield found
    await found.aclose()


async def promotion(db: Database, **terms: Any) -> str:
    """The id of a new promotion."""
    promotion_id = str(uuid.uuid4())
    columns = {"code": promotion_id[:13].upper(), "kind": "percent", "percent_bp": 1000, "item_ids": []}
    async with db.transaction() as session:
        await promotions.insert(session, promotion_id, columns | terms)
    return promotion_id


async def person(db: Database) -> str:
    """The id of a new user."""
    name = uuid.uuid4().hex
    async with db.transaction() as session:
        user = await people.remember(
            session, lms_user_id=name, username=name, email=None, full_name="Ann", roles=["learner"]
        )
    return user.id


async def order_of(session: Session, user_id: str) -> str:
    """The id of a new pending order."""
    cart_id = (
        await session.execute(
            text("INSERT INTO cart (user_id, open) VALUES (:u, false) RETURNING id"), {"u": user_id}
        )
    ).scalar_one()
    order_id = await orders.new_id(session)
    await orders.insert(
        session,
        NewOrder(
            order_id,
            user_id,
            str(cart_id),
            "USD",
            0,
            0,
            0,
            0,
            (),
            {"country": "DE"},
            None,
            window_seconds=60,
        ),
    )
    return order_id


async def uses_of(db: Database, promotion_id: str) -> int:
    async with db.transaction() as session:
        row = await promotions.get(session, promotion_id)
    assert row is not None
    return row.uses


async def race(db: Database, take: Callable[[Session, int], Awaitable[bool]]) -> int:
    """How many of the racers won, each in a transaction of its own."""

    async def one(number: int) -> bool:
        async with db.transaction() as session:
            return await take(session, number)

    return sum(await asyncio.gather(*(one(number) for number in range(RACERS))))


async def test_the_same_order_has_one_use_however_often_it_asks(db: Database) -> None:
    promotion_id, user_id = await promotion(db, usage_limit=1, usage_limit_per_user=1), await person(db)
    async with db.transaction() as session:
        order_id = await order_of(session, user_id)
        other = await order_of(session, user_id)
    for _ in range(3):
        async with db.transaction() as session:
            assert await promotions.reserve(session, promotion_id, order_id, user_id)
    async with db.transaction() as session:
        assert not await promotions.reserve(session, promotion_id, other, user_id)
    assert await uses_of(db, promotion_id) == 1


async def test_a_refused_reservation_leaves_nothing_in_a_transaction_that_goes_on(db: Database) -> None:
    promotion_id, user_id = await promotion(db, usage_limit_per_user=1), await person(db)
    async with db.transaction() as session:
        first, second = await order_of(session, user_id), await order_of(session, user_id)
        assert await promotions.reserve(session, promotion_id, first, user_id)
        assert not await promotions.reserve(session, promotion_id, second, user_id)
    assert await uses_of(db, promotion_id) == 1


async def test_a_released_use_can_be_had_again_and_a_consumed_one_stays(db: Database) -> None:
    promotion_id, user_id = await promotion(db, usage_limit=1), await person(db)
    async with db.transaction() as session:
        order_id = await order_of(session, user_id)
        assert await promotions.reserve(session, promotion_id, order_id, user_id)
        await promotions.release(session, order_id)
        await promotions.release(session, order_id)
    assert await uses_of(db, promotion_id) == 0
    async with db.transaction() as session:
        assert await promotions.reserve_again(session, order_id)
        await promotions.consume(session, order_id)
        await promotions.release(session, order_id)
        assert await promotions.reserve_again(session, order_id)
    assert await uses_of(db, promotion_id) == 1


async def test_a_released_use_that_went_to_somebody_else_is_gone(db: Database) -> None:
    promotion_id = await promotion(db, usage_limit=1)
    loser, winner = await person(db), await person(db)
    async with db.transaction() as session:
        lost = await order_of(session, loser)
        assert await promotions.reserve(session, promotion_id, lost, loser)
        await promotions.release(session, lost)
        assert await promotions.reserve(session, promotion_id, await order_of(session, winner), winner)
    async with db.transaction() as session:
        assert not await promotions.reserve_again(session, lost)


async def test_an_own_limit_met_meanwhile_refuses_a_late_order_without_an_error(db: Database) -> None:
    promotion_id, user_id = await promotion(db, usage_limit_per_user=1), await person(db)
    async with db.transaction() as session:
        late = await order_of(session, user_id)
        assert await promotions.reserve(session, promotion_id, late, user_id)
        await promotions.release(session, late)
        assert await promotions.reserve(session, promotion_id, await order_of(session, user_id), user_id)
    async with db.transaction() as session:
        assert not await promotions.reserve_again(session, late)


async def test_an_inactive_promotion_has_no_uses(db: Database) -> None:
    promotion_id, user_id = await promotion(db, active=False), await person(db)
    async with db.transaction() as session:
        order_id = await order_of(session, user_id)
        assert not await promotions.reserve(session, promotion_id, order_id, user_id)


async def test_one_person_has_one_use_in_every_race_of_many_orders(db: Database) -> None:
    promotion_id, user_id = await promotion(db, usage_limit_per_user=1), await person(db)
    for number in range(ROUNDS):
        async with db.transaction() as session:
            racing = [await order_of(session, user_id) for _ in range(RACERS)]
        winners = await race(
            db,
            lambda session, i, racing=racing: promotions.reserve(  # type: ignore[misc]
                session, promotion_id, racing[i], user_id
            ),
        )
        assert winners == 1, f"round {number}"
        assert await uses_of(db, promotion_id) == 1
        async with db.transaction() as session:
            for order_id in racing:
                await promotions.release(session, order_id)


async def naive_reserve(session: Session, promotion_id: str, order_id: str, user_id: str) -> bool:
    """The planted bug: count the person's uses first, then take one."""
    if await promotions.used_by(session, promotion_id, user_id) >= 1:
        return False
    await session.execute(
        text(
            "INSERT INTO promotion_use (promotion_id, order_id, user_id, state) "
            "VALUES (:id, :order, :u, 'reserved')"
        ),
        {"id": promotion_id, "order": order_id, "u": user_id},
    )
    await session.execute(text("UPDATE promotion SET uses = uses + 1 WHERE id = :id"), {"id": promotion_id})
    return True


async def test_planted_counting_before_taking_gives_one_person_many_uses(db: Database) -> None:
    """It shows that the race above can be lost."""
    promotion_id, user_id = await promotion(db, usage_limit_per_user=1), await person(db)
    async with db.transaction() as session:
        racing = [await order_of(session, user_id) for _ in range(RACERS)]
    assert await race(db, lambda session, i: naive_reserve(session, promotion_id, racing[i], user_id)) > 1


@pytest.mark.parametrize(
    ("state", "granted"), [("paid", False), ("pending", False), ("canceled", True), ("expired", True)]
)
async def test_a_first_purchase_is_the_first(db: Database, state: str, granted: bool) -> None:
    promotion_id, user_id = await promotion(db, first_purchase_only=True), await person(db)
    async with db.transaction() as session:
        before = await order_of(session, user_id)
        await session.execute(
            text("UPDATE orders SET payment_state = :state WHERE id = :id"), {"state": state, "id": before}
        )
        order_id = await order_of(session, user_id)
        assert await promotions.reserve(session, promotion_id, order_id, user_id) is granted


async def test_of_many_first_purchases_at_most_one_is_the_first(db: Database) -> None:
    """Each racer makes its order in the transaction that reserves, as placing an order does."""
    promotion_id = await promotion(db, first_purchase_only=True)
    for _ in range(ROUNDS):
        user_id = await person(db)

        async def place(session: Session, _: int, user_id: str = user_id) -> bool:
            return await promotions.reserve(session, promotion_id, await order_of(session, user_id), user_id)

        assert await race(db, place) == 1


# --- Split rules -------------------------------------------------------------------------------------

START = datetime(2030, 1, 1, tzinfo=UTC)


def version(days: tuple[int, int | None], **scope: Any) -> dict[str, Any]:
    """The columns of a version that is valid from and until these days after the start."""
    first, last = days
    return {
        "item_id": None,
        "channel": None,
        "payee": None,
        "priority": 0,
        "valid_from": START + timedelta(days=first),
        "valid_to": None if last is None else START + timedelta(days=last),
        "rule": json.dumps({"shares": []}),
        **scope,
    }


async def test_one_of_many_overlapping_versions_is_made(db: Database) -> None:
    for number in range(ROUNDS):
        channel = f"race-{number}"

        async def make(session: Session, i: int, channel: str = channel) -> bool:
            columns = version((i % 5, 40 + i), channel=channel)
            try:
                await split_rules.insert(session, str(uuid.uuid4()), columns)
            except Conflict as refusal:
                assert refusal.code == "split_rule_overlap"
                return False
            return True

        assert await race(db, make) == 1


async def test_planted_looking_before_inserting_is_refused_by_the_table(db: Database) -> None:
    async def naive(session: Session, i: int) -> bool:
        found = await session.execute(text("SELECT FROM split_rule WHERE channel = 'naive'"))
        if found.all():
            return False
        columns = version((0, 40 + i), channel="naive")
        await session.execute(
            text(
                "INSERT INTO split_rule (channel, priority, valid_from, valid_to, rule) VALUES "
                "(:channel, :priority, :valid_from, :valid_to, CAST(:rule AS jsonb))"
            ),
            {name: columns[name] for name in ("channel", "priority", "valid_from", "valid_to", "rule")},
        )
        return True

    with pytest.raises(Exception, match="split_rule_overlap"):
        await race(db, naive)
    async with db.transaction() as session:
        found = await session.execute(text("SELECT count(*) FROM split_rule WHERE channel = 'naive'"))
        assert found.scalar_one() <= 1


async def test_versions_follow_each_other_without_a_gap(db: Database) -> None:
    async with db.transaction() as session:
        for days in ((0, 10), (10, 20), (20, None)):
            await split_rules.insert(session, str(uuid.uuid4()), version(days, channel="gapless"))
        for days in ((0, 1), (9, 11), (-5, None), (100, 101)):
            with pytest.raises(Conflict):
                await split_rules.insert(session, str(uuid.uuid4()), version(days, channel="gapless"))


async def bare_item(session: Session) -> str:
    """The id of a new item that has no price."""
    made = await session.execute(
        text(
            "INSERT INTO catalog_item (slug, type, title, description, lms_course_id, tax_code) "
            "VALUES (gen_random_uuid()::text, 'course', 't', '', 'c', 't') RETURNING id"
        )
    )
    return str(made.scalar_one())


async def test_the_most_specific_scope_wins_then_the_priority(db: Database) -> None:
    at = START + timedelta(days=1)
    async with db.transaction() as session:
        item_id, other = await bare_item(session), await bare_item(session)
        made: dict[str, str] = {}

        async def add(name: str, days: tuple[int, int | None] = (0, None), **scope: Any) -> None:
            made[name] = str(uuid.uuid4())
            await split_rules.insert(session, made[name], version(days, **scope))

        async def found(item: str | None, channel: str | None = None, moment: datetime = at) -> str | None:
            row = await split_rules.rule_for(session, split_rules.Sale(item, channel), moment)
            return None if row is None else next(name for name, key in made.items() if key == row.id)

        assert await found(item_id) is None
        await add("default")
        assert await found(item_id) == "default"
        await add("default of partner", channel="partner")
        await add("default, first", priority=5)
        assert await found(item_id) == await found(None) == "default, first"
        assert await found(item_id, "partner") == "default of partner"
        await add("item", item_id=item_id, days=(0, 10))
        assert await found(item_id, "partner") == await found(item_id) == "item"
        await add("item of partner", item_id=item_id, channel="partner")
        assert (await found(item_id, "partner"), await found(item_id)) == ("item of partner", "item")
        assert await found(item_id, moment=START + timedelta(days=10)) == "default, first"
        assert await found(item_id, moment=START - timedelta(seconds=1)) is None
        assert await found(other) == "default, first"
        await session.rollback()

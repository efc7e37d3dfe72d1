"""The last seat and the last promotion use: one winner, in every race of 32 on real connections."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from devstack.seed import seed
from models.database import Database, Session
from models.queries import carts, catalog, orders, people, promotions
from models.queries.orders import NewOrder
from tests.harness.servers import Servers
from tests.planted.conftest import Owner

ROUNDS = 100
RACERS = 32
SEAT = "live-workshop-2027"


@pytest.fixture(autouse=True)
def no_faults() -> None:
    """Nothing outside is used here."""


@pytest.fixture
async def database(servers: Servers, fresh_database: str) -> AsyncIterator[Database]:
    """A seeded database."""
    url = servers.database_url(fresh_database)
    await seed(url)
    database = Database(url, pool_size=2)
    yield database
    await database.aclose()


Racers = list[AsyncConnection]


@pytest.fixture
async def racers(servers: Servers, fresh_database: str, database: Database) -> AsyncIterator[Racers]:
    """A connection for each racer, kept for all rounds."""
    engine = create_async_engine(servers.database_url(fresh_database), pool_size=RACERS)
    async with AsyncExitStack() as cleanup:
        yield [await cleanup.enter_async_context(engine.connect()) for _ in range(RACERS)]
    await engine.dispose()


async def race(racers: Racers, take: Callable[[Session, int], Awaitable[bool]]) -> int:
    """How many of the racers won; each on a connection and in a transaction of its own."""

    async def one(number: int) -> bool:
        async with Session(racers[number]) as session, session.begin():
            return await take(session, number)

    return sum(await asyncio.gather(*(one(number) for number in range(RACERS))))


async def naive_take_seat(session: Session, item_id: str) -> bool:
    """The planted bug: look first, then take."""
    left = (
        await session.execute(
            text("SELECT seats_taken < capacity FROM catalog_item WHERE id = :id"), {"id": item_id}
        )
    ).scalar_one()
    if left:
        await session.execute(
            text("UPDATE catalog_item SET seats_taken = seats_taken + 1 WHERE id = :id"), {"id": item_id}
        )
    return bool(left)


async def only_seat(database: Database) -> str:
    """The id of an item that has one seat left."""
    async with database.transaction() as session:
        return str(
            (
                await session.execute(
                    text(
                        "UPDATE catalog_item SET capacity = 1, seats_taken = 0 WHERE slug = :slug "
                        "RETURNING id"
                    ),
                    {"slug": SEAT},
                )
            ).scalar_one()
        )


async def seats_taken(database: Database, item_id: str) -> int:
    async with database.transaction() as session:
        found = (await catalog.by_ids(session, [item_id]))[item_id]
    return found.seats_taken


async def test_the_last_seat_goes_to_one_buyer_every_time(database: Database, racers: Racers) -> None:
    for number in range(ROUNDS):
        item_id = await only_seat(database)
        winners = await race(racers, lambda session, _, i=item_id: catalog.take_seat(session, i))  # type: ignore[misc]
        assert winners == 1, f"round {number}"
        assert await seats_taken(database, item_id) == 1


async def test_planted_looking_before_taking_oversells(
    database: Database, racers: Racers, owner_of_own: Owner
) -> None:
    """Without the table's own rule; it shows that the race above can be lost."""
    owner_of_own.execute("ALTER TABLE catalog_item DROP CONSTRAINT seats_within_capacity")
    item_id = await only_seat(database)
    assert await race(racers, lambda session, _: naive_take_seat(session, item_id)) > 1
    assert await seats_taken(database, item_id) > 1


async def test_planted_looking_before_taking_is_refused_by_the_table(
    database: Database, racers: Racers
) -> None:
    item_id = await only_seat(database)
    with pytest.raises(IntegrityError, match="seats_within_capacity"):
        await race(racers, lambda session, _: naive_take_seat(session, item_id))
    assert await seats_taken(database, item_id) <= 1


async def make_orders(database: Database) -> list[tuple[str, str]]:
    """(order, user) for each racer."""
    found = []
    async with database.transaction() as session:
        for _ in range(RACERS):
            name = uuid.uuid4().hex
            user = await people.remember(
                session, lms_user_id=name, username=name, email=None, full_name="Ann", roles=["learner"]
            )
            cart = await carts.open_cart(session, user.id)
            order_id = await orders.new_id(session)
            await orders.insert(
                session,
                NewOrder(order_id, user.id, cart.id, "USD", 0, 0, 0, 0, (), {"country": "DE"}, None, 60),
            )
            found.append((order_id, user.id))
    return found


async def naive_reserve(session: Session, promotion_id: str, order_id: str, user_id: str) -> bool:
    """The planted bug: look first, then take."""
    promotion = await promotions.get(session, promotion_id)
    assert promotion is not None
    if promotion.usage_limit is not None and promotion.uses >= promotion.usage_limit:
        return False
    await session.execute(text("UPDATE promotion SET uses = uses + 1 WHERE id = :id"), {"id": promotion_id})
    return True


async def test_the_last_promotion_use_goes_to_one_order_every_time(
    database: Database, racers: Racers, owner_of_own: Owner
) -> None:
    entrants = await make_orders(database)
    async with database.transaction() as session:
        promotion = await promotions.by_code(session, "LASTONE")
    assert promotion is not None
    promotion_id = promotion.id
    for number in range(ROUNDS):
        winners = await race(
            racers, lambda session, i: promotions.reserve(session, promotion_id, *entrants[i])
        )
        assert winners == 1, f"round {number}"
        async with database.transaction() as session:
            after = await promotions.get(session, promotion_id)
            used = await session.execute(text("DELETE FROM promotion_use RETURNING id"))
            assert len(used.all()) == 1
            await session.execute(text("UPDATE promotion SET uses = 0"))
        assert after is not None
        assert after.uses == 1


async def test_planted_looking_before_using_overuses(
    database: Database, racers: Racers, owner_of_own: Owner
) -> None:
    owner_of_own.execute("ALTER TABLE promotion DROP CONSTRAINT uses_within_limit")
    async with database.transaction() as session:
        promotion = await promotions.by_code(session, "LASTONE")
    assert promotion is not None
    promotion_id = promotion.id
    winners = await race(racers, lambda session, _: naive_reserve(session, promotion_id, "", ""))
    assert winners > 1

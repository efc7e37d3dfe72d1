"""Merges that the LMS tells of at once, on real connections: whatever comes first, nothing is left with an
account that ended."""

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

import pytest
from sqlalchemy import text
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.boundary import Transactions
from activities.merges import MergeActivities
from devstack.seed import seed
from domain.messages import MergeInput
from integrations.dispatch import Dispatcher
from models.database import Database, Session
from models.queries import carts, identity, invariants, orders, people
from models.queries.invariants.access import MERGED_PERSONS
from models.queries.orders import NewOrder
from tests.harness.servers import Servers

ROUNDS = 20
_LOOK_AGAIN_SECONDS = 600


@pytest.fixture(autouse=True)
def no_faults() -> None:
    """Nothing outside is used here."""


@dataclass(frozen=True)
class Person:
    """Somebody with an order that ended unpaid."""

    user_id: str
    lms_user_id: str
    order_id: str


class Merging:
    """What gateway and worker do with merges, on one database; nobody listens to its events."""

    def __init__(self, database: Database, client: Client) -> None:
        dispatcher = Dispatcher(client, "nobody")
        self._activities = MergeActivities(
            Transactions(database, dispatcher), dispatcher, last_look_after_seconds=_LOOK_AGAIN_SECONDS
        )
        self._database = database

    async def person(self) -> Person:
        name = uuid.uuid4().hex
        async with self._database.transaction() as session:
            user = await people.remember(
                session, lms_user_id=name, username=name, email=None, full_name="Ann", roles=["learner"]
            )
        return Person(user.id, name, await self.order(user.id))

    async def order(self, user_id: str) -> str:
        async with self._database.transaction() as session:
            cart = await carts.open_cart(session, user_id)
            order_id = await orders.new_id(session)
            free = NewOrder(order_id, user_id, cart.id, "USD", 0, 0, 0, 0, (), {"country": "DE"}, None, 60)
            await orders.insert(session, free)
            await carts.close(session, cart.id)
            await session.execute(
                text("UPDATE orders SET payment_state = 'canceled' WHERE id = :id"), {"id": order_id}
            )
        return order_id

    async def told(self, ended: Person, into: Person) -> str:
        """The LMS's event is stored; the merge's id."""
        event = {"id": f"evt_{uuid.uuid4().hex}", "type": "user.merged"}
        event_data = {"user_id": ended.lms_user_id, "into_user_id": into.lms_user_id}
        async with self._database.transaction() as session:
            await identity.take_in(session, {**event, "data": event_data})
            found = await session.execute(
                text("SELECT id FROM person_merge WHERE lms_event_id = :id"), {"id": event["id"]}
            )
            return str(found.scalar_one())

    async def look(self, merge_id: str, *, last: bool = False) -> None:
        """The workflow's steps until all was moved; what Temporal tries again is tried again."""
        given = MergeInput(merge_id, now=int(time.time()) + (2 * _LOOK_AGAIN_SECONDS if last else 0))
        while True:
            try:
                review = await self._activities.merge_person(given)
            except ApplicationError as error:
                assert not error.non_retryable
                continue
            if not review.waits_for:
                break
            await asyncio.sleep(0.01)
        if last:
            assert review.done
            await self._activities.end_merge(given)

    async def owners(self, order_ids: Sequence[str]) -> list[str]:
        """Who has each order now."""
        async with self._database.transaction() as session:
            rows = [await orders.get(session, order_id) for order_id in order_ids]
        return ["" if row is None else row.user_id for row in rows]

    async def broken(self) -> list[str]:
        """What the oracle says."""
        async with self._database.transaction() as session:
            return await invariants.violations(session, MERGED_PERSONS)


@pytest.fixture
async def merging(servers: Servers, fresh_database: str, temporal_client: Client) -> AsyncIterator[Merging]:
    """On a database of the test's own."""
    url = servers.database_url(fresh_database)
    await seed(url)
    database = Database(url, pool_size=6)
    yield Merging(database, temporal_client)
    await database.aclose()


async def chain(merging: Merging, number: int) -> None:
    """A into B and B into C at once, told in either order; the first's last look falls into the second."""
    a, b, c = [await merging.person() for _ in range(3)]
    pairs = [(a, b), (b, c)] if number % 2 else [(b, c), (a, b)]
    first, second = [await merging.told(*pair) for pair in pairs]
    order_ids = [person.order_id for person in (a, b, c)]
    if number % 3 == 0:  # what came in with a token of before moves with the last look
        await merging.look(first)
        order_ids.append(await merging.order(pairs[0][0].user_id))
    await asyncio.gather(merging.look(first, last=True), merging.look(second))
    await asyncio.gather(merging.look(first, last=True), merging.look(second, last=True))
    assert set(await merging.owners(order_ids)) == {c.user_id}, f"round {number}"
    assert await merging.broken() == [], f"round {number}"


async def chains(merging: Merging, rounds: Iterable[int]) -> None:
    for number in rounds:
        await chain(merging, number)


async def test_a_chain_of_merges_ends_with_the_last_account(merging: Merging) -> None:
    await chains(merging, range(ROUNDS))


async def test_of_two_that_are_merged_into_each_other_the_last_word_counts(merging: Merging) -> None:
    for number in range(ROUNDS):
        a, b = await merging.person(), await merging.person()
        merge_ids = [await merging.told(a, b), await merging.told(b, a)]
        for last in (False, True):
            await asyncio.gather(*(merging.look(one, last=last) for one in merge_ids))
        assert set(await merging.owners([a.order_id, b.order_id])) == {a.user_id}, f"round {number}"
    assert await merging.broken() == []


async def test_a_ring_of_merges_ends_with_the_last_word(merging: Merging) -> None:
    for number in range(ROUNDS // 2):
        persons = [await merging.person() for _ in range(3)]
        merge_ids = [await merging.told(persons[n], persons[(n + 1) % 3]) for n in range(3)]
        for last in (False, True):
            await asyncio.gather(*(merging.look(one, last=last) for one in merge_ids))
        order_ids = [person.order_id for person in persons]
        assert set(await merging.owners(order_ids)) == {persons[0].user_id}, f"round {number}"
    assert await merging.broken() == []


async def test_planted_without_the_locks_orders_are_left_with_a_dead_account(
    merging: Merging, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_lock(_: Session, __: Sequence[str]) -> None:
        await asyncio.sleep(random.uniform(0, 0.03))

    monkeypatch.setattr(people, "lock", no_lock)
    with pytest.raises(AssertionError, match="round"):
        await chains(merging, range(0, 15 * ROUNDS, 3))  # ends with the first that goes wrong
    assert await merging.broken() != []

"""Accounts that the LMS changed: the cache ends as the LMS has it, receivers are told, access is granted."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import ids
from domain.erasure import ErasureSource
from domain.orders import EntitlementStatus
from domain.resolutions import ResolutionState
from models.queries import erasures, inbox, lms_events, people, resolutions
from models.queries.people import UserRow
from models.queries.resolutions import ResolutionRow
from tests.workflows.bench import Bench, Buyer, Placed, until
from tests.workflows.test_merges import merge, moved

COURSE = "python-101"


async def tell(bench: Bench, data: dict[str, Any], event_id: str | None = None) -> str:
    """What the gateway does with `user.updated`; what became of it."""
    event = {"id": event_id or f"evt_{uuid.uuid4().hex}", "type": "user.updated", "data": data}
    async with bench.resources.database.transaction() as session:
        await lms_events.take_in(session, event)
        stored = await inbox.store(session, inbox.LMS, event | {"data": {"user_id": data["user_id"]}}, None)
    async with bench.resources.database.transaction() as session:
        concerned = await lms_events.concerned(session, stored)
    return await bench.resources.dispatcher.lms_event(concerned)


def account(buyer: Buyer) -> str:
    return ids.account_workflow_id(buyer.user_id)


async def followed(bench: Bench, buyer: Buyer) -> None:
    assert await asyncio.wait_for(bench.workflow(account(buyer)).result(), 60) == "followed"


async def known(bench: Bench, buyer: Buyer) -> UserRow:
    async with bench.resources.database.transaction() as session:
        user = await people.get(session, buyer.user_id)
    assert user is not None
    return user


async def published(bench: Bench, buyer: Buyer) -> list[dict[str, Any]]:
    rows = await bench.query(
        "SELECT data FROM outbound_event WHERE type = 'person.updated' AND stream = %s ORDER BY stream_seq",
        ids.person_stream(buyer.user_id),
    )
    return [row["data"] for row in rows]


async def tasks_of(bench: Bench, buyer: Buyer) -> list[str]:
    rows = await bench.query("SELECT kind FROM operator_task WHERE user_id = %s", buyer.user_id)
    return [row["kind"] for row in rows]


def at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def test_renamed_while_the_lms_is_down_is_read_when_it_is_back(bench: Bench) -> None:
    buyer = await bench.buyer()
    name = f"ann.{uuid.uuid4().hex[:8]}"
    await bench.lms.rename(buyer.lms_user_id, username=name, email=f"{name}@example.com")
    await bench.lms.fault("get_user", "unavailable_html", count=None, user_id=buyer.lms_user_id)
    # The event says less than has changed.
    assert await tell(bench, {"user_id": buyer.lms_user_id, "username": name}) == "account change woken"
    assert (await known(bench, buyer)).username == name
    await until(
        lambda: bench.pending_attempt(account(buyer)), lambda attempt: attempt > 1, "a second attempt"
    )
    assert await published(bench, buyer) == []
    await bench.skipper.fast_forward(bench.workflow(account(buyer)), timedelta(hours=12))
    assert (await known(bench, buyer)).email != f"{name}@example.com"
    await bench.lms.clear_faults()
    await bench.skipper.fast_forward(bench.workflow(account(buyer)), timedelta(minutes=11))
    await followed(bench, buyer)
    found = await known(bench, buyer)
    assert (found.username, found.email) == (name, f"{name}@example.com")
    (told,) = await published(bench, buyer)
    assert (told["user_id"], told["lms_user_id"]) == (buyer.user_id, buyer.lms_user_id)
    assert {"username", "email"} <= set(told["changed"]) <= {"username", "email", "full_name"}
    history = (await bench.workflow(account(buyer)).fetch_history()).to_json()
    assert name not in history


@pytest.mark.parametrize("late", [{"updated_at": at(-3600)}, {}], ids=["dated", "undated"])
async def test_a_late_older_event_leaves_no_old_cache(bench: Bench, late: dict[str, str]) -> None:
    buyer = await bench.buyer()
    old, new = f"old.{uuid.uuid4().hex[:8]}@example.com", f"new.{uuid.uuid4().hex[:8]}@example.com"
    await bench.lms.rename(buyer.lms_user_id, email=new)
    await tell(bench, {"user_id": buyer.lms_user_id, "email": new, "updated_at": at(0)})
    await followed(bench, buyer)
    event_id = f"evt_{uuid.uuid4().hex}"
    await tell(bench, {"user_id": buyer.lms_user_id, "email": old, **late}, event_id)
    await followed(bench, buyer)
    assert (await known(bench, buyer)).email == new
    # Sent once more, it does not even begin to change anything.
    outcome = await tell(bench, {"user_id": buyer.lms_user_id, "email": old}, event_id)
    assert (outcome, (await known(bench, buyer)).email) == ("0 entitlements woken", new)


async def question(bench: Bench, order: Placed) -> ResolutionRow:
    async def look() -> list[ResolutionRow]:
        async with bench.resources.database.transaction() as session:
            return await resolutions.of_order(session, order.id)

    return (await until(look, lambda rows: bool(rows) and rows[-1].asked_at is not None, "a question"))[-1]


async def test_access_refused_to_an_account_that_was_not_ready_is_granted_after_its_change(
    bench: Bench,
) -> None:
    buyer = await bench.buyer()
    await bench.lms.unconfirm(buyer.lms_user_id)
    order = await bench.buy(COURSE, buyer=buyer)
    await bench.wait_for_status(order.id, "fulfillment_failed")
    assert (await bench.access(buyer, COURSE)).failure_code == "user_not_ready"
    asked = await question(bench, order)
    await bench.lms.unconfirm(buyer.lms_user_id, confirmed=True)
    await tell(bench, {"user_id": buyer.lms_user_id})
    await followed(bench, buyer)
    await bench.wait_for_status(order.id, "fulfilled")
    assert (await bench.access(buyer, COURSE)).status is EntitlementStatus.GRANTED
    handle = bench.workflow(ids.resolution_workflow_id(asked.id))
    assert await asyncio.wait_for(handle.result(), 60) == ResolutionState.WITHDRAWN
    # Not what was refused for another reason.
    other = await bench.buyer()
    await bench.lms.fault("grant", "reject", code="a_code_of_tomorrow", user_id=other.lms_user_id)
    refused = await bench.buy(COURSE, buyer=other)
    await bench.wait_for_status(refused.id, "fulfillment_failed")
    await tell(bench, {"user_id": other.lms_user_id})
    await followed(bench, other)
    assert (await bench.access(other, COURSE)).status is EntitlementStatus.FAILED


async def test_an_account_that_the_lms_does_not_know_is_left_to_operators(bench: Bench) -> None:
    buyer = await bench.buyer()
    order = await bench.bought(COURSE)
    before = await known(bench, order.buyer)
    await bench.lms.delete(order.buyer.lms_user_id)
    await tell(bench, {"user_id": order.buyer.lms_user_id})
    await followed(bench, order.buyer)
    assert await tasks_of(bench, order.buyer) == ["account_not_found"]
    assert await known(bench, order.buyer) == before
    assert (await bench.order(order.id)).user_id == order.buyer.user_id
    await bench.lms.fault("get_user", "reject", code="a_code_of_tomorrow", user_id=buyer.lms_user_id)
    await tell(bench, {"user_id": buyer.lms_user_id, "full_name": "Ann Newer"})
    await followed(bench, buyer)
    assert await tasks_of(bench, buyer) == ["account_not_found"]
    assert [told["changed"] for told in await published(bench, buyer)] == [["full_name"]]


async def test_strangers_erased_and_merged_persons_are_left_alone(bench: Bench) -> None:
    nobody = "0 entitlements woken"
    assert await tell(bench, {"user_id": f"s-{uuid.uuid4().hex}", "email": "s@example.com"}) == nobody
    ended, survivor, erased = [await bench.buyer() for _ in range(3)]
    down = {"kind": "unavailable_html", "count": None}
    for buyer in (ended, erased):  # told while they were there, and not read yet
        await bench.lms.fault("get_user", user_id=buyer.lms_user_id, **down)  # type: ignore[arg-type]
        await tell(bench, {"user_id": buyer.lms_user_id, "full_name": "Ann Newer"})
        await until(
            lambda buyer=buyer: bench.pending_attempt(account(buyer)),  # type: ignore[misc]
            lambda attempt: attempt > 0,
            "an attempt",
        )
    await moved(bench, await merge(bench, ended, survivor))
    async with bench.resources.database.transaction() as session:
        await erasures.request(session, erased.user_id, source=ErasureSource.PERSON)
    await bench.resources.dispatcher.wake_erasure(erased.user_id)
    await until(lambda: known(bench, erased), lambda user: user.erased_at is not None, "the erasure")
    gone = [await known(bench, buyer) for buyer in (ended, erased)]
    await bench.lms.clear_faults()
    for buyer in (ended, erased):
        await followed(bench, buyer)
        assert await tell(bench, {"user_id": buyer.lms_user_id, "full_name": "Ann Last"}) == nobody
        assert await published(bench, buyer) == []
    assert [await known(bench, buyer) for buyer in (ended, erased)] == gone


async def test_a_sign_in_while_the_lms_is_asked_is_not_undone(bench: Bench) -> None:
    buyer = await bench.buyer()
    await bench.lms.fault("get_user", "latency", seconds=1.5, user_id=buyer.lms_user_id)
    await tell(bench, {"user_id": buyer.lms_user_id})
    await until(lambda: bench.pending_attempt(account(buyer)), lambda attempt: attempt > 0, "the attempt")
    email = f"newest.{uuid.uuid4().hex[:8]}@example.com"
    await asyncio.sleep(0.5)
    async with bench.resources.database.transaction() as session:
        await people.remember(
            session,
            lms_user_id=buyer.lms_user_id,
            username="ann",
            email=email,
            full_name="Ann",
            roles=["learner"],
        )
    await bench.lms.rename(buyer.lms_user_id, email=email)
    await followed(bench, buyer)
    assert (await known(bench, buyer)).email == email


async def test_many_events_are_followed_by_one_workflow_that_ends(bench: Bench) -> None:
    buyer = await bench.buyer()
    for number in range(20):
        await tell(bench, {"user_id": buyer.lms_user_id, "full_name": f"Ann {number}"})
    await followed(bench, buyer)
    row = await bench.one("SELECT told, followed FROM account_change WHERE user_id = %s", buyer.user_id)
    assert row == {"told": 20, "followed": 20}
    assert await published(bench, buyer) != []

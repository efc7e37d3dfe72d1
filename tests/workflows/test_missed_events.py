"""What no webhook brought is found in the processor's list, however long that is and whatever is in it."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from activities.inbox import InboxActivities
from activities.missed_events import MissedEvents
from models.queries import inbox
from tests.workflows.bench import Bench, until
from workflows.reconciliation import InboxRecoveryWorkflow

HOUR = 3600
# More calls of the list than any test makes.
NEVER = 10_000


@pytest.fixture(autouse=True)
async def empty_list(bench: Bench) -> AsyncIterator[None]:
    """Nothing has happened, and the list has just been read."""
    await bench.reset_stripe()
    await bench.query("DELETE FROM inbound_event")
    await read_until(bench, inbox.READ_SOON, 60)
    await read_until(bench, inbox.READ_LATE, 600)
    yield
    await bench.stripe.set_clock_offset(0)


async def read_until(bench: Bench, cursor: str, seconds_ago: float) -> None:
    await bench.query("DELETE FROM inbox_cursor WHERE source = %s", cursor)
    moment = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    await bench.query("INSERT INTO inbox_cursor (source, read_until) VALUES (%s, %s)", cursor, moment)


async def seconds_behind(bench: Bench, cursor: str = inbox.READ_SOON) -> float:
    row = await bench.one("SELECT read_until FROM inbox_cursor WHERE source = %s", cursor)
    return (datetime.now(UTC) - row["read_until"]).total_seconds()


async def happen(bench: Bench, count: int, *, seconds_ago: float = 0, **of_customer: str) -> list[str]:
    """So many events, at a time; their ids in order."""
    await bench.stripe.set_clock_offset(-seconds_ago)
    key = bench.settings.stripe_secret_key.get_secret_value()
    made = {"name": uuid.uuid4().hex, **of_customer}
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}) as http:
        for _ in range(count):
            answer = await http.post(f"{bench.settings.stripe_api_base}/v1/customers", data=made)
            assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = []
    while len(found) < count:
        more = {"starting_after": found[-1]["id"]} if found else {}
        found += await bench.stripe.listing("events", **more)
    return [event["id"] for event in found[:count][::-1]]


async def stored(bench: Bench) -> list[str]:
    rows = await bench.query("SELECT event_id FROM inbound_event ORDER BY received_at, id")
    return [row["event_id"] for row in rows]


async def fetch(bench: Bench) -> int:
    parts = bench.resources
    return await InboxActivities(parts.transactions, parts.dispatcher, parts.payments).fetch_missed_events()


async def count_calls(bench: Bench) -> None:
    """From now on."""
    await bench.stripe.clear_faults()
    await bench.stripe.fault("GET", "/v1/events", "latency", skip=NEVER)


async def calls(bench: Bench) -> int:
    """How often the list was asked for."""
    (fault,) = await bench.stripe.faults()
    return NEVER - int(fault["skip"])


async def test_missed_events_are_stored_and_dispatched_as_they_happened(bench: Bench) -> None:
    order = await bench.place("python-101")
    assert order.intent_id is not None
    await bench.stripe.confirm(order.intent_id, "pm_card_chargeDeclined")
    await bench.stripe.confirm(order.intent_id, "pm_card_visa")
    listed = [event["id"] for event in await bench.stripe.listing("events")]
    assert await fetch(bench) == len(listed) > 3
    assert await stored(bench) == listed[::-1]
    await bench.wait_for_status(order.id, "fulfilled")
    assert await fetch(bench) == len(await stored(bench)) - len(listed)


async def test_a_list_of_many_pages_is_read_from_its_beginning(bench: Bench) -> None:
    happened = await happen(bench, 230, seconds_ago=HOUR)
    happened += await happen(bench, 3)
    await bench.query("DELETE FROM inbox_cursor")  # as when it is read for the first time
    assert await fetch(bench) == 233
    assert await stored(bench) == happened
    assert 60 <= await seconds_behind(bench) < 90
    assert 600 <= await seconds_behind(bench, inbox.READ_LATE) < 630
    outcomes = await bench.query("SELECT DISTINCT outcome FROM inbound_event")
    assert [row["outcome"] for row in outcomes] == ["recovered: ignored: not an object of ours"]


async def test_a_list_that_breaks_off_is_gone_on_with_where_it_was(bench: Bench) -> None:
    first = await happen(bench, 150, seconds_ago=2 * HOUR)
    second = await happen(bench, 150, seconds_ago=HOUR)
    await read_until(bench, inbox.READ_SOON, 3 * HOUR)
    await count_calls(bench)
    assert await fetch(bench) == 300
    whole = await calls(bench)

    await bench.query("DELETE FROM inbound_event")
    await read_until(bench, inbox.READ_SOON, 3 * HOUR)
    await bench.stripe.clear_faults()
    # The last calls are the newest slice and the late look; before them, the second page of the second batch.
    await bench.stripe.fault("GET", "/v1/events", "429", skip=whole - 3)
    with pytest.raises(Exception, match="the processor"):
        await fetch(bench)
    assert await stored(bench) == first
    assert HOUR < await seconds_behind(bench) < 2 * HOUR

    await count_calls(bench)
    assert await fetch(bench) == 150
    assert await stored(bench) == first + second
    assert await calls(bench) < whole


async def test_a_slice_of_too_many_pages_is_read_in_halves(bench: Bench) -> None:
    """However much happened at once, what one step reads and may lose is bounded."""
    happened = [one for ago in (50, 40, 30, 20) for one in await happen(bench, 130, seconds_ago=ago)]
    await read_until(bench, inbox.READ_SOON, HOUR)
    reader = MissedEvents(bench.resources.transactions, bench.resources.payments, pages_at_most=2)
    slices = [len(found) async for found in reader.take_in(time.monotonic() + 60)]
    assert sum(slices) == 520
    assert max(slices) <= 200
    assert await stored(bench) == happened


async def test_a_look_whose_time_is_over_leaves_the_rest_to_the_next(bench: Bench) -> None:
    happened = await happen(bench, 2, seconds_ago=200)
    await read_until(bench, inbox.READ_SOON, 300)
    reader = MissedEvents(bench.resources.transactions, bench.resources.payments)
    looks = 0
    while await seconds_behind(bench) > 90:
        slices = [found async for found in reader.take_in(time.monotonic())]
        assert len(slices) <= 2  # one of what is new, one of what is late
        looks += 1
        assert looks < 20
    assert looks > 3
    assert await stored(bench) == happened


async def test_what_appears_in_the_list_late_is_found(bench: Bench) -> None:
    await fetch(bench)
    within = await happen(bench, 1, seconds_ago=45)  # the next look overlaps
    assert await fetch(bench) == 1
    await read_until(bench, inbox.READ_LATE, 650)  # as half a minute ago
    later = await happen(bench, 1, seconds_ago=620)
    assert await fetch(bench) == 1
    assert await stored(bench) == within + later
    assert 600 <= await seconds_behind(bench, inbox.READ_LATE) < 630


async def test_nothing_is_read_a_third_time(bench: Bench) -> None:
    """A busy account has 30,000 events in ten minutes: they are not read again every half minute."""
    await happen(bench, 230, seconds_ago=300)
    await read_until(bench, inbox.READ_SOON, 90)
    await read_until(bench, inbox.READ_LATE, 630)
    await count_calls(bench)
    assert await fetch(bench) == 0
    assert await calls(bench) <= 3


async def test_an_event_that_cannot_be_stored_is_passed_over_and_an_operator_told(bench: Bench) -> None:
    before = await happen(bench, 2, seconds_ago=20)
    (poison,) = await happen(bench, 1, seconds_ago=20, description="a \0 that PostgreSQL stores nowhere")
    after = await happen(bench, 2, seconds_ago=20)
    for missed in (4, 0):
        assert await fetch(bench) == missed
        assert await stored(bench) == before + after
        assert await seconds_behind(bench) < 90
    task = await bench.one("SELECT kind, what FROM operator_task WHERE task_key LIKE %s", f"%{poison}")
    assert task["kind"] == "event_not_stored"
    assert f"Event {poison} (customer.created) of the processor can't be stored" in task["what"]


async def test_a_list_that_is_slow_and_fails_keeps_no_other_step_waiting(bench: Bench) -> None:
    event = {"id": f"evt_{uuid.uuid4().hex}", "type": "x", "data": {"object": {"id": "x_1"}}}
    async with bench.resources.database.transaction() as session:
        await inbox.store(session, inbox.STRIPE, event, None)
    await bench.query("UPDATE inbound_event SET received_at = received_at - interval '1 minute'")
    await bench.stripe.fault("GET", "/v1/events", "timeout", seconds=10, count=None)
    handle = await bench.skipper.client.start_workflow(
        InboxRecoveryWorkflow.run,
        id=f"inbox-recovery-{uuid.uuid4()}",
        task_queue=bench.settings.temporal_task_queue,
    )
    row = await until(
        lambda: bench.one("SELECT outcome, now() AS at FROM inbound_event"),
        lambda found: found["outcome"] is not None,
        "a dispatch",
        seconds=8,
    )
    assert row["outcome"] == "recovered: ignored: not an object of ours"
    assert "missed: failed" in await asyncio.wait_for(handle.result(), 60)

"""Receivers side by side, mended meanwhile or switched off, and the sweep that loses none of their events."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from temporalio.exceptions import ApplicationError

from activities.deliveries import DeliveryActivities
from activities.inbox import InboxActivities
from domain.messages import DeliveryInput
from models.queries import outbox, webhook_deliveries, webhook_endpoints
from models.queries.outbox import Publication, Wake
from tests.workflows.bench import Bench
from tests.workflows.streams import TYPE, MakeStream, Stream


def worker_of(bench: Bench) -> DeliveryActivities:
    parts = bench.resources
    return DeliveryActivities(parts.transactions, parts.outbound, parts.sealer, parts.dispatcher)


async def change(stream: Stream, *, url: str | None = None, active: bool = True) -> None:
    """As an operator does it."""
    async with stream.bench.resources.database.transaction() as session:
        row = await webhook_endpoints.get(session, stream.endpoint_id, lock=True)
        assert row is not None
        by = None if active else "operator"
        await webhook_endpoints.save(
            session, replace(row, url=url or row.url, active=active, disabled_by=by, disabled_reason=by)
        )


async def endpoint(stream: Stream) -> webhook_endpoints.EndpointRow:
    async with stream.bench.resources.database.transaction() as session:
        row = await webhook_endpoints.get(session, stream.endpoint_id)
    assert row is not None
    return row


@pytest.fixture
async def silent_receiver() -> AsyncIterator[str]:
    """The address of a receiver that takes every request and answers none."""
    ended = asyncio.Event()

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    ended.set()
    server.close()


async def test_many_slow_receivers_leave_room_for_one_that_answers(
    bench: Bench, make_stream: MakeStream, silent_receiver: str
) -> None:
    """They fill what they share; whoever has no request open gets one in all the same."""
    parts = bench.resources
    worker = DeliveryActivities(parts.transactions, parts.outbound, parts.sealer, parts.dispatcher)
    slow: list[Stream] = []
    for _ in range(25):
        first = await make_stream(url=silent_receiver)
        slow += [first, *[await make_stream(first.endpoint_id) for _ in range(7)]]
    healthy = await make_stream()
    for stream in [*slow, healthy]:
        await stream.publish("only")
    asked = [
        asyncio.create_task(worker.deliver_next(DeliveryInput(stream.endpoint_id, stream.name)))
        for stream in slow
    ]
    try:
        refused, sent = await asyncio.wait(asked, timeout=5)
        end = time.monotonic() + 8
        while len(sent) > 160 and time.monotonic() < end:  # a busy machine has not come to all yet
            refused, sent = await asyncio.wait(asked, timeout=0.5)
        assert {task.result().status for task in refused} == {"crowded"}
        # Each has some, and none so many that the others would have nothing.
        assert 25 * 3 <= len(sent) <= 160
        outcome = await worker.deliver_next(DeliveryInput(healthy.endpoint_id, healthy.name))
        assert outcome.status == "delivered"
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        off = "UPDATE webhook_endpoint SET active = false, disabled_by = 'operator' WHERE url = %s"
        await bench.query(off, silent_receiver)


@pytest.mark.parametrize("mended", ["another address", "off and on", "not at all"])
async def test_a_late_410_does_not_switch_off_a_receiver_that_was_mended_meanwhile(
    bench: Bench, make_stream: MakeStream, mended: str
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def gone(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await answer.wait()
        writer.write(b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(gone, "127.0.0.1", 0)
    stream = await make_stream(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    await stream.publish("only")
    given = DeliveryInput(stream.endpoint_id, stream.name)
    attempt = asyncio.create_task(worker_of(bench).deliver_next(given))
    await asyncio.wait_for(asked.wait(), 10)
    if mended == "another address":
        await change(stream, url=bench.payout.webhook_url)
    elif mended == "off and on":
        await change(stream, active=False)
        await change(stream)
    answer.set()
    assert (await asyncio.wait_for(attempt, 10)).status == "failed"
    server.close()
    assert (await endpoint(stream)).active == (mended != "not at all")


async def test_an_event_begun_before_the_disabling_and_published_after_it_is_in_the_replay(
    bench: Bench, make_stream: MakeStream
) -> None:
    stream = await make_stream()
    async with bench.resources.database.transaction() as session:
        await session.execute(text("SELECT 1"))  # now the transaction has begun
        await asyncio.sleep(0.05)
        await change(stream, active=False)
        await outbox.publish(session, [Publication(stream.name, TYPE, stream.name)])
    assert await stream.deliveries() == []
    off_since = (await endpoint(stream)).disabled_at
    assert off_since is not None
    await change(stream)
    row = await endpoint(stream)
    assert (row.disabled_at, row.last_disabled_at) == (None, off_since)
    async with bench.resources.database.transaction() as session:
        replayed = await webhook_deliveries.streams_to_replay(
            session, stream.endpoint_id, off_since, only_undelivered=True, after="", limit=1000
        )
    assert stream.name in replayed


async def test_a_receiver_is_switched_on_when_nobody_publishes_who_found_it_off(
    bench: Bench, make_stream: MakeStream
) -> None:
    """Else a replay could come too early for what is queued for nobody."""
    stream = await make_stream()
    await change(stream, active=False)
    async with bench.resources.database.transaction() as session:
        await outbox.publish(session, [Publication(stream.name, TYPE, stream.name)])
        switched_on = asyncio.create_task(change(stream))
        done, _ = await asyncio.wait([switched_on], timeout=0.5)
        assert not done
    await asyncio.wait_for(switched_on, 10)
    since = (await endpoint(stream)).last_disabled_at
    assert since is not None
    async with bench.resources.database.transaction() as session:
        assert await webhook_deliveries.count_to_replay(
            session, stream.endpoint_id, since, only_undelivered=True
        )


async def test_the_sweep_leaves_alone_what_waits_for_its_next_attempt(
    bench: Bench, make_stream: MakeStream
) -> None:
    waits, due, fresh = [await make_stream() for _ in range(3)]
    now = datetime.now(UTC)
    for stream, next_attempt_at in ((waits, now + timedelta(hours=20)), (due, now - timedelta(minutes=1))):
        head, _ = await stream.publish("head", "behind it")
        await bench.query(
            "UPDATE webhook_delivery SET created_at = created_at - interval '1 hour' WHERE endpoint_id = %s",
            stream.endpoint_id,
        )
        statement = "UPDATE webhook_delivery SET attempts = 8, next_attempt_at = %s WHERE event_id = %s"
        await bench.query(statement, next_attempt_at, head)
    await fresh.publish("only")
    async with bench.resources.database.transaction() as session:
        found = await webhook_deliveries.unfinished(session)
    ours = {stream.name for stream in (waits, due, fresh)}
    assert [wake for wake in found if wake.stream in ours] == [Wake(due.endpoint_id, due.name)]


async def test_one_delivery_that_cannot_be_woken_keeps_no_other_from_it(
    bench: Bench, make_stream: MakeStream
) -> None:
    bad, good = await make_stream(), await make_stream()
    bad = Stream(bench, "x" * 2000, bad.endpoint_id)  # longer than an id of a workflow may be
    for stream in (bad, good):
        await stream.publish("only")
        await bench.query(
            "UPDATE webhook_delivery SET created_at = created_at - interval '1 hour' WHERE endpoint_id = %s",
            stream.endpoint_id,
        )
    parts = bench.resources
    sweep = InboxActivities(parts.transactions, parts.dispatcher, parts.payments)
    with pytest.raises(ApplicationError, match=r"resumed, \d+ not: Temporal: WorkflowId"):
        await sweep.wake_deliveries()
    await asyncio.wait_for(bench.delivery(good.endpoint_id, good.name).result(), 60)
    assert len(await good.arrived()) == 1
    await change(bad, active=False)

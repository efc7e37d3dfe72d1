"""Outbound events: the whole schedule of retries, and what ends it."""

import asyncio
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from domain.deliveries import PAUSES
from domain.ids import endpoint_stream
from domain.messages import ReplayInput
from integrations.outbound import TOTAL_TIMEOUT_SECONDS
from tests.workflows.bench import Bench, until
from tests.workflows.streams import MakeStream, Stream
from workflows import options


async def pauses_of(handle: WorkflowHandle[Any, Any]) -> list[timedelta]:
    """The timers that the workflow has set, from its history."""
    return [
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        async for event in handle.fetch_history_events()
        if event.HasField("timer_started_event_attributes")
    ]


async def off_by_itself(bench: Bench) -> list[str]:
    """What `commerce verify` says of endpoints that no operator switched off."""
    return list((await bench.findings())["outbox.endpoints_on"].violations)


async def test_after_ten_attempts_the_event_is_given_up_and_the_next_one_is_delivered(
    bench: Bench, make_stream: MakeStream
) -> None:
    stream = await make_stream()
    first, second, third = await stream.publish("first", "second", "third")
    await bench.payout.fault(status=500, count=10, stream=stream.name)
    handle = await stream.start()
    await until(stream.deliveries, lambda found: found[0] == ("pending", 1), "the first attempt")

    await bench.skipper.fast_forward(handle, timedelta(days=3))
    assert (await stream.deliveries())[0] == ("pending", 9)
    assert await stream.arrived() == []

    await bench.skipper.fast_forward(handle, timedelta(hours=4))
    assert await asyncio.wait_for(handle.result(), 60) == 13
    assert await stream.deliveries() == [("failed", 10), ("delivered", 1), ("delivered", 1)]
    assert await stream.attempts(first) == 10
    assert await stream.arrived() == [second, third]
    assert await pauses_of(handle) == list(PAUSES)
    assert sum(PAUSES, timedelta()) == timedelta(days=3, hours=3, minutes=35, seconds=5)


async def test_a_receiver_that_comes_back_gets_everything_in_order_once(
    bench: Bench, make_stream: MakeStream
) -> None:
    stream = await make_stream()
    published = await stream.publish(*(f"event {number}" for number in range(5)))
    await bench.payout.fault(cut=True, count=3, stream=stream.name)
    handle = await stream.start()
    await until(stream.deliveries, lambda found: found[0] == ("pending", 1), "the first attempt")
    await bench.skipper.fast_forward(handle, timedelta(hours=1))
    await asyncio.wait_for(handle.result(), 60)
    assert await stream.deliveries() == [("delivered", 4)] + [("delivered", 1)] * 4
    assert await stream.arrived() == published


async def test_an_event_whose_answer_was_lost_is_sent_again_under_the_same_id(
    bench: Bench, make_stream: MakeStream
) -> None:
    stream = await make_stream()
    (event,) = await stream.publish("only")
    await bench.payout.fault(status=500, after_effect=True, stream=stream.name)
    handle = await stream.start()
    await until(stream.deliveries, lambda found: found[0] == ("pending", 1), "the first attempt")
    await bench.skipper.fast_forward(handle, timedelta(seconds=6))
    await asyncio.wait_for(handle.result(), 60)
    assert [attempt.outcome for attempt in await bench.payout.attempts(event)] == ["stored", "duplicate"]
    assert await stream.arrived() == [event]


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        ("3600", timedelta(hours=1)),
        ("1", PAUSES[0]),
        ("9999999", timedelta(hours=24)),
        ("soon", PAUSES[0]),
    ],
    ids=["longer", "shorter than ours", "longer than a day", "unreadable"],
)
async def test_retry_after_lengthens_the_pause(
    bench: Bench, make_stream: MakeStream, asked: str, pause: timedelta
) -> None:
    stream = await make_stream()
    await stream.publish("only")
    await bench.payout.fault(status=503, retry_after=asked, stream=stream.name)
    handle = await stream.start()
    await until(stream.deliveries, lambda found: found[0] == ("pending", 1), "the first attempt")
    if pause > PAUSES[0]:
        await bench.skipper.fast_forward(handle, pause - timedelta(minutes=1))
        assert await stream.deliveries() == [("pending", 1)]
        await bench.skipper.fast_forward(handle, timedelta(minutes=2))
    else:
        await bench.skipper.fast_forward(handle, timedelta(seconds=10))
    await asyncio.wait_for(handle.result(), 60)
    assert await stream.deliveries() == [("delivered", 2)]
    assert await pauses_of(handle) == [pause]


async def test_410_disables_the_endpoint_and_nothing_more_is_sent(
    bench: Bench, make_stream: MakeStream
) -> None:
    stream = await make_stream()
    first, second = await stream.publish("first", "second")
    await bench.payout.fault(status=410, stream=stream.name)
    handle = await stream.start()
    await asyncio.wait_for(handle.result(), 60)
    row = await bench.one(
        "SELECT active, disabled_reason FROM webhook_endpoint WHERE id = %s", stream.endpoint_id
    )
    assert row == {"active": False, "disabled_reason": "the receiver answered 410 Gone"}
    assert any(stream.endpoint_id in found for found in await off_by_itself(bench))
    assert await stream.deliveries() == [("failed", 1), ("pending", 0)]
    await asyncio.wait_for((await stream.start()).result(), 60)
    assert (await stream.attempts(first), await stream.attempts(second)) == (1, 0)

    await bench.query("UPDATE webhook_endpoint SET active = true WHERE id = %s", stream.endpoint_id)
    await asyncio.wait_for((await stream.start()).result(), 60)
    assert await stream.arrived() == [second]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(
    bench: Bench, make_stream: MakeStream, status: int
) -> None:
    stream = await make_stream()
    (event,) = await stream.publish("only")
    await bench.payout.fault(status=status, location=bench.payout.webhook_url, stream=stream.name)
    handle = await stream.start()
    await until(stream.deliveries, lambda found: found[0] == ("pending", 1), "the first attempt")
    row = await bench.one(
        "SELECT last_error FROM webhook_delivery WHERE endpoint_id = %s", stream.endpoint_id
    )
    assert row["last_error"] == f"answered {status}; redirects are not followed"
    assert await stream.attempts(event) == 1
    await bench.skipper.fast_forward(handle, timedelta(seconds=6))
    await asyncio.wait_for(handle.result(), 60)
    assert await stream.arrived() == [event]


async def test_a_stream_in_trouble_does_not_hold_up_another(bench: Bench, make_stream: MakeStream) -> None:
    troubled, other = await make_stream(), await make_stream()
    await troubled.publish("only")
    (event,) = await other.publish("only")
    await bench.payout.fault(status=500, count=None, stream=troubled.name)
    stuck = await troubled.start()
    await asyncio.wait_for((await other.start()).result(), 60)
    assert await other.arrived() == [event]
    assert await troubled.arrived() == []
    await stuck.terminate()


async def give_up(stream: Stream, key: str) -> None:
    """Publish an event, and have its last attempt fail."""
    (event,) = await stream.publish(key)
    await stream.bench.query("UPDATE webhook_delivery SET attempts = 9 WHERE event_id = %s", event)
    await asyncio.wait_for((await stream.start()).result(), 60)


async def test_a_receiver_that_takes_nothing_is_switched_off_and_the_others_are_told(
    bench: Bench, make_stream: MakeStream
) -> None:
    """One event given up may be poison; a second one, with nothing taken in between, is a receiver gone."""
    await make_stream(types=("webhook_endpoint.disabled",))
    stream = await make_stream()
    healthy = await make_stream(stream.endpoint_id)
    await bench.payout.fault(status=500, count=None, stream=stream.name)
    await give_up(stream, "poison")
    await healthy.publish("taken")
    await asyncio.wait_for((await healthy.start()).result(), 60)
    await give_up(stream, "more poison")
    assert stream.endpoint_id not in str(await off_by_itself(bench))
    await give_up(stream, "nothing was taken since the one before")
    assert stream.endpoint_id in str(await off_by_itself(bench))
    assert await stream.deliveries() == [("failed", 10)] * 3
    (notice,) = await until(
        lambda: bench.payout.events(stream=endpoint_stream(stream.endpoint_id)), bool, "the notice"
    )
    assert notice.type == "webhook_endpoint.disabled"
    assert notice.body["data"] == {
        "endpoint_id": stream.endpoint_id,
        "disabled_by": "commerce",
        "reason": "2 events went through all 10 attempts, and nothing was taken meanwhile",
    }
    # What happens while it is off is not queued for it, and comes by the replay.
    await stream.publish("while it was off")
    await bench.payout.clear_faults()
    await bench.query("UPDATE webhook_endpoint SET active = true WHERE id = %s", stream.endpoint_id)
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    workflow_id = await bench.resources.dispatcher.start_replay(
        str(uuid.uuid4()), ReplayInput(stream.endpoint_id, hour_ago, only_undelivered=True)
    )
    # Those of other tests in this database are of the type that it wants, too.
    assert await asyncio.wait_for(bench.workflow(workflow_id).result(), 60) >= 4
    arrived = await until(
        lambda: bench.payout.events(stream=stream.name), lambda found: len(found) == 4, "the replayed events"
    )
    assert [event.stream_seq for event in arrived] == [1, 2, 3, 4]
    assert len(await healthy.arrived()) == 1


async def test_an_hour_of_silence_loses_nothing_and_keeps_the_order(
    bench: Bench, make_stream: MakeStream
) -> None:
    first = await make_stream()
    streams = [first, *[await make_stream(first.endpoint_id) for _ in range(2)]]
    published = {stream.name: await stream.publish("one", "two", "three") for stream in streams}
    bench.payout_process.kill()
    try:
        handles = [await stream.start() for stream in streams]
        for stream in streams:
            await until(stream.deliveries, lambda found: found[0] == ("pending", 1), "the first attempt")
        await asyncio.gather(*(bench.skipper.fast_forward(handle, timedelta(hours=1)) for handle in handles))
        assert {(await stream.deliveries())[0] for stream in streams} == {("pending", 4)}
    finally:
        bench.payout_process.start()
    await asyncio.gather(*(bench.skipper.fast_forward(handle, timedelta(hours=2)) for handle in handles))
    await asyncio.wait_for(asyncio.gather(*(handle.result() for handle in handles)), 60)
    for stream in streams:
        assert await stream.arrived() == published[stream.name]
        assert await stream.deliveries() == [("delivered", 5), ("delivered", 1), ("delivered", 1)]


async def test_a_slow_receiver_fills_its_own_share_and_delays_no_other(
    bench: Bench, make_stream: MakeStream
) -> None:
    slow = await make_stream()
    streams = [slow, *[await make_stream(slow.endpoint_id) for _ in range(11)]]
    other = await make_stream()
    handles = []
    for stream in streams:
        (event,) = await stream.publish("only")
        await bench.payout.fault(latency_seconds=20, count=None, stream=stream.name)
        handles.append(await stream.start())
    for crowded in handles[8:]:
        await until(lambda h=crowded: pauses_of(h), bool, "a stream that waits for room")  # type: ignore[misc]
    (event,) = await other.publish("only")
    started = time.monotonic()
    await asyncio.wait_for((await other.start()).result(), 60)
    assert await other.arrived() == [event]
    assert time.monotonic() - started < 5
    assert [len(await pauses_of(handle)) == 0 for handle in handles] == [True] * 8 + [False] * 4
    for handle in handles:
        await handle.terminate()


def test_a_receiver_that_never_answers_is_an_attempt() -> None:
    """Were the activity's time over first, it would be repeated for ever and never counted."""
    assert options.DELIVERY["start_to_close_timeout"] > timedelta(seconds=TOTAL_TIMEOUT_SECONDS + 10)


async def test_an_operator_need_not_wait_for_the_pause(bench: Bench, make_stream: MakeStream) -> None:
    stream = await make_stream()
    published = await stream.publish("first", "second")
    await bench.payout.fault(status=503, retry_after="80000", stream=stream.name)
    handle = await stream.start()
    await until(stream.deliveries, lambda found: found[0] == ("pending", 1), "the first attempt")
    await stream.start()  # a new event is no reason to hurry
    assert await stream.arrived() == []
    await bench.resources.dispatcher.retry_delivery(stream.endpoint_id, stream.name)
    await asyncio.wait_for(handle.result(), 60)
    assert await stream.arrived() == published


async def test_the_log_keeps_each_request_and_answer(bench: Bench, make_stream: MakeStream) -> None:
    stream = await make_stream()
    (event,) = await stream.publish("only")
    await bench.payout.fault(status=500, body="x" * 5000, stream=stream.name)
    handle = await stream.start()
    await until(stream.deliveries, lambda found: found[0] == ("pending", 1), "the first attempt")
    row = await bench.one(
        "SELECT next_attempt_at - first_attempt_at AS pause FROM webhook_delivery WHERE endpoint_id = %s",
        stream.endpoint_id,
    )
    assert row["pause"] == PAUSES[0]
    await bench.skipper.fast_forward(handle, timedelta(seconds=6))
    await asyncio.wait_for(handle.result(), 60)
    first, second = await bench.query(
        "SELECT * FROM webhook_attempt WHERE endpoint_id = %s ORDER BY id", stream.endpoint_id
    )
    assert (first["attempt"], first["outcome"], first["status_code"]) == (1, "retry", 500)
    assert first["response_body"] == "x" * 4096
    assert (second["attempt"], second["outcome"], second["status_code"]) == (2, "delivered", 200)
    for attempt in (first, second):
        assert attempt["url"] == bench.payout.webhook_url
        assert attempt["request_headers"]["webhook-id"] == event
        assert attempt["request_headers"]["webhook-signature"].startswith("v1,")
        body = json.loads(attempt["request_body"])
        assert (body["id"], body["stream"], body["stream_seq"]) == (event, stream.name, 1)
        assert attempt["duration_ms"] >= 0


async def test_a_wake_up_during_the_last_look_is_not_lost(bench: Bench, make_stream: MakeStream) -> None:
    stream = await make_stream()
    published = []
    for number in range(20):
        published += await stream.publish(f"event {number}")
        await stream.start()
    await until(stream.arrived, lambda found: len(found) == 20, "all events")
    assert await stream.arrived() == published

"""What was stored and not acted on: dispatched later, in order of arrival, whatever lies in between."""

import time
import uuid
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.inbox import InboxActivities
from domain.errors import Unavailable
from domain.messages import StoredEvent
from models.queries import inbox
from tests.workflows.bench import Bench

BACKLOG = 230  # more than one look takes


def foreign(number: int, **subject: Any) -> dict[str, Any]:
    """An event of somebody else's object."""
    return {
        "id": f"evt_{uuid.uuid4().hex}",
        "type": "customer.created" if number % 2 else "payment_intent.succeeded",
        "data": {"object": {"id": f"x_{number}", **subject}},
    }


def recovery(bench: Bench) -> InboxActivities:
    return InboxActivities(bench.resources.transactions, bench.resources.dispatcher, bench.resources.payments)


async def test_a_backlog_is_dispatched_in_order_of_arrival_around_what_cannot_be(bench: Bench) -> None:
    await bench.query("DELETE FROM inbound_event")  # what other modules left
    events = [foreign(number) for number in range(BACKLOG)]
    poison = {"id": "evt_poison", "type": "payment_intent.succeeded", "data": {}}
    for event in [poison, *events]:
        async with bench.resources.database.transaction() as session:
            await inbox.store(session, inbox.STRIPE, event, None)
    await bench.query("UPDATE inbound_event SET received_at = received_at - interval '1 minute'")
    # What comes in meanwhile is left to whoever received it.
    fresh = foreign(0)
    async with bench.resources.database.transaction() as session:
        await inbox.store(session, inbox.STRIPE, fresh, None)
    later = "UPDATE inbound_event SET received_at = received_at + interval '1 hour' WHERE event_id = %s"
    await bench.query(later, fresh["id"])  # however slow this machine is
    began = time.monotonic()
    assert await recovery(bench).dispatch_leftovers() == BACKLOG
    assert time.monotonic() - began < 60
    rows = await bench.query("SELECT event_id, outcome FROM inbound_event ORDER BY dispatched_at NULLS LAST")
    assert [row["event_id"] for row in rows[:BACKLOG]] == [event["id"] for event in events]
    assert {row["event_id"] for row in rows[BACKLOG:]} == {"evt_poison", fresh["id"]}
    assert {row["outcome"] for row in rows[:BACKLOG]} == {"recovered: ignored: not an object of ours"}
    await bench.query("DELETE FROM inbound_event")


@pytest.mark.parametrize(("refused", "left"), [((0, 2), {0, 2}), ((1, 2, 3), {1, 2, 3, 4})])
async def test_one_that_finds_nobody_keeps_no_other_waiting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, refused: tuple[int, ...], left: set[int]
) -> None:
    """Three in a row, and Temporal is taken for away."""
    await bench.query("DELETE FROM inbound_event")
    events = [foreign(number) for number in range(5)]
    for event in events:
        async with bench.resources.database.transaction() as session:
            await inbox.store(session, inbox.STRIPE, event, None)
    await bench.query("UPDATE inbound_event SET received_at = received_at - interval '1 minute'")
    found, send = recovery(bench), bench.resources.dispatcher.stripe_event

    async def some_refused(event: StoredEvent) -> str:
        if event.payload["id"] in {events[number]["id"] for number in refused}:
            raise Unavailable("no more messages are taken")
        return await send(event)

    monkeypatch.setattr(bench.resources.dispatcher, "stripe_event", some_refused)
    with pytest.raises(ApplicationError, match="no more messages"):
        await found.dispatch_leftovers()
    rows = await bench.query("SELECT event_id FROM inbound_event WHERE dispatched_at IS NULL")
    assert {row["event_id"] for row in rows} == {events[number]["id"] for number in left}
    await bench.query("DELETE FROM inbound_event")


async def test_an_order_of_somebody_elses_shop_is_none_of_ours(bench: Bench) -> None:
    """Others share the processor's account, and their metadata may look like ours."""
    theirs = {"id": "pi_theirs", "metadata": {"order_id": str(uuid.uuid4())}}
    ours = await bench.place("python-101")
    async with bench.resources.database.transaction() as session:
        assert await inbox.resolve_order(session, theirs) is None
        assert await inbox.resolve_order(session, {"metadata": {"order_id": "A-17"}}) is None
        assert await inbox.resolve_order(session, {"metadata": None, "payment_intent": None}) is None
        assert await inbox.resolve_order(session, {"metadata": {"order_id": ours.id}}) == ours.id
        assert await inbox.resolve_order(session, {"payment_intent": ours.intent_id}) == ours.id
        assert await inbox.resolve_order(session, {"payment_intent": {"id": ours.intent_id}}) == ours.id

"""What is kept for a time ends after it, and not before; what is needed stays."""

import asyncio
import json
import uuid
from typing import Any

import psycopg
import pytest

from models.queries import inbox, outbox
from models.queries.outbox import Publication
from tests.workflows.bench import Bench, until
from workflows.retention import RetentionWorkflow

PERSON = "ann.learner@example.com"


async def purge(bench: Bench) -> str:
    """What the Schedule does every hour."""
    handle = await bench.skipper.client.start_workflow(
        RetentionWorkflow.run,
        id=f"retention/{uuid.uuid4()}",
        task_queue=bench.settings.temporal_task_queue,
    )
    return await asyncio.wait_for(handle.result(), 60)


async def answer(bench: Bench, age: str) -> str:
    key = str(uuid.uuid4())
    await bench.query(
        "INSERT INTO idempotency_record (caller, key, fingerprint, created_at) "
        "VALUES ('user/x', %s, 'f', now() - CAST(%s AS interval))",
        key,
        age,
    )
    return key


async def test_stored_answers_end_after_72_hours_unless_a_request_holds_them(bench: Bench) -> None:
    young, old, held = [await answer(bench, age) for age in ("71:59:00", "72:01:00", "100:00:00")]
    url = bench.settings.database_url.get_secret_value().replace("+psycopg", "", 1)
    async with await psycopg.AsyncConnection.connect(url) as request:
        await request.execute("SELECT 1 FROM idempotency_record WHERE key = %s FOR UPDATE", (held,))
        assert "stored answers: 1," in await purge(bench)
    kept = {row["key"] for row in await bench.query("SELECT key FROM idempotency_record")}
    assert (young in kept, old in kept, held in kept) == (True, False, True)
    assert "stored answers: 1," in await purge(bench)


async def test_bodies_of_events_shrink_to_facts_and_nothing_comes_of_it(bench: Bench) -> None:
    order = await bench.bought("python-101")
    event: dict[str, Any] = {
        "id": "evt_lms",
        "type": "user.updated",
        "data": {"user_id": "u1", "email": PERSON, "full_name": "Ann Learner"},
    }
    theirs = {
        "id": "evt_theirs",
        "type": "charge.succeeded",
        "data": {"object": {"id": "ch_1", "metadata": {"who": PERSON}, "payment_intent": {"id": "pi_1"}}},
    }
    waiting = event | {"id": "evt_waiting"}
    async with bench.resources.database.transaction() as session:
        for source, one in ((inbox.LMS, event), (inbox.STRIPE, theirs), (inbox.LMS, waiting)):
            stored = await inbox.store(session, source, one, None)
            if one is not waiting:
                await inbox.mark_dispatched(session, stored.inbox_id, "done")
    await bench.query(
        "UPDATE inbound_event SET payload = jsonb_set(payload, '{data,object,receipt_email}', %s) "
        "WHERE order_id = %s",
        json.dumps(PERSON),
        order.id,
    )
    facts = (
        "SELECT payload#>>'{data,object,id}' AS id, payload#>>'{data,object,amount}' AS amount, "
        "payload#>>'{data,object,metadata,order_id}' AS order_id FROM inbound_event "
        "WHERE type = 'payment_intent.succeeded' AND order_id = %s"
    )
    before = await bench.one(facts, order.id)
    verified = {name: found.violations for name, found in (await bench.findings()).items()}
    await bench.query("UPDATE inbound_event SET received_at = now() - interval '89 days'")
    assert "bodies of events: 0," in await purge(bench)
    await bench.query("UPDATE inbound_event SET received_at = now() - interval '91 days'")
    events = await bench.one("SELECT count(*) AS n FROM inbound_event")
    assert f"bodies of events: {events['n'] - 1}," in await purge(bench)
    assert await bench.one(facts, order.id) == before
    rows = await bench.query(
        "SELECT event_id, payload FROM inbound_event WHERE payload::text LIKE %s", f"%{PERSON}%"
    )
    assert [row["event_id"] for row in rows] == ["evt_waiting"]
    (shrunk,) = await bench.query("SELECT payload FROM inbound_event WHERE event_id = 'evt_theirs'")
    assert shrunk["payload"]["data"]["object"] == {
        "id": "ch_1", "metadata": {}, "payment_intent": {"id": "pi_1"}
    }  # fmt: skip
    # The same event once more is still known.
    async with bench.resources.database.transaction() as session:
        assert (await inbox.store(session, inbox.LMS, event, None)).dispatched
    await bench.query("UPDATE inbound_event SET dispatched_at = now() WHERE event_id = 'evt_waiting'")
    assert {name: found.violations for name, found in (await bench.findings()).items()} == verified


async def test_the_log_of_deliveries_ends_but_for_what_a_receiver_took_last(
    bench: Bench, owner_url: str
) -> None:
    endpoint = (await bench.query("SELECT id FROM webhook_endpoint"))[0]["id"]
    stream = f"order/{uuid.uuid4()}"
    async with bench.resources.database.transaction() as session:
        await outbox.publish(
            session, [Publication(f"{stream}/{n}", "course.completed", stream, {}) for n in range(3)]
        )
    await bench.start_delivery(str(endpoint), stream)
    mine = (
        "SELECT d.last_response, a.id AS attempt FROM webhook_delivery d JOIN outbound_event e "
        "ON e.id = d.event_id LEFT JOIN webhook_attempt a ON a.delivery_id = d.id "
        "WHERE e.stream = %s AND d.status = 'delivered' ORDER BY e.stream_seq"
    )
    await until(lambda: bench.query(mine, stream), lambda rows: len(rows) == 3, "three deliveries")
    async with await psycopg.AsyncConnection.connect(owner_url.replace("+psycopg", "", 1)) as owner:
        await owner.execute("UPDATE webhook_attempt SET created_at = created_at - interval '91 days'")
    await bench.query("UPDATE webhook_delivery SET created_at = created_at - interval '91 days'")
    await purge(bench)
    rows = await bench.query(mine, stream)
    assert [row["attempt"] is None for row in rows] == [True, True, False]
    assert [row["last_response"] is None for row in rows] == [True, True, False]


async def test_the_audit_log_keeps_a_year_whatever_is_asked(bench: Bench, owner_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(
        owner_url.replace("+psycopg", "", 1), autocommit=True
    ) as owner:
        await owner.execute(
            "INSERT INTO audit_entry (id, actor_kind, actor_id, action, request_id, created_at) "
            "SELECT uuidv7(- make_interval(days => age)), 'command', age::text, 'x', '', "
            "now() - make_interval(days => age) FROM unnest(ARRAY[364, 366, 729, 731, 900]) age"
        )

        async def kept() -> list[str]:
            rows = await bench.query("SELECT actor_id FROM audit_entry WHERE action = 'x' ORDER BY id")
            return [row["actor_id"] for row in rows]

        assert "audit entries: 2" in await purge(bench)
        assert await kept() == ["729", "366", "364"]
        await bench.query("SELECT purge_audit(interval '1 day', 100)")
        assert await kept() == ["364"]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await bench.query("DELETE FROM audit_entry")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await owner.execute("DELETE FROM audit_entry WHERE action = 'x'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await owner.execute("UPDATE audit_entry SET reason = 'other' WHERE action = 'x'")

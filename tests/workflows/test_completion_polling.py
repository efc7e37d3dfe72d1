"""An LMS without events is asked for completions: a bounded number, everybody in turn."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from activities.completions import CompletionActivities, Polled
from activities.verification import Finding, Verifier
from domain import ids
from integrations.lms import Lms, LmsAccess, PollsCompletion, make_lms
from models.queries import completions
from tests.lms.wire import Moodle, serving, unavailable
from tests.workflows.bench import Bench, Placed, until

COURSE = "4200"


@pytest.fixture(scope="module")
async def sold(bench: Bench) -> list[Placed]:
    """Two learners who bought the same course, which Moodle knows by a number."""
    await bench.lms.add_course(COURSE, "A course of Moodle's")
    await bench.query(
        "WITH made AS (INSERT INTO catalog_item (slug, type, title, description, lms_course_id, tax_code) "
        "VALUES ('polled', 'course', 'Polled', '', %s, 'txcd_20060158') RETURNING id) "
        "INSERT INTO item_price (item_id, currency, amount) "
        "SELECT id, 'USD', 4000 FROM made RETURNING item_id",
        COURSE,
    )
    return [await bench.bought("polled") for _ in range(2)]


@pytest.fixture
async def moodle(sold: list[Placed]) -> AsyncIterator[Moodle]:
    """Moodle, with both learners enrolled."""
    wire = Moodle()
    for order in sold:
        number = int(order.buyer.lms_user_id)
        wire.person(username=f"u{number}", email=f"u{number}@example.com", password="commerce-demo")
        wire.enrolled[number, COURSE] = True
    async with serving(wire):
        yield wire


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


def adapter(wire: Moodle, http: httpx.AsyncClient) -> Lms:
    access = LmsAccess("moodle", wire.base_url, token=Moodle.token, login_service=Moodle.service)
    return make_lms(access, http)


def polling(bench: Bench, wire: Moodle, http: httpx.AsyncClient, at_once: int) -> CompletionActivities:
    lms = adapter(wire, http)
    assert isinstance(lms, PollsCompletion)
    return CompletionActivities(
        bench.resources.transactions,
        lms,
        bench.resources.dispatcher,
        bench.resources.lms_gate,
        at_once=at_once,
    )


async def test_the_oracle_knows_who_is_enrolled_where_no_progress_is_told(
    bench: Bench, sold: list[Placed], moodle: Moodle, http: httpx.AsyncClient
) -> None:
    """Without completion tracking Moodle says nothing of progress; Open edX never does."""
    resources = bench.resources
    verifier = Verifier(resources.database, resources.payments, adapter(moodle, http), resources.dispatcher)

    async def access_agrees() -> Finding:
        return next(one for one in (await verifier.verify()).findings if one.name == "lms.access_agrees")

    found = await access_agrees()
    assert (found.violations, found.checked) == ([], True)
    number = int(sold[0].buyer.lms_user_id)
    moodle.enrolled[number, COURSE] = False
    (violation,) = (await access_agrees()).violations
    assert f"LMS user {number}, course {COURSE}: here granted, at the LMS not enrolled" in violation


async def test_a_run_asks_for_a_bounded_number_and_the_next_goes_on(
    bench: Bench, moodle: Moodle, http: httpx.AsyncClient
) -> None:
    one = polling(bench, moodle, http, at_once=1)
    asked = []
    for _ in range(2):
        assert await one.poll_completions() == Polled(1, 0)
        asked.append(
            await bench.one("SELECT user_id FROM entitlement ORDER BY polled_at DESC NULLS LAST LIMIT 1")
        )
    assert asked[0] != asked[1]


async def test_an_lms_that_is_away_ends_the_run(
    bench: Bench, moodle: Moodle, http: httpx.AsyncClient
) -> None:
    moodle.fail(unavailable)
    polled = await polling(bench, moodle, http, at_once=10).poll_completions()
    assert (polled.asked, polled.completed) == (1, 0)
    assert polled.stopped_by is not None
    assert "503" in polled.stopped_by
    # The next run begins with whom this one did not come to.
    before = await bench.query("SELECT user_id FROM entitlement ORDER BY polled_at DESC LIMIT 1")
    assert await polling(bench, moodle, http, at_once=1).poll_completions() == Polled(1, 0)
    after = await bench.query("SELECT user_id FROM entitlement ORDER BY polled_at DESC LIMIT 1")
    assert before != after


async def test_a_completion_is_stored_relayed_and_recognized_once(
    bench: Bench, sold: list[Placed], moodle: Moodle, http: httpx.AsyncClient
) -> None:
    done, _ = sold
    moodle.completed = {(int(done.buyer.lms_user_id), COURSE)}
    activities = polling(bench, moodle, http, at_once=10)
    assert await activities.poll_completions() == Polled(2, 1)

    async def relayed() -> list[dict[str, object]]:
        return await bench.query(
            "SELECT data->>'lms_user_id' AS learner FROM outbound_event WHERE type = 'course.completed' "
            "AND data->>'course_id' = %s",
            COURSE,
        )

    told = await until(relayed, bool, "the relay of the completion")
    assert told == [{"learner": done.buyer.lms_user_id}]
    line = await bench.one("SELECT id FROM order_line WHERE order_id = %s", done.id)

    async def recognized() -> list[dict[str, object]]:
        return await bench.query(
            "SELECT order_id FROM journal_entry WHERE event_key = %s", f"line:{line['id']}:recognized"
        )

    await until(recognized, bool, "the recognition")
    # Nobody who has completed is asked for again, and the other one is.
    assert await activities.poll_completions() == Polled(1, 0)
    assert await relayed() == told
    # A plugin's event tells the same under an id of its own.
    body = {"user_id": done.buyer.lms_user_id, "course_id": COURSE}
    async with bench.resources.database.transaction() as session:
        await completions.take_in(
            session, {"id": "evt_of_plugin", "type": completions.COMPLETED, "data": body}
        )
    await bench.resources.dispatcher.wake_entitlement(done.buyer.user_id, COURSE)
    handle = bench.workflow(ids.entitlement_workflow_id(done.buyer.user_id, COURSE))
    assert await asyncio.wait_for(handle.result(), 30) == "granted"
    assert await relayed() == told


async def test_who_was_unenrolled_within_the_lms_has_not_lost_the_completion(
    bench: Bench, sold: list[Placed], moodle: Moodle, http: httpx.AsyncClient
) -> None:
    """After the test before. Moodle says nothing of a completion of who is not enrolled, and keeps it."""
    done, _ = sold
    number = int(done.buyer.lms_user_id)
    moodle.completed = {(number, COURSE)}
    moodle.enrolled[number, COURSE] = False
    await bench.query("UPDATE entitlement SET polled_at = polled_at - interval '25 hours'")
    assert await polling(bench, moodle, http, at_once=2).poll_completions() == Polled(2, 0)
    assert await bench.query("SELECT 1 FROM operator_task") == []
    moodle.enrolled[number, COURSE] = True
    await bench.query("UPDATE entitlement SET polled_at = polled_at - interval '25 hours'")
    assert await polling(bench, moodle, http, at_once=2).poll_completions() == Polled(2, 0)
    rows = await bench.query("SELECT 1 FROM completion WHERE relayed_at IS NOT NULL")
    assert len(rows) == 1


async def test_what_the_lms_no_longer_knows_is_asked_for_once_a_day_and_becomes_a_task(
    bench: Bench, sold: list[Placed], moodle: Moodle, http: httpx.AsyncClient
) -> None:
    """After the test before: one of the two has completed, and the LMS forgets it."""
    done, _ = sold
    activities = polling(bench, moodle, http, at_once=2)
    assert await activities.poll_completions() == Polled(1, 0)
    await bench.query("UPDATE entitlement SET polled_at = polled_at - interval '25 hours'")
    assert await activities.poll_completions() == Polled(2, 0, taken_back=1)
    task = await bench.one("SELECT kind, order_id FROM operator_task")
    assert (task["kind"], str(task["order_id"])) == ("completion_taken_back", done.id)
    # It counts as open again: what is completed anew is taken in.
    moodle.completed = {(int(done.buyer.lms_user_id), COURSE)}
    assert await activities.poll_completions() == Polled(2, 1)
    rows = await bench.query("SELECT taken_back_at IS NULL AS stands FROM completion ORDER BY received_at")
    assert [row["stands"] for row in rows] == [False, False, True]

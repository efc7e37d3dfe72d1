"""A person is erased: not before their money is settled, then everywhere but in what the law keeps."""

import asyncio
import json
import re
import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import text

from devstack.shopper import Shopper, wait_for
from domain.erasure import words
from domain.ids import email_caller, user_caller
from models.database import Database, Session
from models.queries import personal_data, wiping
from tests.e2e.conftest import Shop
from tests.privacy.dumps import dump

KEPT_BY_LAW = {"document.body"}


class RolledBack(Exception):
    """What was tried is undone."""


class Person:
    """Somebody whose name and address nobody else has. All that is searched for is in `traces`."""

    def __init__(self, first: str = "Zoë", last: str = "O'García") -> None:
        mark = uuid.uuid4().hex[:10]
        self.email = f"Ada.{mark}@example.com"
        self.name = f"{first} {last}-{mark}"
        self.street = f"{mark} Analytical Row"
        # One word, and no name.
        self.words = f"w{mark}"
        self.refused_words = f"v{mark}"
        self.traces = [mark, email_caller(self.email)]

    @property
    def address(self) -> dict[str, str]:
        return {
            "country": "US",
            "state": "NY",
            "postal_code": "10001",
            "city": "New York",
            "line1": self.street,
            "name": self.name,
        }


async def holding(session: Session, traces: Iterable[str]) -> set[str]:
    """The columns, of any type and in every table, that have one of the traces in any row."""
    tables = await session.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
    found = set()
    for table in tables.scalars().all():
        rows = await session.execute(
            text(
                f"SELECT DISTINCT c.key FROM {table} t, jsonb_each_text(to_jsonb(t)) c, "
                "unnest(CAST(:traces AS text[])) trace "
                "WHERE position(trace IN t::text) > 0 AND position(trace IN c.value) > 0"
            ),
            {"traces": list(traces)},
        )
        found |= {f"{table}.{column}" for column in rows.scalars()}
    return found


async def receiver_of_refunds(shop: Shop, operator: Shopper) -> str:
    """An endpoint that can't be reached: its attempts stay in the log."""
    made = await operator.call(
        "POST",
        "/v1/webhook-endpoints",
        {"url": "http://127.0.0.1:9/erased", "event_types": ["refund.succeeded", "earning.accrued"]},
    )
    return str(made["id"])


async def attempt_logged(shop: Shop, endpoint_id: str, order_id: str, said: str) -> None:
    """Wait until an event about the order that says this has been tried, in UTF-8."""

    async def tried() -> list[dict[str, Any]]:
        return await shop.query(
            "SELECT 1 FROM webhook_attempt a JOIN webhook_delivery d ON d.id = a.delivery_id "
            "JOIN outbound_event e ON e.id = d.event_id WHERE a.endpoint_id = %s "
            "AND e.data->>'order_id' = %s AND position(%s IN a.request_body) > 0",
            endpoint_id,
            order_id,
            said,
        )

    await wait_for(tried, bool, what="an attempt")


async def asked_back(shop: Shop, learner: Shopper, person: Person) -> None:
    """Bought and refunded at the person's own word; asked once more, and refused."""
    await learner.add("python-101")
    answer = await learner.checkout(
        address=person.address, return_url=f"https://shop.example/{person.traces[0]}"
    )
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_visa")
    first = await learner.wait_for_status(answer["order"]["id"], "fulfilled")
    await learner.refund(first["id"], reason=person.words)
    await learner.wait_for_status(first["id"], "refunded")
    again = await learner.send("POST", f"/v1/orders/{first['id']}/refunds", {"reason": person.refused_words})
    assert again.status_code == 409


async def disputed(shop: Shop, learner: Shopper, person: Person) -> dict[str, Any]:
    """Bought, disputed with evidence, won."""
    await learner.add("data-science")
    answer = await learner.checkout(address=person.address)
    await shop.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_createDispute")
    second = await learner.wait_for_status(answer["order"]["id"], "disputed")

    async def dispute() -> dict[str, Any]:
        (row,) = await shop.query(
            "SELECT provider_id, evidence FROM dispute WHERE order_id = %s", second["id"]
        )
        return row

    held = await wait_for(dispute, lambda row: row["evidence"] is not None, what="the evidence")
    assert held["evidence"]["customer_name"] == person.name
    await shop.stripe.win_dispute(held["provider_id"])
    return await learner.wait_for_status(second["id"], "fulfilled")


async def written_about(
    shop: Shop, operator: Shopper, learner: Shopper, order: dict[str, Any], why: str
) -> None:
    """Operators gave their reasons wherever they may, also for what was refused."""
    user, line = learner.user["id"], order["lines"][0]["id"]
    await operator.call("POST", f"/v1/users/{user}/export", {"reason": why})
    credit = {"user_id": user, "amount": {"amount": 100, "currency": "USD"}, "reason": why}
    await operator.call("POST", "/v1/store-credit/grants", credit)
    await shop.lms.complete(learner.user["lms_user_id"], "data-science")

    async def accrued() -> list[dict[str, Any]]:
        return await shop.query(
            "SELECT data->>'payee_ref' AS payee FROM outbound_event WHERE type = 'earning.accrued' "
            "AND data->>'order_line_id' = %s",
            line,
        )

    (earning, *_) = await wait_for(accrued, bool, what="the earning")
    moved = {
        "order_line_id": line,
        "from_payee": earning["payee"],
        "to_payee": f"teacher-{uuid.uuid4()}",
        "amount": {"amount": 100, "currency": "USD"},
        "reason": why,
    }
    await operator.call("POST", "/v1/earnings/reassignments", moved)
    too_much = moved | {"amount": {"amount": 10**9, "currency": "USD"}}
    assert (await operator.send("POST", "/v1/earnings/reassignments", too_much)).status_code == 409
    (task,) = await shop.query(
        "INSERT INTO operator_task (task_key, kind, user_id, what) "
        "VALUES (%s, 'completion_taken_back', %s, %s) RETURNING id",
        f"planted {user}",
        user,
        why,
    )
    await operator.call("POST", f"/v1/tasks/{task['id']}/close", {"note": why})
    (difference,) = await shop.query(
        "INSERT INTO reconciliation_difference (kind, subject, order_id, currency, expected, found, detail) "
        "VALUES ('amount_aged', %s, %s, 'USD', 1, 2, %s) RETURNING id",
        f"planted {user}",
        order["id"],
        why,
    )
    path = f"/v1/reconciliation/differences/{difference['id']}/accept"
    await operator.call("POST", path, {"reason": why})


async def lived(shop: Shop, person: Person) -> Shopper:
    """A learner who left traces: bought, disputed, was refunded, wrote, was written about."""
    operator = await shop.operator()
    learner = await Shopper(shop.gateway).register(person.email, person.name)
    endpoint = await receiver_of_refunds(shop, operator)
    await asked_back(shop, learner, person)
    second = await disputed(shop, learner, person)
    why = f"“{person.name}” ({person.email.lower()}) asked on the telephone:\n{person.name.upper()}"
    await written_about(shop, operator, learner, second, why)
    await attempt_logged(shop, endpoint, (await of(learner))[0], person.words)
    await attempt_logged(shop, endpoint, second["id"], person.name)
    await operator.call("DELETE", f"/v1/webhook-endpoints/{endpoint}")
    await shop.lms.rename(learner.user["lms_user_id"], last_name=f"O'García-{person.traces[0]} the Second")
    await wait_for(
        lambda: learner.call("GET", "/v1/me"),
        lambda me: me["full_name"].endswith("Second"),
        what="the rename",
    )
    return learner


async def of(learner: Shopper) -> list[str]:
    """The learner's orders, oldest first."""
    return [row["id"] for row in reversed((await learner.call("GET", "/v1/orders"))["data"])]


_OF_ORDERS = "order_id IN (SELECT id FROM orders WHERE user_id = :user)"
_OF_EVENTS = (
    "SELECT e.id FROM outbound_event e WHERE e.data->>'order_id' IN "
    "(SELECT id::text FROM orders WHERE user_id = :user)"
)
_OF_REFUNDS = f"{_OF_EVENTS} AND e.type = 'refund.succeeded'"
# What comes of trouble, in every form in which it may be stored.
PLANTED = (
    "UPDATE entitlement SET failure_detail = :name WHERE user_id = :user",
    "INSERT INTO resolution (line_id, lms_course_id, cause, reason, state) SELECT l.id, l.lms_course_id, "
    "'lms_refused', :name, 'withdrawn' FROM order_line l JOIN orders o ON o.id = l.order_id "
    "WHERE o.user_id = :user",
    "UPDATE inbound_event SET payload = jsonb_set(payload, '{data,object,receipt_email}', "
    f"to_jsonb(CAST(:name AS text))) WHERE {_OF_ORDERS}",
    f"UPDATE payment SET failure_message = :name WHERE {_OF_ORDERS}",
    "INSERT INTO refund (id, order_id, payment_id, kind, amount, currency, status, reason, failure_reason) "
    "SELECT uuidv7(), order_id, id, 'goodwill', 1, currency, 'failed', CAST(:name AS text), "
    f"CAST(:name AS text) FROM payment WHERE {_OF_ORDERS} LIMIT 1",
    "INSERT INTO tax_report (document_id, order_id, failure) SELECT id, order_id, :name FROM document "
    f"WHERE {_OF_ORDERS} LIMIT 1",
    "UPDATE orders SET taxation = coalesce(taxation, '{}') || "
    "jsonb_build_object('tax_id', CAST(:name AS text)) WHERE user_id = :user",
    f"UPDATE webhook_delivery SET last_response = :echo, last_error = :echo WHERE event_id IN ({_OF_EVENTS})",
    "UPDATE webhook_attempt SET response_body = :echo, error = :echo, response_headers = "
    "jsonb_build_object('x-echo', :echo), request_body = request_body || :echo "
    f"WHERE delivery_id IN (SELECT id FROM webhook_delivery WHERE event_id IN ({_OF_EVENTS}))",
    f"UPDATE webhook_delivery SET last_response = last_response || :own WHERE event_id IN ({_OF_REFUNDS})",
    "UPDATE webhook_attempt SET response_body = response_body || :own, error = error || :own "
    f"WHERE delivery_id IN (SELECT id FROM webhook_delivery WHERE event_id IN ({_OF_REFUNDS}))",
)
# These leave nothing that has a name in it.
NAMELESS = {"carts", "sign-ins", "answers", "addresses that were given"}
# Sealed, or digests, or names of roles.
UNREADABLE = {
    *("commerce_user.roles", "commerce_user.given_roles", "refresh_token.token_hash"),
    *(f"idempotency_record.{column}" for column in ("caller", "key", "fingerprint", "response_sealed")),
}


def wiped_columns() -> set[str]:
    return {
        f"{table}.{column}" for table, columns in personal_data.WIPED.items() for column in columns.split()
    }


async def each_step_is_needed(
    database: Database, person: Person, learner: Shopper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all steps nothing is left but what the law keeps; without any one of them, something is. And
    each column of which it is said that it is wiped had something to wipe."""
    user = learner.user["id"]
    with suppress(RolledBack):
        async with database.transaction() as session:
            given = {
                "user": user,
                "name": person.name,
                "echo": json.dumps(person.name),
                "own": f": {person.words}.",
            }
            for statement in PLANTED:
                bound = {name: value for name, value in given.items() if f":{name}" in statement}
                await session.execute(text(re.sub("(:echo|:own)", r"CAST(\1 AS text)", statement)), bound)
            held = await holding(session, person.traces)
            assert held - KEPT_BY_LAW - UNREADABLE == wiped_columns() - UNREADABLE
            for left_out in (None, *(set(wiping.STEPS) - NAMELESS)):
                steps = {name: step for name, step in wiping.STEPS.items() if name != left_out}
                monkeypatch.setattr(wiping, "STEPS", steps)
                async with session.begin_nested() as tried:
                    await wiping.wipe(session, user)
                    found = await holding(session, person.traces)
                    assert (found == KEPT_BY_LAW) == (left_out is None), (left_out, found)
                    await tried.rollback()
                monkeypatch.undo()
            raise RolledBack


async def nowhere_in_a_dump(shop: Shop, person: Person) -> None:
    """Neither as they wrote themselves, nor as JSON escapes it; but in documents, where they are."""
    external = shop.stack.settings.external
    assert external is not None
    tables = await asyncio.to_thread(dump, external.owner_url)
    assert len(tables) > 50
    mark, digest = person.traces
    known = [person.name, person.email, person.street, person.words, person.refused_words]
    sought = re.compile(f"{re.escape(mark)}|{re.escape(digest)}|{words(known)}", re.IGNORECASE)
    assert {name for name, rows in tables.items() if sought.search(rows)} == {"public.document"}


async def test_a_person_is_gone_but_for_what_the_law_keeps(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person()
    learner = await lived(shop, person)
    database = Database(shop.stack.urls.database_url)
    await each_step_is_needed(database, person, learner, monkeypatch)
    await learner.add("web-design")
    unpaid = (await learner.checkout(address=person.address))["order"]

    asked = await learner.call("POST", "/v1/me/erasure")
    assert asked["status"] == "waiting"

    async def stands() -> dict[str, Any]:
        return dict(await learner.call("GET", "/v1/me/erasure"))

    waiting = await wait_for(stands, lambda e: bool(e["waits_for"]), what="what is waited for")
    assert waiting["waits_for"] == [f"order {unpaid['number']} may still be paid"]
    refresh = await learner.send("POST", "/v1/auth/refresh", {"refresh_token": learner.refresh_token})
    assert refresh.status_code == 401
    assert (await learner.call("POST", "/v1/me/erasure"))["id"] == asked["id"]
    await learner.call("POST", f"/v1/orders/{unpaid['id']}/cancel")  # its cart is open again

    erased = await wait_for(stands, lambda e: e["status"] == "erased", what="the erasure")
    assert erased["waits_for"] == []
    async with database.transaction() as session:
        assert await holding(session, person.traces) == KEPT_BY_LAW
    for table in ("cart", "refresh_token"):
        lines = "JOIN cart_line l ON l.cart_id = t.id" if table == "cart" else ""
        rows = await shop.query(
            f"SELECT 1 FROM {table} t {lines} WHERE t.user_id = %s LIMIT 1", learner.user["id"]
        )
        assert not rows, table
    await database.aclose()
    await nowhere_in_a_dump(shop, person)
    callers = [user_caller(learner.user["id"]), email_caller(person.email)]
    assert not await shop.query("SELECT 1 FROM idempotency_record WHERE caller = ANY(%s)", callers)
    me = await learner.call("GET", "/v1/me")
    assert (me["email"], me["full_name"], me["lms_user_id"]) == (
        None,
        "Erased person",
        learner.user["lms_user_id"],
    )
    # The books are whole, and operators still see what was sold.
    operator = await shop.operator()
    found = await operator.call("GET", f"/v1/orders?user_id={learner.user['id']}")
    assert len(found["data"]) == 3
    receipt = await operator.send("GET", f"/v1/orders/{found['data'][-1]['id']}/receipt.pdf")
    assert receipt.status_code == 200
    told = await shop.query(
        "SELECT type, data FROM outbound_event WHERE stream = %s ORDER BY stream_seq",
        f"person/{learner.user['id']}",
    )
    # Renamed before: which members changed, not what they say.
    assert [row["type"] for row in told] == ["person.updated", "person.erased"]
    assert {row["data"]["lms_user_id"] for row in told} == {learner.user["lms_user_id"]}
